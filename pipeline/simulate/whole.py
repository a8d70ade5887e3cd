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
from twinpix.pipeline.simulate.files import write_and_read
from twinpix.pipeline.simulate.likeness import Floats
from twinpix.pipeline.simulate.setting import HOT, Setting

FILES = 200  # cells whose files are written, spread over all; bytes and seconds of the others are taken to be alike


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
    """Draw all vectors, and find the pairs of all cells. Memory: about 1.3 kB an image, of 256 dimensions."""
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
        size = _write(vectors, members, clock)
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
        int((sizes > HOT).sum()),
        float(len(pairs[0])),
        {"shuffle": size},
        {"join": peak_of_join(vectors[largest[:HOT]], setting)},
        clock.seconds,
    )


def _members(cells: Cells, vectors: Floats, setting: Setting) -> list[NDArray[np.intp]]:
    blocks = range(0, len(vectors), BLOCK)
    nearest = np.concatenate([cells.assign(vectors[start : start + BLOCK], setting.nearest) for start in blocks])
    order = np.argsort(nearest.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(nearest.ravel(), minlength=setting.cells))
    return [rows // setting.nearest for rows in np.split(order, ends[:-1])]


def _write(vectors: Floats, members: list[NDArray[np.intp]], clock: Clock) -> float:
    chosen = np.unique(np.linspace(0, len(members) - 1, FILES).astype(int)).tolist()
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        target, written, rows = str(Path(folder, "cell.parquet")), 0, 0
        for cell in chosen:
            with clock("shuffle"):
                written += write_and_read(target, members[cell].astype(np.int64), vectors[members[cell]])
            rows += len(members[cell])
    factor = sum(map(len, members)) / max(1, rows)
    clock.seconds["shuffle"] *= factor
    return written * factor


def _join(vectors: Floats, rows: NDArray[np.intp], setting: Setting, clock: Clock) -> Pairs:
    with clock("join"):
        return join(vectors[rows], rows.astype(np.int64), setting.reach, setting.sure, setting.most)


def _found(pairs: Pairs, planted: NDArray[np.intp], images: int) -> float:
    keys = pairs[0] * images + pairs[1]
    return float(np.isin(planted.min(1) * images + planted.max(1), keys).mean()) if len(planted) else 1.0
