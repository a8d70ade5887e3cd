"""Comparing inside k-means cells (Sivic & Zisserman 2003; Jégou 2011): fast, and some pairs are missed.

HNSW is not among the indexes: of 100,000 vectors it took longer to build alone than this one takes in all, it needs
1.3 kB a vector, and can't take vectors out again.
"""

from __future__ import annotations

import math

import numpy as np

from twinpix.pipeline.index import Ids, Vectors, import_faiss
from twinpix.pipeline.index.faiss_l2 import ROUNDING, FaissIndex, main_dimensions

CODES = {"Flat": ROUNDING, "SQ8": 0.02}  # how vectors are kept (4 bytes a value, or 1); L2 that this adds, at most
TRAINED_ON = 64  # vectors a cell
ROUNDS = 8  # of k-means


class IvfIndex(FaissIndex):
    """Each vector lies in the cell of its nearest centre; a query looks into the `probes` cells nearest to it.

    Args:
        sample: float32 (n, dim), what the centres are learned from.
        cells: how many; as many as there are vectors in the sample, at most.
        codes: `Flat` or `SQ8`, which takes a quarter of the memory.
    """

    def __init__(self, sample: Vectors, cells: int, codes: str = "Flat") -> None:
        faiss, transform, cells = import_faiss(), main_dimensions(sample), max(1, min(cells, len(sample)))
        dim = sample.shape[1] if transform is None else transform.d_out
        self._ivf = faiss.index_factory(dim, f"IVF{cells},{codes}")
        whole = self._ivf if transform is None else faiss.IndexPreTransform(transform, self._ivf)
        means = self._ivf.cp
        means.niter, means.max_points_per_centroid, means.min_points_per_centroid = ROUNDS, TRAINED_ON, 1
        whole.train(np.ascontiguousarray(sample, np.float32))
        name = f"IVF{cells},{codes}" if transform is None else f"PCA{dim},IVF{cells},{codes}"
        super().__init__(whole, name, CODES[codes], is_exact=False)
        self.cells, self._transform = cells, transform

    @property
    def probes(self) -> int:
        """How many cells a query looks into, 1..`cells`."""
        return int(self._ivf.nprobe)

    @probes.setter
    def probes(self, count: int) -> None:
        self._ivf.nprobe = max(1, min(count, self.cells))

    def ids(self) -> Ids:
        """See `Index`: cell by cell."""
        faiss, lists = import_faiss(), self._ivf.invlists
        sizes = [lists.list_size(cell) for cell in range(self.cells)]
        parts = [faiss.rev_swig_ptr(lists.get_ids(cell), size).copy() for cell, size in enumerate(sizes) if size]
        return np.concatenate([np.empty(0, np.int64), *parts])


def cells_for(images: int) -> int:
    """Cells that make looking for the cells and looking into them about equally dear: 4 sqrt(n)."""
    return max(1, round(4 * math.sqrt(images)))
