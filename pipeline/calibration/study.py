"""Calibrating on a folder, and what a person should see of it before trusting it."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.decode import read_picture
from twinpix.encoder.errors import ImageError
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.calibration.calibrate import Measured
from twinpix.pipeline.calibration.gather import MOST, Gathered, gather
from twinpix.pipeline.decisions import Decisions
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.stream import Chunk
from twinpix.pipeline.threads import decoding_threads

if TYPE_CHECKING:
    from twinpix.pipeline.bench.edits import Edit

SHOWN = 20  # closest different pictures
EDITED = 200  # pictures from which edited copies are made
EDIT_PX = 512  # their longer side, at most
RECALL_RATES = (1e-4, 1e-5, 1e-6)
GROWTH_RATE = 1e-3


@dataclass(frozen=True)
class ClosePair:
    """Two pictures that are alike.

    Attributes:
        first, second: absolute paths.
        distance: L2.
        outcome: what the second look said of them; None if it was not asked.
    """

    first: Path
    second: Path
    distance: float
    outcome: Outcome | None


@dataclass(frozen=True)
class Study:
    """A calibration on one's own pictures.

    Attributes:
        calibration: the curve.
        images: how many could be read.
        closest: the nearest pairs of pictures that count as different, nearest first.
        excluded: pairs taken for one picture; the second one was left out.
        classes: kind of picture -> how many different ones.
        growth: share of the files -> false pairs in a stretch of that share, on average, at a rate of 1e-3.
        recall: edit -> share of edited copies within the thresholds of `RECALL_RATES`, 0..1.
        skipped: files that could not be read.
        decided: pairs of these pictures that a person called different, and one picture.
    """

    calibration: Calibration
    images: int
    closest: tuple[ClosePair, ...]
    excluded: tuple[ClosePair, ...]
    classes: dict[str, int]
    growth: dict[float, float]
    recall: dict[str, tuple[float, ...]]
    skipped: tuple[Skipped, ...]
    decided: tuple[int, int] = (0, 0)


def calibrate(
    *roots: str | os.PathLike[str],
    encoder: Encoder | None = None,
    limit: int = MOST,
    workers: int | None = None,
    progress: Callable[[Chunk, int], None] | None = None,
    decisions: Decisions | None = None,
) -> Study:
    """Measure what a distance means on your own pictures; `keep_calibration` puts the outcome in force.

    Args:
        roots: folders, searched through and through, or single files.
        encoder: any, calibrated or not; the shipped one by default.
        limit: a random choice of so many files is used.
        workers: threads; all cores by default.
        progress: called with each finished chunk and the number of all files.
        decisions: what a person said of pairs of them (`twinpix.pipeline.decisions.read_decisions`): "different" pairs
            count as different pictures however alike they are, "same" ones as one; none by default.

    Raises:
        InputError: a folder is not there, or they hold fewer than 200 different pictures.
    """
    encoder = encoder or load_encoder()
    gathered = gather(*roots, encoder=encoder, limit=limit, workers=workers, progress=progress, decisions=decisions)
    return study(gathered, encoder)


def study(gathered: Gathered, encoder: Encoder) -> Study:
    """Calibrate on these pictures; nothing is stored.

    Raises:
        InputError: fewer than 200 different pictures.
    """
    measured = gathered.measure()
    confirmed = _close_pairs(gathered.paths, measured.confirmed, [Outcome.CONFIRMED] * len(measured.confirmed[0]))
    twins = _close_pairs(gathered.paths, gathered.twins, [])
    return Study(
        calibration=measured.calibration,
        images=len(gathered.paths),
        closest=_close_pairs(gathered.paths, measured.closest, measured.outcomes)[:SHOWN],
        excluded=tuple(sorted((*twins, *confirmed), key=lambda pair: (pair.distance, str(pair.first)))),
        classes=dict(Counter(gathered.labels[measured.rows].tolist()).most_common()),
        growth=false_pairs_by_share(measured),
        recall=recall_on_edits(gathered, measured, encoder),
        skipped=gathered.skipped,
        decided=(len(gathered.apart), len(gathered.together)),
    )


def _close_pairs(paths: Sequence[Path], pairs: Pairs, outcomes: Sequence[Outcome]) -> tuple[ClosePair, ...]:
    known = [*outcomes, *[None] * (len(pairs[0]) - len(outcomes))]
    rows = zip(*(column.tolist() for column in pairs), known, strict=True)
    return tuple(ClosePair(paths[i], paths[j], distance, outcome) for i, j, distance, outcome in rows)


def false_pairs_by_share(measured: Measured) -> dict[float, float]:
    """False pairs within a quarter, half and all of the files as they stand in their folders.

    They should grow as the square: 1, 4, 16. Where neighbours in a folder are alike, the small parts hold more.
    """
    i, j, distance = measured.closest
    near = distance <= measured.calibration.threshold(GROWTH_RATE)
    place = np.searchsorted(measured.rows, np.stack([i[near], j[near]])) / len(measured.rows)
    parts = {part: (place * part).astype(int) for part in (4, 2, 1)}
    return {1 / part: float((both[0] == both[1]).sum() / part) for part, both in parts.items()}


def recall_on_edits(gathered: Gathered, measured: Measured, encoder: Encoder) -> dict[str, tuple[float, ...]]:
    """Edit -> share of edited copies of up to 200 of the pictures that lie within each threshold, unverified."""
    rows = measured.rows[:: max(1, len(measured.rows) // EDITED)][:EDITED].tolist()
    kinds, limits = edits(), [measured.calibration.threshold(rate) for rate in RECALL_RATES]

    def distances(row: int) -> list[float] | None:
        try:
            picture = read_picture(gathered.paths[row], at_least=EDIT_PX)
        except ImageError:
            return None
        picture.thumbnail((EDIT_PX, EDIT_PX), Image.Resampling.LANCZOS)
        copies = [edit.apply(picture, np.random.default_rng([k, row])) for k, edit in enumerate(kinds)]
        encoded = encoder.encode(np.stack([encoder.prepare(copy) for copy in copies]))
        return [float(gap) for gap in np.linalg.norm(encoded - gathered.vectors[row], axis=1)]

    with decoding_threads() as pool:
        table = np.array([row for row in pool.map(distances, rows) if row is not None])
    found = {edit.name: table[:, k] for k, edit in enumerate(kinds)} if len(table) else {}
    return {name: tuple(float((gaps <= limit).mean()) for limit in limits) for name, gaps in found.items()}


def edits() -> tuple[Edit, ...]:
    """The card's edits, and what happens to pictures that are sent around."""
    from twinpix.pipeline.bench.edits import CARD, Edit

    return (*CARD, Edit("jpeg", "q 20", _recompressed), Edit("down-scale", "1/4", _smaller))


def _recompressed(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=20)
    return Image.open(buffer).convert("RGB")


def _smaller(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    return picture.resize((max(1, picture.width // 4), max(1, picture.height // 4)), Image.Resampling.LANCZOS)
