"""Bytes and seconds of the files between the stages, measured on small ones."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from twinpix.pipeline.index import Vectors
from twinpix.pipeline.save import import_pyarrow
from twinpix.pipeline.simulate.clock import Clock


def bucket_costs(members: Vectors) -> tuple[float, float]:
    """A file of the vectors of a cell: bytes a vector, and seconds of CPU to write and read one.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    arrow, parquet = import_pyarrow()
    clock = Clock()
    with clock("both"):
        flat = arrow.array(np.ascontiguousarray(members).reshape(-1), arrow.float32())
        vectors = arrow.FixedSizeListArray.from_arrays(flat, members.shape[1])
        written = _written({"id": np.arange(len(members), dtype=np.int64) * 7, "vector": vectors})
        parquet.read_table(io.BytesIO(written))
    return len(written) / len(members), clock.seconds["both"] / len(members)


def pair_bytes(pairs: int = 100_000) -> float:
    """A file of pairs: bytes of each."""
    dice = np.random.default_rng(0)
    i = np.sort(dice.integers(0, 20 * pairs, pairs))
    columns = {"i": i, "j": i + dice.integers(1, 10**6, pairs), "distance": dice.random(pairs, np.float32)}
    return len(_written(columns)) / pairs


def _written(columns: Mapping[str, Any]) -> bytes:
    arrow, parquet = import_pyarrow()
    target = io.BytesIO()
    parquet.write_table(arrow.table(dict(columns)), target, compression="zstd")
    return target.getvalue()
