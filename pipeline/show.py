"""What people and programs see: lines on the terminal, JSON on stdout, messages on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from twinpix.pipeline.relation.kinds import Relation
from twinpix.pipeline.relation.words import short as short_words
from twinpix.pipeline.report import Group, Match, Report, Skipped
from twinpix.pipeline.second_look.outcome import Outcome

NOTABLY_ALIKE = 1.5  # times
SHOWN_SKIPPED = 10
SOME_SKIPPED = 3
SECOND_LOOK = {
    None: "",
    Outcome.CONFIRMED: "; a second look confirms it: the details agree",
    Outcome.LIKELY: "; a second look finds that the detail which is left agrees",
    Outcome.REFUTED: "; but a second look finds other details",
    Outcome.ANIMATED: "; one has several frames or pages, and the other has not",
    Outcome.UNCLEAR: "; a second look finds too little to compare",
}


def message(text: str) -> None:
    """One line on stderr, for people. Where nothing can be written (its disk is full, its reader has gone): none."""
    try:
        print(safe(text), file=sys.stderr)
    except OSError:
        _close(sys.stderr)


def safe(text: str | Path) -> str:
    """A name that is harmless on a terminal: control, direction and undecodable characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(text))


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep the chatter of image decoders off the terminal: what matters of it is in the skipped rows.

    libtiff writes to file descriptor 2 past Python, so the descriptor itself is pointed elsewhere, and our own
    messages go to a copy of it.
    """
    if sys.stderr is None or sys.stderr is not sys.__stderr__:
        yield  # captured by a caller: not ours to redirect
        return
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with os.fdopen(os.dup(kept), "w", buffering=1, errors="backslashreplace") as sys.stderr:
            yield
    finally:
        sys.stderr = sys.__stderr__
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def close_stdout() -> None:
    """Point stdout nowhere, so that the interpreter's last flush can't fail."""
    _close(sys.stdout)


def _close(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def pair(match: Match, as_json: bool) -> None:
    """The outcome of `is-duplicate`."""
    if as_json:
        print_json(pair_dict(match))
        return
    verdict = "duplicate" if match.is_duplicate else "not a duplicate"
    sign = "<=" if match.l2_distance <= match.threshold else ">"
    print(f"{verdict}: L2 distance {match.l2_distance:.4f} {sign} threshold {match.threshold:.4f} (scale 0..2)"
          f"{SECOND_LOOK[match.second_look]}")  # fmt: skip


def pair_dict(match: Match) -> dict[str, Any]:
    """Schema 1."""
    return {
        "schema": 1,
        "l2_distance": match.l2_distance,
        "threshold": match.threshold,
        "duplicate": match.is_duplicate,
        "second_look": match.second_look,
        "unverified_threshold": match.unverified_threshold,
    }


def report(outcome: Report, as_json: bool, relative_to: Path | None = None) -> None:
    """The outcome of `find-duplicates`; people see paths below `relative_to` (or the current folder) shortened."""
    if as_json:
        print_json(report_dict(outcome))
    else:
        from twinpix.pipeline.show_report import print_report  # rich is slow to load

        print_report(outcome, relative_to.resolve() if relative_to else working_folder())


def working_folder() -> Path:
    """The folder below which people see paths shortened; one that has been deleted shortens none."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path()


def report_dict(outcome: Report) -> dict[str, Any]:
    """Schema 1. Undecodable bytes of paths are surrogate escapes."""
    return {
        "schema": 1,
        "threshold": outcome.threshold,
        "unverified_threshold": outcome.unverified_threshold,
        "looked_at": outcome.looked_at,
        "refuted": outcome.refuted,
        "unseen": outcome.unseen,
        "expected_false_pairs": outcome.expected_false_pairs,
        "threshold_clamped": outcome.clamped,
        "calibrated_on": outcome.calibrated_on,
        "dismissed": outcome.dismissed,
        "alikeness": outcome.alikeness,
        "fingerprint": outcome.fingerprint,
        "images": outcome.images,
        "index": asdict(outcome.index),
        "matches": [
            {
                "query": str(m.query),
                "reference": str(m.reference),
                "l2_distance": m.l2_distance,
                "second_look": m.second_look,
            }
            for m in outcome.matches
        ],
        "groups": [_group_dict(group) for group in outcome.groups],
        "skipped": skipped_rows(outcome.skipped),
    }


