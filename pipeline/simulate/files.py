"""Bytes and seconds of the files between the stages, measured on some that the scan's own code writes."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Vectors
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.cell_stages import bucket_of
from twinpix.pipeline.scan.pairs import write_pairs
from twinpix.pipeline.simulate.clock import Clock
from twinpix.pipeline.simulate.setting import Setting

ROWS, GROUPS = 20_000, 300  # that are written, to see what one takes
OPENED = 1000  # row groups


def shuffle_costs(vectors: Vectors, group: float) -> tuple[float, float]:
    """A file of the shuffle, as `cell_stages.assign` writes it: bytes and seconds of CPU of a vector, written and read.

    Args:
        group: vectors of one bucket in the file, a row group.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    clock, size = Clock(), max(1, round(group))
    rows = vectors[: max(size, min(len(vectors), ROWS, GROUPS * size))]
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        target = str(Path(folder, "assigned.parquet"))
        write_shuffled(target, rows[:1], 1)  # what is loaded at the first time does not count
        with clock("files"):
            written = write_shuffled(target, rows, size)
    return written / len(rows), clock.seconds["files"] / len(rows)


def seconds_to_find(setting: Setting, vectors: Vectors) -> float:
    """CPU to find all buckets: each join opens every file of the shuffle, and each file lists all its row groups."""
    clock, few = Clock(), vectors[:OPENED]
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        target = str(Path(folder, "assigned.parquet"))
        write_shuffled(target, few, 1)
        with clock("open"):
            store.facts_of(target)
            store.read(target, ["cell"], part=0)
    files = -(-setting.images // setting.together)
    groups = min(setting.buckets, setting.together * setting.nearest)
    return setting.buckets * files * clock.seconds["open"] * max(0.1, groups / len(few))


def write_shuffled(target: str, rows: Vectors, group: int) -> int:
    """Write and read a file of so many vectors a row group; its bytes."""
    starts = range(0, len(rows), group)
    parts = (
        {
            "cell": np.full(len(rows[start : start + group]), start, np.int32),
            "id": start + 7 * np.arange(len(rows[start : start + group]), dtype=np.int64),
            "vector": store.vector_column(rows[start : start + group]),
        }
        for start in starts
    )
    store.write_parts(target, parts, {"buckets": ",".join(map(str, range(len(starts))))})
    with store.opened(target) as file:  # opening is counted by `seconds_to_find`
        for part in range(len(starts)):
            store.vectors_in(file.read_row_group(part))
    return store.size_of(target)


def write_bucketed(
    target: str, vectors: Vectors, rows: NDArray[np.intp], cell: NDArray[np.intp], setting: Setting
) -> int:
    """Write and read what `cell_stages.assign` would of these rows, ordered by cell; bytes."""
    bucket = bucket_of(cell.astype(np.int32), setting.cells, setting.buckets)
    edges = np.flatnonzero(np.diff(bucket, prepend=-1, append=-1)).tolist()
    parts = (
        {
            "cell": cell[a:b].astype(np.int32),
            "id": rows[a:b].astype(np.int64),
            "vector": store.vector_column(vectors[rows[a:b]]),
        }
        for a, b in pairwise(edges)
    )
    store.write_parts(target, parts, {"buckets": ",".join(map(str, bucket[edges[:-1]].tolist()))})
    with store.opened(target) as file:
        for part in range(len(edges) - 1):
            store.vectors_in(file.read_row_group(part))
    return store.size_of(target)


def vector_bytes(vectors: Vectors) -> float:
    """A file of embeddings: bytes of each."""
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        target = str(Path(folder, "vectors.parquet"))
        store.write(target, {"vector": store.vector_column(vectors[:ROWS])})
        return store.size_of(target) / len(vectors[:ROWS])


def pair_bytes(pairs: int = 100_000) -> float:
    """A file of pairs: bytes of each."""
    dice = np.random.default_rng(0)
    i = np.sort(dice.integers(0, 20 * pairs, pairs))
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        target = str(Path(folder, "pairs.parquet"))
        write_pairs(target, (i, i + dice.integers(1, 10**6, pairs), dice.random(pairs, np.float32)))
        return store.size_of(target) / pairs
