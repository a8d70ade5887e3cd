"""Comparing inside k-means cells (Sivic & Zisserman 2003; Jégou 2011): fast, and some pairs are missed.

HNSW is not among the indexes: of 100,000 vectors it took longer to build alone than this one takes in all, it needs
1.3 kB a vector, and can't take vectors out again.
"""

from __future__ import annotations

import math

import numpy as np

from twinpix.pipeline.index import Ids, Vectors, import_faiss
from twinpix.pipeline.index.faiss_l2 import ROUNDING, FaissIndex, main_dimensions

# how vectors are kept (4 bytes a value, 1, or a bit; of bits nothing is told); L2 that this adds, at most
CODES = {"Flat": ROUNDING, "SQ8": 0.02, "RaBitQ": 0.0}
TRAINED_ON = 64  # vectors a cell
ROUNDS = 8  # of k-means


class IvfIndex(FaissIndex):
    """Each vector lies in the cell of its nearest centre; a query looks into the `probes` cells nearest to it.

    Args:
        sample: float32 (n, dim), what the centres are learned from.
        cells: how many; as many as there are vectors in the sample, at most.
        codes: `Flat`; `SQ8`, which takes a quarter of the memory; or `RaBitQ`, for `RabitqIndex`.
    """

    def __init__(self, sample: Vectors, cells: int, codes: str = "Flat") -> None:
        faiss, dim, cells = import_faiss(), sample.shape[1], max(1, min(cells, len(sample)))
        of_bits = codes == "RaBitQ"  # of which there should be many, and each tell as much
        transform = faiss.RandomRotationMatrix(dim, dim) if of_bits else main_dimensions(sample)
        dim = dim if transform is None else transform.d_out
        self._ivf = faiss.index_factory(dim, f"IVF{cells},{codes}")
        whole = self._ivf if transform is None else faiss.IndexPreTransform(transform, self._ivf)
        means = self._ivf.cp
        means.niter, means.max_points_per_centroid, means.min_points_per_centroid = ROUNDS, TRAINED_ON, 1
        whole.train(np.ascontiguousarray(sample, np.float32))
        first = "" if transform is None else f"RR{dim}," if of_bits else f"PCA{dim},"
        super().__init__(whole, f"{first}IVF{cells},{codes}", CODES[codes], is_exact=False)
        self.cells, self._transform = cells, transform

    @property
    def probes(self) -> int:
        """How many cells a query looks into, 1..`cells`."""
        return int(self._ivf.nprobe)

    @probes.setter
    def probes(self, count: int) -> None:
        self._ivf.nprobe = max(1, min(count, self.cells))

    def squared_spread(self, sample: Vectors) -> float:
        """The squared L2 distance of vectors from the centres of their cells, on average."""
        moved = sample if self._transform is None else self._transform.apply(np.ascontiguousarray(sample, np.float32))
        return float(self._ivf.quantizer.search(moved, 1)[0].mean())

    def ids(self) -> Ids:
        """See `Index`: cell by cell."""
        faiss, lists = import_faiss(), self._ivf.invlists
        sizes = [lists.list_size(cell) for cell in range(self.cells)]
        parts = [faiss.rev_swig_ptr(lists.get_ids(cell), size).copy() for cell, size in enumerate(sizes) if size]
        return np.concatenate([np.empty(0, np.int64), *parts])


def cells_for(images: int) -> int:
    """Cells that make looking for the cells and looking into them about equally dear: 4 sqrt(n)."""
    return max(1, round(4 * math.sqrt(images)))
