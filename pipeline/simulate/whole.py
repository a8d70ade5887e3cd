"""The same stages over a whole collection, so that what was extrapolated can be compared with what it takes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.group import star_groups
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.scan.cells import Cells, fit_cells, join, merge
from twinpix.pipeline.simulate.clock import Clock, one_thread, peak_of_join
from twinpix.pipeline.simulate.collection import BLOCK, Collection
from twinpix.pipeline.simulate.files import write_bucketed
from twinpix.pipeline.simulate.likeness import Floats
from twinpix.pipeline.simulate.setting import Setting

FILES = 4  # of the shuffle, at most, that are written; the others are taken to be alike


@dataclass(frozen=True)
class Whole:
    """What was measured, as in `Estimate`.

    Attributes:
        recall: share of all planted copies that were found.
    """

    recall: float
    cell: dict[str, float]
    hot: int
    pairs: float
    bytes: dict[str, float]
    memory: dict[str, float]
    seconds: dict[str, float]


def run_whole(collection: Collection, setting: Setting, seed: int = 0) -> Whole:
    """Draw all vectors, and find the pairs of all cells. Memory: about 2 kB an image, of 256 dimensions."""
    dice, clock = np.random.default_rng([seed, setting.images, 1]), Clock()
    vectors, planted = collection.draw(dice)
    with one_thread():
        sample = vectors[: setting.trained_on]
        clock.rest()
        with clock("learn"):
            cells = fit_cells(sample, setting.cells)
        cells.assign(vectors[:1], 1)
        with clock("assign"):
            members = _members(cells, vectors, setting)
        size = _write(vectors, members, setting, clock)
        found = [_join(vectors, rows, setting, clock) for rows in members]
        with clock("reduce"):
            pairs = merge(found)
            star_groups([Path(f"{row:012}.jpg") for row in range(setting.images)], *pairs)
    sizes = np.array([len(rows) for rows in members], np.float64)
    largest = max(members, key=len)
    return Whole(
        _found(pairs, planted, setting.images),
        {
            "mean": float(sizes.mean()),
            "large": float(np.quantile(sizes, 0.999)),
            "squares": float((sizes**2).mean()),
            "largest": float(sizes.max()),
        },
        int((sizes > setting.hot).sum()),
        float(len(pairs[0])),
        {"shuffle": size},
        {"join": peak_of_join(vectors[largest[: setting.hot]], setting)},
        clock.seconds,
    )


def _members(cells: Cells, vectors: Floats, setting: Setting) -> list[NDArray[np.intp]]:
    blocks = range(0, len(vectors), BLOCK)
    nearest = np.concatenate([cells.assign(vectors[start : start + BLOCK], setting.nearest) for start in blocks])
    order = np.argsort(nearest.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(nearest.ravel(), minlength=setting.cells))
    return [rows // setting.nearest for rows in np.split(order, ends[:-1])]


def _write(vectors: Floats, members: list[NDArray[np.intp]], setting: Setting, clock: Clock) -> float:
    # as many files of the shuffle as hold all vectors, some of them written
    inverse = [np.empty(0, np.intp), *members]
    rows, cell = np.concatenate(inverse), np.repeat(np.arange(len(members)), [len(part) for part in members])
    files = -(-setting.images // setting.together)
    written = 0
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        for number in range(min(files, FILES)):
            first, last = number * setting.images // files, (number + 1) * setting.images // files
            here = np.flatnonzero((rows >= first) & (rows < last))
            with clock("shuffle"):
                written += write_bucketed(str(Path(folder, "a.parquet")), vectors, rows[here], cell[here], setting)
    factor = max(1.0, files / FILES)
    clock.seconds["shuffle"] *= factor
    return written * factor


def _join(vectors: Floats, rows: NDArray[np.intp], setting: Setting, clock: Clock) -> Pairs:
    with clock("join"):
        return join(vectors[rows], rows.astype(np.int64), setting.reach, setting.sure, setting.most)


def _found(pairs: Pairs, planted: NDArray[np.intp], images: int) -> float:
    keys = pairs[0] * images + pairs[1]
    return float(np.isin(planted.min(1) * images + planted.max(1), keys).mean()) if len(planted) else 1.0
