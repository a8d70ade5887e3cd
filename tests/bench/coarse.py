"""The coarse look: how many edited copies it lets pass, and how many other candidates of a folder.

    python tests/bench/coarse.py DIR [--edited 150]

Copies are edits of random pictures of DIR (those of `twinpix bench`; crops to a fifth, mirrored and turned ones), of
each picture every third, as far as they are candidates in a folder of that size. The others are the candidates that
`find-duplicates DIR` has, without those that a close look finds to be copies. Nothing is written.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder, load_encoder
from twinpix.pipeline.bench.edit import Edit, chain
from twinpix.pipeline.bench.edits import edit_one, protocol
from twinpix.pipeline.bench.geometry import crop, mirror, quarter_turn, rotate
from twinpix.pipeline.duplicates import find_candidates
from twinpix.pipeline.limits import Limits, limits
from twinpix.pipeline.second_look.look_again import look_again
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.parts import have_something_in_common, parts
from twinpix.pipeline.stream import encode_images

HEAVY = (
    Edit("crop", "20 % of area", crop(0.2)),
    Edit("crop", "30 %, mirrored", chain(crop(0.3), mirror)),
    Edit("crop", "30 %, turned", chain(crop(0.3), quarter_turn)),
    Edit("crop", "40 %, rotated", chain(crop(0.4), rotate(10))),
)
EVERY = 3


def copies(encoder: OnnxEncoder, paths: list[Path], within: float) -> None:
    """Print how many edits of these pictures are candidates, and which of them the coarse look refutes."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    edits = (*protocol(pictures[-20:]), *HEAVY)
    kept, lost = 0, Counter[str]()
    for number, picture in enumerate(pictures):
        original, seen = encoder(picture), parts(picture)
        for k, edit in enumerate(edits):
            if (number + k) % EVERY:
                continue
            copy = edit_one(picture, edit.apply, number * 1000 + k)
            distance = float(np.linalg.norm(encoder(copy) - original))
            if distance > within:
                continue
            if have_something_in_common(seen, parts(copy), distance):
                kept += 1
            else:
                lost[edit.name] += 1
    print(f"{kept + lost.total()} edited copies within L2 {within:.3f}: {lost.total()} refuted {dict(lost)}")


def others(folder: Path, limit: Limits, encoder: OnnxEncoder) -> None:
    """Print how many candidates of the folder that are no copies pass the coarse look, and the time it takes."""
    embeddings = encode_images(folder, encoder=encoder)
    candidates, _ = find_candidates(embeddings, limit)
    outcomes = look_again(embeddings.paths, candidates, far=limit.far, sure=limit.sure)
    wrong = [row for row, outcome in enumerate(outcomes) if outcome is Outcome.REFUTED]
    begun = time.perf_counter()
    seen = {row: parts(embeddings.paths[row]) for row in np.unique(np.concatenate(candidates[:2])).tolist()}
    middle = time.perf_counter()
    passed = sum(
        have_something_in_common(seen[i], seen[j], distance)
        for i, j, distance in zip(*(column[wrong].tolist() for column in candidates), strict=True)
    )
    ended = time.perf_counter()
    print(f"{len(candidates[0])} candidates of {len(embeddings.paths)} pictures, {len(wrong)} of them no copies: "
          f"{passed} pass ({passed / max(1, len(wrong)):.1%})")  # fmt: skip
    print(f"{1000 * (middle - begun) / max(1, len(seen)):.1f} ms a picture, "
          f"{1000 * (ended - middle) / max(1, len(wrong)):.2f} ms a pair, one thread")  # fmt: skip


def main() -> None:
    """Measure both on the folder that the command line names."""
    command = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    command.add_argument("folder", type=Path)
    command.add_argument("--edited", type=int, default=150, help="pictures that copies are made of")
    given = command.parse_args()
    encoder = load_encoder()
    paths = sorted(path for path in given.folder.rglob("*") if path.is_file())
    if len(paths) < 2:
        sys.exit(f"{given.folder}: no folder of pictures")
    limit = limits(encoder, len(paths), None, None)
    chosen = np.random.default_rng(5).permutation(len(paths))[: given.edited].tolist()
    copies(encoder, [paths[row] for row in chosen], limit.candidate)
    others(given.folder, limit, encoder)


if __name__ == "__main__":
    main()
