"""The second stage for very many pictures, as functions on files: cells are fitted, vectors assigned, cells joined."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Ids, Pairs, Vectors, exact_distances
from twinpix.pipeline.index.recall import plant
from twinpix.pipeline.save import import_pyarrow
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.cells import Cells, fit_cells, join, merge
from twinpix.pipeline.scan.embedded import read_vectors
from twinpix.pipeline.scan.pairs import write_pairs

Starts = NDArray[np.int64]
BLOCK = 65_536  # vectors compared with planted copies at a time
NEARER = 1e-4  # L2; what rounding may make of the same distance


def gather(files: Sequence[str], starts: Starts, rows: NDArray[np.intp]) -> Vectors:
    """Some rows of all vectors, ascending: float32 (r, dim).

    Args:
        files: k, of the first stage.
        starts: int64 (k + 1,), the first row of each.
    """
    of_file = np.searchsorted(starts, rows, "right") - 1
    return np.concatenate([read_vectors(files[k])[rows[of_file == k] - starts[k]] for k in np.unique(of_file).tolist()])


def fit(files: tuple[str, ...], starts: Starts, sample: int, cells: int, target: str) -> None:
    """Cells, from a sample of the vectors that is spread evenly over the files."""
    rows = np.unique(np.linspace(0, starts[-1] - 1, min(sample, int(starts[-1]))).astype(np.intp))
    made = fit_cells(gather(files, starts, rows), cells)
    parts = [made.centres, *(() if made.basis is None or made.shift is None else (made.basis, made.shift[None]))]
    arrow, _ = import_pyarrow()
    columns = {
        "part": np.concatenate([np.full(len(part), k, np.int8) for k, part in enumerate(parts)]),
        "values": arrow.array([row for part in parts for row in part.tolist()], arrow.list_(arrow.float32())),
    }
    store.write(target, columns)


@lru_cache(1)
def read_cells(file: str) -> Cells:
    """What `fit` wrote; kept for the next task of this process."""
    table = store.read(file)
    part, values = table.column("part").to_numpy(), table.column("values").to_pylist()
    parts = [
        np.array([row for row, k in zip(values, part.tolist(), strict=True) if k == number], np.float32)
        for number in range(3)
    ]
    return Cells(parts[0]) if not len(parts[1]) else Cells(parts[0], parts[1], parts[2][0])


def plant_copies(
    files: tuple[str, ...], starts: Starts, reach: float, rows: NDArray[np.intp], seed: int, target: str
) -> None:
    """A copy of each of these rows somewhere within `reach` (L2), as `recall.plant` makes them; own, copy, distance."""
    own = gather(files, starts, rows)
    planted = plant(own, np.arange(len(own)), reach, 0, seed)
    both = np.concatenate([own[planted.rows], planted.copies])
    n = len(planted.rows)
    distance = exact_distances(both, np.arange(n), np.arange(n, 2 * n))
    columns = {"own": store.vector_column(own[planted.rows]), "copy": store.vector_column(planted.copies)}
    store.write(target, {**columns, "distance": distance})


def count_nearer(files: tuple[str, ...], planted: str, target: str) -> None:
    """How many of the vectors in some files lie nearer to each planted copy than its own picture does."""
    table = store.read(planted)
    copies, reach = store.vectors_in(table, "copy"), table.column("distance").to_numpy()
    nearer = np.zeros(len(copies), np.int64)
    for file in files:
        vectors = read_vectors(file)
        for start in range(0, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK]
            squared = (copies**2).sum(1)[:, None] + (block**2).sum(1) - 2 * (copies @ block.T)
            nearer += (np.sqrt(np.maximum(squared, 0)) < (reach - NEARER)[:, None]).sum(1)
    store.write(target, {"nearer": nearer})


def bucket_of(cells: NDArray[np.int32], count: int, buckets: int) -> NDArray[np.int32]:
    """The bucket that a cell belongs to: neighbours in number, of `count` cells."""
    return np.asarray(cells.astype(np.int64) * buckets // count, np.int32)


def assign(
    files: tuple[str, ...], firsts: tuple[int, ...], left: NDArray[np.intp], cells: str, nearest: int, buckets: int,
    target: str,
) -> None:  # fmt: skip
    """The vectors of some files, each with its cells, sorted by bucket: the shuffle. A bucket is a row group.

    Columns: `cell`, `id` (row of all vectors), `vector`; `buckets` beside the table says which row groups there are.

    Args:
        files, firsts: k, and the row number of the first vector of each.
        left: rows that are not compared.
        cells: of `fit`.
        nearest: how many cells each vector lies in.
    """
    fitted = read_cells(cells)
    parts = [read_vectors(file) for file in files]
    vectors = np.concatenate(parts)
    ids = np.concatenate([first + np.arange(len(part)) for first, part in zip(firsts, parts, strict=True)])
    compared = ~np.isin(ids, left)
    vectors, ids = vectors[compared], ids[compared]
    found = fitted.assign(vectors, nearest)
    cell, row = found.ravel(), np.repeat(np.arange(len(vectors)), found.shape[1])
    order = np.lexsort((ids[row], cell))
    cell, row = cell[order], row[order]
    bucket = bucket_of(cell, len(fitted), buckets)
    there = np.unique(bucket)
    edges = np.searchsorted(bucket, [*there, buckets])
    groups = [slice(a, b) for a, b in pairwise(edges.tolist())] or [slice(0, 0)]
    store.write_parts(
        target,
        (
            {"cell": cell[g], "id": ids[row[g]].astype(np.int64), "vector": store.vector_column(vectors[row[g]])}
            for g in groups
        ),
        {"buckets": ",".join(map(str, there.tolist()))},
    )


def bucket_sizes(files: Sequence[str], buckets: int) -> NDArray[np.int64]:
    """How many vectors each bucket holds in all, without reading any."""
    sizes = np.zeros(buckets, np.int64)
    for file in files:
        with store.opened(file) as table:
            for group, bucket in enumerate(_buckets_in(file)):
                sizes[bucket] += table.metadata.row_group(group).num_rows
    return sizes


def _buckets_in(file: str) -> list[int]:
    return [int(bucket) for bucket in store.facts_of(file)["buckets"].split(",") if bucket]


def join_bucket(
    files: tuple[str, ...], bucket: int, part: int, parts: int, reach: float, sure: float, most: int, target: str
) -> None:
    """The pairs of all cells of a bucket.

    Args:
        files: of `assign`; all of them.
        part, parts: of a hot bucket, the pairs as one portion of each cell's vectors sees them.
        reach, sure, most: as of `cells.join`.
    """
    cell, ids, vectors = _read_bucket(files, bucket)
    found = list[Pairs]()
    edges = np.flatnonzero(np.diff(cell, prepend=-1, append=-1)) if len(cell) else np.array([0])
    for start, end in pairwise(edges.tolist()):
        rows = np.array_split(np.arange(end - start), parts)[part]
        if len(rows):
            seen_from = None if parts == 1 else rows
            found.append(join(vectors[start:end], ids[start:end], reach, sure, most, seen_from=seen_from))
    write_pairs(target, merge(found))


def _read_bucket(files: Sequence[str], bucket: int) -> tuple[NDArray[np.int32], Ids, Vectors]:
    tables = []
    for file in files:
        there = _buckets_in(file)
        if bucket in there:
            tables.append(store.read(file, part=there.index(bucket)))
    if not tables:
        return np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, 1), np.float32)
    cell = np.concatenate([table.column("cell").to_numpy() for table in tables])
    ids = np.concatenate([table.column("id").to_numpy() for table in tables])
    vectors = np.concatenate([store.vectors_in(table) for table in tables])
    order = np.lexsort((ids, cell))
    return cell[order], ids[order], vectors[order]
