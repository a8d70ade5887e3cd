"""Writing embeddings to a file, chunk by chunk: .npz, .parquet or .jsonl. A kill leaves no half file."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from twinpix.encoder.errors import MissingPackageError
from twinpix.pipeline.stream import Chunk
from twinpix.pipeline.target import check_writable, written_whole

Writer = Callable[[Path, Iterable[Chunk], str, int], int]


def save_embeddings(target: Path, chunks: Iterable[Chunk], fingerprint: str, dim: int) -> int:
    """Write chunks as they come; the format follows from the name.

    Args:
        target: `.npz` (paths, embeddings, fingerprint; no pickle), `.parquet` or `.jsonl`.
        chunks: from `stream`.
        fingerprint: of the encoder.
        dim: of the embeddings.

    Returns:
        How many images were written.

    Raises:
        InputError: an unknown ending, or the file can't be written.
        MissingPackageError: Parquet needs the extra `parquet`.
    """
    check_target(target)
    with written_whole(target) as temporary:
        return WRITERS[target.suffix.lower()](temporary, chunks, fingerprint, dim)


def check_target(target: Path) -> None:
    """Raises InputError or MissingPackageError early, before hours of encoding."""
    check_writable(target, tuple(WRITERS))
    if target.suffix.lower() == ".parquet":
        import_pyarrow()


def _write_npz(path: Path, chunks: Iterable[Chunk], fingerprint: str, dim: int) -> int:
    # vectors go to disk at once; only the paths wait in memory
    paths: list[str] = []
    raw = path.with_suffix(".raw")
    try:
        with open(raw, "wb") as rows:
            for chunk in chunks:
                rows.write(np.ascontiguousarray(chunk.vectors, "<f4").tobytes())
                paths.extend(str(p) for p in chunk.paths)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            with archive.open("embeddings.npy", "w", force_zip64=True) as member, open(raw, "rb") as rows:
                header = {"descr": "<f4", "fortran_order": False, "shape": (len(paths), dim)}
                npy.write_array_header_1_0(member, header)
                _copy(rows, member)
            _add_array(archive, "paths", np.array(paths, dtype=np.str_))
            _add_array(archive, "fingerprint", np.array(fingerprint))
    finally:
        raw.unlink(missing_ok=True)
    return len(paths)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while block := source.read(1 << 20):
        target.write(block)


def _add_array(archive: zipfile.ZipFile, name: str, array: np.ndarray[Any, Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        npy.write_array(member, array, allow_pickle=False)


def _write_jsonl(path: Path, chunks: Iterable[Chunk], fingerprint: str, dim: int) -> int:
    written = 0
    with open(path, "w", encoding="ascii") as lines:
        for chunk in chunks:
            for name, vector in zip(chunk.paths, chunk.vectors.tolist(), strict=True):
                row = {"path": str(name), "embedding": vector, "fingerprint": fingerprint}
                lines.write(json.dumps(row) + "\n")
                written += 1
    return written


def _write_parquet(path: Path, chunks: Iterable[Chunk], fingerprint: str, dim: int) -> int:
    arrow, parquet = import_pyarrow()
    # names are bytes: Arrow's text can't hold the ones that are not UTF-8
    fields = [
        ("path", arrow.string()),
        ("path_bytes", arrow.binary()),
        ("embedding", arrow.list_(arrow.float32(), dim)),
    ]
    schema = arrow.schema(fields, metadata={"fingerprint": fingerprint})
    written = 0
    # an open file: its own name, or that of its folder, may be bytes that Arrow can't take for text
    with open(path, "wb") as file, parquet.ParquetWriter(file, schema, write_page_checksum=True) as writer:
        for chunk in chunks:
            encoded = [os.fsencode(p) for p in chunk.paths]
            texts = [name.decode("utf-8", "backslashreplace") for name in encoded]
            flat = arrow.array(chunk.vectors.reshape(-1), arrow.float32())
            vectors = arrow.FixedSizeListArray.from_arrays(flat, dim)
            writer.write_table(arrow.table([texts, encoded, vectors], schema=schema))
            written += len(encoded)
    return written


def import_pyarrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        MissingPackageError: they are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingPackageError("Parquet needs pyarrow: pip install 'twinpix[parquet]', or another format") from None
    return pyarrow, pyarrow.parquet


WRITERS: dict[str, Writer] = {".npz": _write_npz, ".parquet": _write_parquet, ".jsonl": _write_jsonl}
