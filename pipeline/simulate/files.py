"""Bytes and seconds of the files between the stages, measured on some that the scan's own code writes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Vectors
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.pairs import write_pairs
from twinpix.pipeline.simulate.clock import Clock


def bucket_costs(cells: Sequence[Vectors]) -> tuple[float, float]:
    """Files of the vectors of some cells: bytes a vector, and seconds of CPU to write and read one.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    clock, size = Clock(), 0
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        target = str(Path(folder, "cell.parquet"))
        write_and_read(target, np.arange(1), cells[0][:1])  # what is loaded at the first time does not count
        for members in cells:
            clock.rest()
            with clock("files"):
                size += write_and_read(target, np.arange(len(members), dtype=np.int64) * 7, members)
    rows = sum(map(len, cells))
    return size / rows, clock.seconds["files"] / rows


def write_and_read(target: str, ids: NDArray[np.int64], members: Vectors) -> int:
    """Write the file of a cell, int64 (n,) and float32 (n, dim), and read it; its bytes."""
    store.write(target, {"id": ids, "vector": store.vector_column(members)})
    store.vectors_in(store.read(target))
    return store.size_of(target)


def pair_bytes(pairs: int = 100_000) -> float:
    """A file of pairs: bytes of each."""
    dice = np.random.default_rng(0)
    i = np.sort(dice.integers(0, 20 * pairs, pairs))
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        target = str(Path(folder, "pairs.parquet"))
        write_pairs(target, (i, i + dice.integers(1, 10**6, pairs), dice.random(pairs, np.float32)))
        return store.size_of(target) / pairs
