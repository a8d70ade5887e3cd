"""The embeddings of a library in a file, as encode-images writes them."""

from __future__ import annotations

import os
from pathlib import Path

from twinpix.pipeline.report import Embeddings
from twinpix.pipeline.save import save_embeddings
from twinpix.pipeline.stream import Chunk

AT_ONCE = 1024  # rows at a time: as text they take twenty times as much memory


def export_embeddings(stored: Embeddings, target: str | os.PathLike[str]) -> int:
    """Write them to a `.parquet`, `.npz` or `.jsonl` file; how many there were.

    Raises:
        InputError, MissingPackageError: the file can't be written.
    """
    n, dim = stored.vectors.shape
    rows = (slice(start, start + AT_ONCE) for start in range(0, n, AT_ONCE))
    chunks = (Chunk(stored.paths[some], stored.vectors[some], ()) for some in rows)
    return save_embeddings(Path(target), chunks, stored.fingerprint, dim)
