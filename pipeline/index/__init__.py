"""Vectors that lie near one another: exactly, or by an index of FAISS; or kept in Milvus or PostgreSQL.

`policy` chooses the index, `near` finds pairs with it, `stores` opens one that is kept elsewhere. One file a kind of
index; plain L2 at every door: that FAISS speaks squared L2 is known in `faiss_l2` only, that Milvus does in `milvus`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import InputError, MissingPackageError

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]
Pairs = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]


class Index(Protocol):
    """Vectors by id, found by their L2 distance.

    Attributes:
        name: what it is, for people.
        error: how far a distance that it tells may be above the true one (L2). It may be below it by more: the
            pipeline measures again what it keeps.
        is_exact: whether it looks everywhere.
    """

    name: str
    error: float
    is_exact: bool

    def __len__(self) -> int:
        """How many vectors it holds."""
        ...

    def ids(self) -> Ids:
        """int64 (n,), in the order in which they are stored: what is near tends to stand together."""
        ...

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors: int64 (n,) from 0, float32 (n, dim).

        Raises:
            InputError: an id is in it already or comes twice; a vector of another length, or with NaN. None is added.
        """
        ...

    def remove(self, ids: Ids) -> None:
        """Take vectors out; ids that are not in it count for nothing."""
        ...

    def search(self, queries: Vectors, k: int) -> tuple[Ids, Vectors]:
        """The k nearest of each query, closest first: int64 (q, k), float32 (q, k) L2; -1, inf if there are fewer."""
        ...

    def range_search(self, queries: Vectors, max_distance: float) -> Pairs:
        """All within `max_distance` (L2) of each query: rows of `queries`, ids and L2, ordered by row."""
        ...


@dataclass(frozen=True)
class IndexUsed:
    """How pairs were looked for.

    Attributes:
        name: `exact`, or what FAISS calls the index.
        recall: the share of pairs within reach that comparing everything would find and this one does too, 0..1; 1
            where exact. The lower of two measurements: on `planted` copies of pictures in it, at distances spread
            evenly over the reach, and on `pairs` of its own, of pictures that were compared with all.
        planted, pairs: how many; 0 where exact.
        unlisted: pairs within a threshold of one's own that are not among those found, because one of the two lies in a
            crowd (`twinpix.pipeline.index.near`).
        cells, probes: how many k-means cells there are, and how many of them each picture was looked for in; 0 where
            exact.
    """

    name: str = "exact"
    recall: float = 1.0
    planted: int = 0
    cells: int = 0
    probes: int = 0
    pairs: int = 0
    unlisted: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether every pair was compared."""
        return self.cells == 0


EXACT = IndexUsed()


def checked(ids: Ids, vectors: Vectors, dim: int) -> tuple[Ids, Vectors]:
    """What is about to be added, in the types that indexes take.

    Raises:
        InputError: as of `Index.add`, but for what is in the index.
    """
    ids, vectors = np.ascontiguousarray(ids, np.int64), checked_queries(vectors, dim)
    if ids.shape != vectors.shape[:1]:
        raise InputError(f"each vector has one id: {len(vectors)} vectors, ids of shape {ids.shape}")
    if len(ids) and ids.min() < 0:
        raise InputError(f"an id is a whole number from 0, not {ids.min()}")
    refuse_known(ids[:0], ids)
    return ids, vectors


def checked_queries(vectors: Vectors, dim: int, k: int = 1) -> Vectors:
    """Vectors as indexes take them, float32 (n, dim).

    Raises:
        InputError: of another length, or not finite; k is less than 1.
    """
    if k < 1:
        raise InputError(f"k is how many are looked for, 1 or more, not {k}")
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise InputError(f"this index holds vectors of {dim} values, not an array of shape {vectors.shape}")
    if vectors.size and not np.isfinite([vectors.min(), vectors.max()]).all():  # no second array of their size
        raise InputError("a vector with NaN or infinity in it lies nowhere: leave it out")
    return vectors


def refuse_known(known: Ids, new: Ids) -> Ids:
    """All ids, sorted.

    Raises:
        InputError: one of `new` is among `known` (sorted), or comes twice.
    """
    both = np.sort(np.concatenate([known, new]), kind="stable")
    twice = both[1:][both[1:] == both[:-1]]
    if len(twice):
        raise InputError(f"id {twice[0]} is in the index already, or comes twice: remove it first")
    return both


def import_faiss() -> Any:
    """The faiss module.

    Raises:
        MissingPackageError: neither faiss-cpu nor faiss-gpu is installed.
    """
    try:
        import faiss
    except ImportError:
        raise MissingPackageError("FAISS is not installed: pip install 'twinpix[cpu]' (or 'twinpix[gpu]')") from None
    return faiss


def select(pairs: Pairs, where: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Pairs:
    """The pairs that a mask or row numbers name."""
    i, j, distance = pairs
    return i[where], j[where], distance[where]


def places_among_equals(ordered: NDArray[Any]) -> NDArray[np.intp]:
    """Of values in order, (n,), the how-manieth of its equals each one is, from 0: intp (n,)."""
    return np.arange(len(ordered)) - np.searchsorted(ordered, ordered)


def by_distance(groups: NDArray[np.intp], distances: NDArray[np.float32], ties: NDArray[np.intp]) -> NDArray[np.intp]:
    """The order by group, then distance, then tie, intp (k,): that of `np.lexsort`, in a fifth of its time.

    Args:
        groups: 0 to 2**32 - 1.
        distances: not negative: their bits are then in the same order as they are.
        ties: what decides between equal distances of one group.
    """
    keys = groups.astype(np.uint64) << np.uint64(32) | distances.view(np.uint32)
    order = np.argsort(keys)
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    order[tied] = order[tied][np.lexsort((ties[order[tied]], ordered[tied]))]
    return order


def first_of_each(ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Of values in order, (n,), which ones differ from the one before: bool (n,)."""
    return np.append(np.ones(min(1, len(ordered)), bool), ordered[1:] != ordered[:-1])


def exact_distances(
    vectors: NDArray[np.float32], i: NDArray[np.intp], j: NDArray[np.intp], block: int = 512
) -> NDArray[np.float32]:
    """L2 distances of rows i to rows j, exactly 0 for equal rows. float32 (k,).

    Args:
        block: pairs at a time: so few that their vectors stay in a core's cache, which halves the time.
    """
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(i), block):
        gap = vectors[i[start : start + block]] - vectors[j[start : start + block]]
        parts.append(np.sqrt(np.einsum("kd,kd->k", gap, gap)))
    return np.concatenate(parts)
