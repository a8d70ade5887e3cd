"""K-means blocks: only vectors of one block are compared, as in unsupervised pipelines of autoencoder and k-means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Pairs, import_faiss
from twinpix.pipeline.index.near import pairs_within

ROUNDS = 20  # of k-means


@dataclass(frozen=True)
class Blocks:
    """Centres of k-means; each vector belongs to the nearest one.

    Comparing inside blocks takes about 1/k of the work, and loses every pair that the border between two blocks
    separates: a copy that fell into another block than its original is not found, however small their distance.
    Recall of the blocks alone is the share of copies with `assign(copy) == assign(original)`.

    Attributes:
        centres: float32 (k, dim).
    """

    centres: NDArray[np.float32]

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], k: int = 20, seed: int = 0) -> Blocks:
        """K-means by FAISS (Lloyd 1982).

        Args:
            vectors: float32 (n, dim).
            k: how many blocks; n, if there are fewer vectors.
            seed: fixes the first centres.

        Raises:
            MissingPackageError: FAISS is not installed.
            ValueError: `k` is less than 1.
        """
        if k < 1:
            raise ValueError(f"k-means needs at least one block, not {k}")
        rows = np.ascontiguousarray(vectors, np.float32)
        if len(rows) <= k:
            return cls(rows)
        # 256 points a centre are enough by FAISS's own measure; it takes a random draw of more
        means = import_faiss().Kmeans(rows.shape[1], k, niter=ROUNDS, seed=seed, min_points_per_centroid=1)
        means.train(rows)
        return cls(np.array(means.centroids, np.float32))

    def assign(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """The block of each vector: float32 (n, dim) -> int64 (n,), 0..k-1."""
        if len(vectors) == 0:
            return np.empty(0, np.int64)
        index = import_faiss().IndexFlatL2(self.centres.shape[1])
        index.add(self.centres)
        _, nearest = index.search(np.ascontiguousarray(vectors, np.float32), 1)
        return np.asarray(nearest[:, 0], np.int64)

    def pairs(self, vectors: NDArray[np.float32], max_distance: float) -> Pairs:
        """Pairs i < j of one block within `max_distance` (L2), in the form of `pairs_within`."""
        block = self.assign(vectors)
        found = [_pairs_among(np.flatnonzero(block == b), vectors, max_distance) for b in np.unique(block)]
        if not found:
            return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
        i, j, distance = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.lexsort((j, i))
        return i[order], j[order], distance[order]


def _pairs_among(rows: NDArray[np.intp], vectors: NDArray[np.float32], max_distance: float) -> Pairs:
    i, j, distance = pairs_within(vectors[rows], max_distance)
    return rows[i], rows[j], distance
