"""What must not match: pages of one template, flat pictures, states of one program, products, animations, memes.

    python tests/bench/lookalikes.py        # KINDS=documents,flats: only those; SCALE=0.2: a fifth of each; KEEP=DIR

Draws them into a temporary folder, with true copies of every fifth, and looks for duplicates as `find-duplicates`
does, and for what a plan would remove. Exits 1 where more than 0.5 % of the groups of a kind are false, where a plan
would remove anything but a copy, or where fewer copies than the kind's bar are found.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from lookalikes_drawn import KINDS
from PIL import Image

from twinpix.encoder.onnx import load_encoder
from twinpix.pipeline.act.make import make_plan
from twinpix.pipeline.decisions import Decisions
from twinpix.pipeline.duplicates import candidate_pairs
from twinpix.pipeline.report import Report
from twinpix.pipeline.stream import encode_images

COPIED = 5  # every fifth has copies
FALSE_GROUPS = 0.005
FOUND = {"documents": 0.9, "flats": 0.9, "screenshots": 0.9, "products": 0.9, "animations": 0.9, "memes": 0.9}
SMALLEST = 32  # px; a copy of something smaller is not resized

Copy = Callable[[Image.Image, Path], None]
COPIES: dict[str, Copy] = {
    "q85": lambda picture, stem: picture.save(stem.with_suffix(".jpg"), quality=85),
    "png": lambda picture, stem: picture.save(stem.with_suffix(".png")),
    "x0.5": lambda picture, stem: _resized(picture, 0.5).save(stem.with_suffix(".png")),
    "x0.8-q85": lambda picture, stem: _resized(picture, 0.8).save(stem.with_suffix(".jpg"), quality=85),
    "x0.65-webp": lambda picture, stem: _resized(picture, 0.65).save(stem.with_suffix(".webp"), quality=85),
}


def _resized(picture: Image.Image, factor: float) -> Image.Image:
    if min(picture.size) * factor < SMALLEST:
        return picture
    return picture.resize([round(side * factor) for side in picture.size], Image.Resampling.LANCZOS)


@dataclass
class Drawing:
    """A kind, drawn: its files, and which are copies."""

    folder: Path
    pictures: int
    copies: list[tuple[Path, Path]]


def draw(kind: str, folder: Path, scale: float) -> Drawing:
    """Write the pictures of a kind and copies of every fifth."""
    rng = random.Random(6)
    folder.mkdir(parents=True)
    kinds, count = KINDS[kind]
    copies: list[tuple[Path, Path]] = []
    drawn, known = 0, set[bytes]()
    for number, (name, frames) in enumerate(kinds(rng, round(scale * count))):
        content = hashlib.sha256(b"".join(frame.tobytes() for frame in frames)).digest()
        if content in known:  # by chance: the same picture, and rightly a duplicate
            continue
        known.add(content)
        drawn += 1
        original = folder / f"{name}{_suffix(kind, number, len(frames))}"
        _save(frames, original)
        if number % COPIED:
            continue
        for how, copy in COPIES.items():
            before = set(folder.iterdir())
            if len(frames) > 1:
                if how.startswith("x"):
                    _save([_resized(frame, float(how[1:].split("-")[0])) for frame in frames],
                          folder / f"{name}~{how}{'.webp' if original.suffix == '.gif' else '.gif'}")  # fmt: skip
            else:
                with Image.open(original) as picture:
                    copy(picture.convert("RGB"), folder / f"{name}~{how.replace('.', '')}.x")
            copies += [(original, made) for made in set(folder.iterdir()) - before]
    return Drawing(folder, drawn, copies)


def _suffix(kind: str, number: int, frames: int) -> str:
    if frames > 1:
        return (".gif", ".webp", ".png")[number % 3]
    return ".jpg" if kind == "products" or (kind == "documents" and number % 2) else ".png"


def _save(frames: list[Image.Image], path: Path) -> None:
    if len(frames) > 1:
        frames[0].save(path, quality=92, save_all=True, append_images=frames[1:], duration=80)
    else:
        frames[0].save(path, quality=92)


def name_of(path: Path | str) -> str:
    """Which picture it shows."""
    return Path(path).stem.split("~")[0]


def report_on(folder: Path) -> tuple[Report, float]:
    """As find-duplicates, with defaults and without a library; and how long the second look took, s."""
    encoder = load_encoder()
    embeddings = encode_images(folder, encoder=encoder)
    begun = time.perf_counter()
    report = candidate_pairs(embeddings, encoder, decisions=Decisions({})).report()
    return report, time.perf_counter() - begun


def judge(kind: str, drawing: Drawing) -> list[str]:
    """Print the figures of one kind; which bars it missed."""
    report, seconds = report_on(drawing.folder)
    false_groups = [group for group in report.groups if len({name_of(path) for path in group.files}) > 1]
    false_pairs = [match for match in report.matches if name_of(match.query) != name_of(match.reference)]
    matched = {frozenset((str(match.query), str(match.reference))) for match in report.matches}
    grouped = {path: number for number, group in enumerate(report.groups) for path in group.files}
    found = [
        frozenset((str(a), str(b))) in matched or (a in grouped and grouped[a] == grouped.get(b))
        for a, b in drawing.copies
    ]
    wrong = removed_wrongly(report)
    share, recall = len(false_groups) / max(1, len(report.groups)), sum(found) / max(1, len(found))
    print(
        f"{kind:12} {drawing.pictures:4} pictures {len(found):4} copies | false groups {len(false_groups):3} of "
        f"{len(report.groups):3} ({share:6.2%}) | false pairs {len(false_pairs):6} "
        f"({len(false_pairs) / drawing.pictures:7.1%} of pictures) | copies found {recall:6.1%} | wrongly removed "
        f"{len(wrong):3} | {report.looked_at:6} pairs looked at, {report.refuted:6} refuted, {seconds:5.1f} s",
        flush=True,
    )
    by_how: dict[str, list[bool]] = {}
    for (_, copy), is_found in zip(drawing.copies, found, strict=True):
        by_how.setdefault(copy.name.split("~")[1], []).append(is_found)
    print(" " * 13 + ", ".join(f"{how} {sum(hits)}/{len(hits)}" for how, hits in sorted(by_how.items())))
    for match in false_pairs[:8]:
        print(" " * 13 + f"{Path(match.query).name} = {Path(match.reference).name}: {match.l2_distance:.3f} "
              f"{match.second_look}")  # fmt: skip
    if os.environ.get("MISSED"):
        for (a, b), is_found in zip(drawing.copies, found, strict=True):
            if not is_found:
                print(" " * 13 + f"missed {a.name} {b.name}")
    missed = []
    if share > FALSE_GROUPS:
        missed.append(f"{kind}: {share:.2%} of the groups are false")
    if wrong:
        missed.append(f"{kind}: a plan would remove {wrong[0]}")
    if recall < FOUND[kind]:
        missed.append(f"{kind}: only {recall:.1%} of the copies are found")
    return missed


def removed_wrongly(report: Report) -> list[Path]:
    """Files that a plan would remove although nothing that stays shows the same."""
    wrong = []
    for group in make_plan(report).groups:
        staying = {name_of(file.path) for file in group.files if not file.goes}
        wrong += [Path(file.path) for file in group.files if file.goes and name_of(file.path) not in staying]
    return wrong


def main() -> int:
    """Draw, look, print."""
    kinds = os.environ.get("KINDS") or ",".join(KINDS)
    scale, kept = float(os.environ.get("SCALE") or 1), os.environ.get("KEEP")
    missed: list[str] = []
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory() as place:
        for kind in kinds.split(","):
            folder = Path(place) / kind
            drawing = draw(kind, folder, scale) if not folder.exists() else drawn_before(folder)
            missed += judge(kind, drawing)
    print("\n".join(f"MISSED {line}" for line in missed) or "all bars met")
    return bool(missed)


def drawn_before(folder: Path) -> Drawing:
    """What `draw` has left in a folder."""
    files = sorted(folder.iterdir())
    originals = {name_of(path): path for path in files if "~" not in path.name}
    return Drawing(folder, len(originals), [(originals[name_of(path)], path) for path in files if "~" in path.name])


if __name__ == "__main__":
    sys.exit(main())
