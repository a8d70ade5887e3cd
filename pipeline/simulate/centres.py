"""As many cells as a collection would get. Beyond some thousand, k-means of k-means: one alone would take days here."""

from __future__ import annotations

import numpy as np

from twinpix.pipeline.index import Vectors, import_faiss
from twinpix.pipeline.scan.cells import ROUNDS, Cells, fit_cells
from twinpix.pipeline.simulate.likeness import Likeness

AT_ONCE = 2048  # cells
BLOCK = 1 << 16


def draw_cells(likeness: Likeness, cells: int, trained_on: int, dice: np.random.Generator) -> Cells:
    """Cells of vectors like these.

    Args:
        cells: how many.
        trained_on: vectors in all, from which they are learned.
    """
    if cells <= AT_ONCE:
        return fit_cells(likeness.draw(trained_on, dice), cells)
    first = fit_cells(likeness.draw(64 * round(cells**0.5), dice), round(cells**0.5))
    sample = np.concatenate([turned(first, likeness.draw(BLOCK, dice)) for _ in range(-(-trained_on // BLOCK))])
    coarse = Cells(first.centres).assign(sample, 1)[:, 0]
    parts = _shares(np.bincount(coarse, minlength=len(first)), cells)
    order = np.argsort(coarse, kind="stable")
    ends = np.cumsum(np.bincount(coarse, minlength=len(first)))
    rows = np.split(order, ends[:-1])
    centres = [_means(sample[some], part) for some, part in zip(rows, parts, strict=True) if part]
    return Cells(np.concatenate(centres), first.basis, first.shift)


def turned(cells: Cells, vectors: Vectors) -> Vectors:
    """Vectors in the dimensions of the centres, float32 (n, d)."""
    if cells.basis is None or cells.shift is None:
        return vectors
    return np.asarray(vectors @ cells.basis.T + cells.shift, np.float32)


def _shares(counts: np.ndarray[tuple[int], np.dtype[np.intp]], whole: int) -> list[int]:
    # in proportion, and all in all exactly
    ends = np.round(np.cumsum(counts) / counts.sum() * whole).astype(int)
    return [int(part) for part in np.diff(ends, prepend=0)]


def _means(rows: Vectors, count: int) -> Vectors:
    means = import_faiss().Kmeans(rows.shape[1], count, niter=ROUNDS, min_points_per_centroid=1)
    means.train(np.ascontiguousarray(rows))
    return np.array(means.centroids, np.float32)
