"""Stage files: Parquet, in a folder of this machine or a store that all workers reach; whole, or not there."""

from __future__ import annotations

import hashlib
import io
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline.replace import replace_synced
from twinpix.pipeline.save import import_pyarrow
from twinpix.pipeline.scan.names import is_url

TEMPORARY = ".tmp"
STAGES = ("embeddings", "cells", "planted", "nearer", "assigned", "pairs", "looks", "relations")  # folders
OURS, PASSING = "twinpix", "passing"  # what is written beside a table: that it is ours; that its troubles may pass
CODEC = "zstd"  # level 1


def key_of(*parts: object) -> str:
    """What a stage file is made of -> its name: 24 hex digits. Whatever changes makes another file."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        data = (
            part.tobytes()
            if isinstance(part, np.ndarray)
            else part
            if isinstance(part, bytes)
            else str(part).encode("utf-8", "surrogateescape")
        )
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and what the URL is called there.

    Raises:
        MissingPackageError: fsspec, or what it needs for such URLs, is not installed.
        InputError: there is no such kind of URL.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingPackageError(f"{url}: URLs need fsspec: pip install 'twinpix[ray]'") from None
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise MissingPackageError(f"{url}: {' '.join(str(error).split())} (with pip)") from None
    except ValueError as error:
        raise InputError(f"{url}: {' '.join(str(error).split())}") from None
    return system, str(path)


def inside(folder: str, *names: str) -> str:
    """A place below a folder or URL."""
    return "/".join((folder.rstrip("/"), *names)) if is_url(folder) else str(Path(folder, *names))


def is_done(place: str) -> bool:
    """Whether a stage file is there, whole, and without troubles that may have passed since."""
    try:
        return exists(place) and not facts_of(place).get(PASSING)
    except InputError:
        return False


def exists(place: str) -> bool:
    """Whether a stage file is there."""
    if not is_url(place):
        return Path(place).exists()
    system, path = file_system(place)
    return bool(system.exists(path))


def size_of(place: str) -> int:
    """Bytes of a stage file."""
    if not is_url(place):
        return Path(place).stat().st_size
    system, path = file_system(place)
    return int(system.size(path))


def remove(place: str) -> None:
    """Remove a file, if it is there."""
    if not is_url(place):
        Path(place).unlink(missing_ok=True)
        return
    system, path = file_system(place)
    with suppress(FileNotFoundError):
        system.rm_file(path)


def write(place: str, columns: dict[str, Any], facts: dict[str, str] | None = None) -> None:
    """A table of Arrow arrays, NumPy arrays or lists, in one piece."""
    write_parts(place, [columns], facts)


def write_parts(place: str, parts: Iterable[dict[str, Any]], facts: dict[str, str] | None = None) -> None:
    """The same, part by part: each that has rows is a row group. It gets its name when it is finished."""
    arrow, parquet = import_pyarrow()
    with _written(place) as file:
        writer = None
        try:
            for columns in parts:
                table = arrow.table(columns)
                if writer is None:
                    schema = table.schema.with_metadata({OURS: "1", **(facts or {})})
                    how = _encodings(schema)
                    writer = parquet.ParquetWriter(file, schema, compression=CODEC, write_page_checksum=True, **how)
                if len(table):
                    writer.write_table(table.replace_schema_metadata(schema.metadata), row_group_size=len(table))
        finally:
            if writer is not None:
                writer.close()


def _encodings(schema: Any) -> dict[str, Any]:
    # a dictionary of the values of vectors, in which hardly one comes twice, would make them half as large again; their
    # bytes by significance, as they shrink best, take .86 kB of 1.02
    arrow, _ = import_pyarrow()
    vectors = [field.name for field in schema if arrow.types.is_fixed_size_list(field.type)]
    return {
        "use_dictionary": [name for name in schema.names if name not in vectors],
        "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in vectors},
    }


@contextmanager
def _written(place: str) -> Iterator[IO[bytes]]:
    if is_url(place):  # there an object appears when it is complete
        system, path = file_system(place)
        buffer = io.BytesIO()
        yield buffer
        with suppress(Exception):  # object stores have no folders, others need them
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, buffer.getvalue())
        return
    target = Path(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{TEMPORARY}")
    try:
        with open(temporary, "wb") as file:
            yield file
        replace_synced(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def read(place: str, columns: Sequence[str] | None = None, part: int | None = None) -> Any:
    """An Arrow table.

    Args:
        part: number of a row group; all by default.

    Raises:
        InputError: it is damaged.
    """
    try:
        with opened(place) as file:
            return file.read(columns) if part is None else file.read_row_group(part, columns)
    except MissingPackageError:
        raise
    except Exception as error:  # pyarrow raises anything on flipped bits
        raise InputError(
            f"{place}: damaged ({' '.join(str(error).split())[:120]}): remove it, and scan again"
        ) from None


def facts_of(place: str) -> dict[str, str]:
    """What was written beside a table.

    Raises:
        InputError: it is damaged.
    """
    try:
        with opened(place) as file:
            return {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
    except Exception as error:
        raise InputError(
            f"{place}: damaged ({' '.join(str(error).split())[:120]}): remove it, and scan again"
        ) from None


@contextmanager
def opened(place: str) -> Iterator[Any]:
    """pyarrow's ParquetFile of a stage file."""
    _, parquet = import_pyarrow()
    if not is_url(place):
        with parquet.ParquetFile(place, page_checksum_verification=True) as file:
            yield file
        return
    system, path = file_system(place)
    with system.open(path, "rb") as raw, parquet.ParquetFile(raw, page_checksum_verification=True) as file:
        yield file


def rows(table: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of an Arrow table as plain values."""
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def vectors_in(table: Any, column: str = "vector") -> NDArray[np.float32]:
    """A column of vectors without gaps -> float32 (n, dim)."""
    chunked = table.column(column)
    dim = chunked.type.list_size
    parts = [np.asarray(chunk.flatten(), np.float32).reshape(len(chunk), dim) for chunk in chunked.chunks]
    return np.concatenate([np.empty((0, dim), np.float32), *parts])


def vector_column(vectors: NDArray[np.float32]) -> Any:
    """float32 (n, dim) -> an Arrow column of lists of one size."""
    arrow, _ = import_pyarrow()
    flat = arrow.array(np.ascontiguousarray(vectors, np.float32).reshape(-1), arrow.float32())
    return arrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


STAGE_FILE = re.compile(r"\.?[0-9a-f]{24}\.parquet(\.[0-9a-f]{8}\.tmp)?")


def clear(folder: str, keep: Iterable[str]) -> None:
    """Remove the stage files below a folder of this machine that are not among these, and what kills left half done.

    Files of another name are left alone: people keep Parquet of their own.
    """
    kept = {os.path.abspath(place) for place in keep}
    for stage in STAGES:
        for path in Path(folder, stage).glob("*"):
            if STAGE_FILE.fullmatch(path.name) and os.path.abspath(path) not in kept:
                with suppress(OSError):
                    path.unlink()
