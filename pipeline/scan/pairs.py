"""The second stage: embeddings -> files of pairs that lie near one another: of all, or of those that meet in a cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.duplicates import ranked
from twinpix.pipeline.index import Index, Pairs, Vectors
from twinpix.pipeline.index.near import candidate_pairs, flat_index
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.embedded import all_vectors, read_names

Rows = NDArray[np.intp]
ENDS = "ends"
_building = Lock()


def join_portion(
    files: tuple[str, ...], key: str, left: tuple[int, ...], dim: int, reach: float, sure: float, most: int,
    first: int, last: int, target: str,
) -> None:  # fmt: skip
    """The pairs that pictures see among all: together, what comparing everything gives.

    Args:
        files: of the first stage; all of them.
        key: of the `Embedded`.
        left: rows that are not compared.
        dim: length of a vector.
        reach, sure: L2, see `cells.join`.
        most: how many beyond `sure` are kept of each picture; 0: all.
        first, last: of those that are compared.
    """
    kept, vectors, index, rank = _whole(files, key, left, dim)
    ends: list[int] = []
    rows = np.arange(first, last)
    i, j, distance = candidate_pairs(vectors, index, reach, sure, most, rank, rows, within=ends.append)
    write_pairs(target, (kept[i], kept[j], distance), sum(ends))


def _whole(files: tuple[str, ...], key: str, left: tuple[int, ...], dim: int) -> tuple[Rows, Vectors, Index, Rows]:
    with _building:  # threads of one process share it
        return _made(files, key, left, dim)


@lru_cache(1)
def _made(files: tuple[str, ...], key: str, left: tuple[int, ...], dim: int) -> tuple[Rows, Vectors, Index, Rows]:
    vectors, rank = all_vectors(files, key, dim), ranked(read_names(files))[1]
    kept = np.delete(np.arange(len(vectors)), left)
    vectors = vectors[kept] if left else vectors
    return kept, vectors, flat_index(vectors), rank[kept]


def write_pairs(target: str, pairs: Pairs, ends: int = 0) -> None:
    """Rows and distances; and how many ends of pairs were seen, kept or not."""
    i, j, distance = pairs
    store.write(target, {"i": i.astype(np.int64), "j": j.astype(np.int64), "distance": distance}, {ENDS: str(ends)})


def count_ends(files: Sequence[str]) -> int:
    """How many ends of pairs were seen, in all."""
    return sum(int(store.facts_of(file)[ENDS]) for file in files)


def read_pairs(files: Sequence[str]) -> list[Pairs]:
    """Those of each file."""
    found = []
    for file in files:
        table = store.read(file)
        i, j = (table.column(name).to_numpy().astype(np.intp) for name in ("i", "j"))
        found.append((i, j, table.column("distance").to_numpy().astype(np.float32)))
    return found
