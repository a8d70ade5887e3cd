"""Comparing with every vector."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from twinpix.pipeline.index import Ids, Vectors, import_faiss
from twinpix.pipeline.index.faiss_l2 import ROUNDING, FaissIndex, main_dimensions


class FlatIndex(FaissIndex):
    """Looks at every vector, perhaps in fewer dimensions.

    Args:
        dim: length of a vector.
        transform: of `main_dimensions`.
    """

    def __init__(self, dim: int, transform: Any | None = None) -> None:
        faiss = import_faiss()
        flat = faiss.IndexFlatL2(dim if transform is None else transform.d_out)
        whole = flat if transform is None else faiss.IndexPreTransform(transform, flat)
        super().__init__(faiss.IndexIDMap2(whole), "exact", ROUNDING, is_exact=True)
        self._parts = (flat, whole, transform)  # FAISS does not own them

    @classmethod
    def like(cls, sample: Vectors) -> Self:
        """An empty one, in the main dimensions of such vectors: float32 (n, dim)."""
        return cls(sample.shape[1], main_dimensions(sample))

    def ids(self) -> Ids:
        """See `Index`."""
        return np.asarray(import_faiss().vector_to_array(self._faiss.id_map), np.int64)