def _group_dict(group: Group) -> dict[str, Any]:
    links = [{"member": str(k.member), "other": str(k.other), "l2_distance": k.l2_distance} for k in group.links]
    relations = [None if relation is None else told(relation) for relation in group.relations]
    return {"files": [str(f) for f in group.files], "max_l2_distance": group.max_l2_distance, "relations": relations,
            "links": links}  # fmt: skip


def told(relation: Relation) -> dict[str, Any]:
    """For JSON: what it is, in fields and in a few words."""
    return {**relation.to_dict(), "words": short_words(relation)}


def skipped_rows(skipped: Sequence[Skipped]) -> list[dict[str, str]]:
    """For JSON."""
    return [{"path": str(s.path), "reason": s.reason, "message": s.message} for s in skipped]


def print_json(value: dict[str, Any]) -> None:
    """One line on stdout."""
    print(json.dumps(value))  # ASCII: surrogate escapes stay \udcXX


def short(path: Path, base: Path) -> Path:
    """A path below `base` without it; others as they are."""
    return path.relative_to(base) if path.is_relative_to(base) else path


def summary(outcome: Report) -> str:
    """How much was found, in one line."""
    groups, spare = len(outcome.groups), outcome.duplicates
    found = f"{groups} group{'s' * (groups != 1)}, {spare} duplicate{'s' * (spare != 1)}" if groups else "no duplicates"
    missing = left_out(outcome.dismissed) + crowded(outcome.unlisted)
    return f"{outcome.images} images, {found}, {len(outcome.skipped)} files skipped{missing}"


def left_out(pairs: int) -> str:
    """What to add where pairs were left out that a person has called different."""
    return f", {pairs} pair{'s' * (pairs != 1)} left out: you called them no duplicates" if pairs else ""


def crowded(pairs: int) -> str:
    """What to add where pairs within the threshold are not listed, because very many files are near one another."""
    return f", {pairs:,} more within the threshold are not listed: crowds of look-alikes" if pairs else ""


def promise(outcome: Report) -> str:
    """What the threshold means, in one line."""
    expected = outcome.expected_false_pairs
    if expected is None:
        return f"threshold: L2 distance {outcome.threshold:.3f}; this encoder is not calibrated"
    false_pairs = f"{expected:.0f}" if expected >= 10 else f"{expected:.2g}"
    strictest = (
        f" ({outcome.unverified_threshold:.3f} for unverified pairs: the strictest that the calibration supports)"
        if outcome.clamped
        else ""
    )
    looked = (
        f"{outcome.looked_at} pairs looked at again, {outcome.refuted} of them refuted; " if outcome.looked_at else ""
    )
    looked += f"{outcome.unseen} less alike were not (--thorough looks at them, too); " if outcome.unseen else ""
    return (
        f"threshold: L2 distance {outcome.threshold:.3f}{strictest}; {looked}"
        f"false pairs to expect among {outcome.images} images: at most about {false_pairs}"
        + (f"; calibrated on {safe(outcome.calibrated_on)}" if outcome.calibrated_on else "")
        + (f", {outcome.alikeness:.1f} times as alike here" if outcome.alikeness >= NOTABLY_ALIKE else "")
    )


def skipped_lines(skipped: Sequence[Skipped]) -> None:
    """On stderr: how many by reason, and the first few that were images."""
    if not skipped:
        return
    counts = Counter(s.reason for s in skipped)
    message("skipped: " + ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items())))
    troubled = [s for s in skipped if s.reason != "not_an_image"]
    for entry in troubled[:SHOWN_SKIPPED]:
        message(f"  {entry.reason}: {entry.message}")
    if len(troubled) > SHOWN_SKIPPED:
        message(f"  and {len(troubled) - SHOWN_SKIPPED} more; --json lists them all")


def damage_line(file: Path, lines: int) -> None:
    """On stderr, if lines of a file that keeps what a person said are not as they were written."""
    if lines:
        message(f"{file}: {lines} damaged line{'s' * (lines != 1)}, which count for nothing: decide that again")


def exit_code(outcome: Report, fail_on_duplicates: bool) -> int:
    """1 where there are duplicates, and there must be none; otherwise as `scan_exit_code`."""
    return 1 if fail_on_duplicates and outcome.matches else scan_exit_code(outcome.skipped)


def scan_exit_code(skipped: Sequence[Skipped]) -> int:
    """3 if an image could not be read, else 0: files that are no images are no fault."""
    return SOME_SKIPPED if any(s.reason != "not_an_image" for s in skipped) else 0
