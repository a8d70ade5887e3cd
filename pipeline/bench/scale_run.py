"""One size of `twinpix scale`: a library of drawn vectors, and a process that finds the pairs in it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.duplicates import find_candidates
from twinpix.pipeline.library.generations import State, generations
from twinpix.pipeline.library.serve import stored_embeddings
from twinpix.pipeline.library.store import open_to_read, open_to_write, put, transaction
from twinpix.pipeline.limits import SURE, Limits
from twinpix.pipeline.peak_memory import peak_mb

FINGERPRINT = "drawn"


def fill(folder: Path, vectors: NDArray[np.float32]) -> None:
    """A library of pictures that are nowhere, by the names 0000000.jpg and on, in the order of the rows."""
    with closing(open_to_write(folder)) as connection, transaction(connection):
        put(connection, "generations", [(FINGERPRINT.encode(), vectors.shape[1], State.CURRENT.value)])
        for table in ("files", "vectors"):
            for block in _blocks(len(vectors)):
                put(connection, table, [_row(table, row, vectors) for row in block])


def _row(table: str, row: int, vectors: NDArray[np.float32]) -> tuple[int | bytes, ...]:
    content = row.to_bytes(16, "big")
    if table == "files":
        return os.fsencode(f"/nowhere/{row:07}.jpg"), 0, 0, 0, 0, 1, content
    return FINGERPRINT.encode(), content, vectors[row].tobytes()


def _blocks(count: int, size: int = 10_000) -> Iterator[range]:
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def main() -> None:
    """Read the library, find all pairs, print the figures as JSON."""
    folder, within, index = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] or None
    begun = time.perf_counter()
    with closing(open_to_read(folder)) as connection:
        embeddings = stored_embeddings(connection, generations(connection)[0], ())
    read, cpu = time.perf_counter(), time.process_time()
    (i, j, _), used = find_candidates(embeddings, Limits(within, within, SURE), index)
    seconds, cpu = time.perf_counter() - read, time.process_time() - cpu
    planted, count = np.load(folder / "planted.npy"), len(embeddings.paths)
    found = np.isin(planted.min(1) * count + planted.max(1), i * count + j)
    figures = {"index": asdict(used), "read_seconds": read - begun, "seconds": seconds, "cpu_seconds": cpu,
               "pairs": len(i), "planted": len(planted), "recall": float(found.mean())}  # fmt: skip
    np.save(folder / "found.npy", np.sort(np.minimum(i, j).astype(np.int64) * count + np.maximum(i, j)))
    print(json.dumps({**figures, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
