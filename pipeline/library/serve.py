"""Vectors as they are stored -> embeddings of the files on the disk, every row checked against its digest."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from heapq import merge
from itertools import compress
from operator import itemgetter
from pathlib import Path

import numpy as np

from twinpix.encoder.errors import InputError
from twinpix.pipeline.library.add import Roots, known_failures
from twinpix.pipeline.library.generations import Generation
from twinpix.pipeline.library.read import Stamp, is_still
from twinpix.pipeline.library.schema import Row, is_sound
from twinpix.pipeline.library.store import below
from twinpix.pipeline.report import Embeddings, Skipped
from twinpix.pipeline.stream import are_numbers, unembedded

FILES_AND_VECTORS = (
    "SELECT files.*, vectors.* FROM files "
    "LEFT JOIN vectors ON vectors.fingerprint = ? AND vectors.content = files.content {} ORDER BY path"
)
FILE_COLUMNS = 8
MOVED_AT_ONCE = 1 << 14  # vectors


def stored_embeddings(connection: sqlite3.Connection, generation: Generation, roots: Roots) -> Embeddings:
    """The files known under `roots`, by name as bytes; those without a vector, or changed since, are in `.skipped`.

    Rows are read one by one: in memory are the vectors, once, and the names.

    Raises:
        sqlite3.DatabaseError: a row is damaged.
    """
    clauses = list(below(roots))
    count = sum(connection.execute(f"SELECT count(*) FROM files {where}", values).fetchone()[0]
                for where, values in clauses)  # fmt: skip
    vectors = np.empty((count, generation.dim), np.float32)
    failed, paths, skipped = known_failures(connection, generation.fingerprint), list[Path](), list[Skipped]()
    for row in _rows(connection, generation.fingerprint, clauses):
        name, *columns, settled, content, _ = _sound("files", row[:FILE_COLUMNS])
        path, stored = Path(os.fsdecode(name)), row[FILE_COLUMNS:]
        if content in failed:
            skipped.append(Skipped(path, failed[content].reason, f"{path}: {failed[content]}"))
        elif stored[0] is None:
            said = f"{path}: not encoded by this model: adding it again does that, or says why not"
            skipped.append(Skipped(path, "not_encoded", said))
        elif is_still(path, Stamp(*columns), settled, content) is False:
            skipped.append(_changed(path))
        elif len(paths) == count:
            raise sqlite3.DatabaseError("more rows in files than there are")
        else:
            vectors[len(paths)] = vector_of(_sound("vectors", stored)[2], generation.dim)
            paths.append(path)
    return _sound_only(Embeddings(tuple(paths), vectors[: len(paths)], generation.fingerprint, tuple(skipped)))


def _changed(path: Path) -> Skipped:
    if path.is_symlink() or path.is_dir():  # adding passes those over
        return Skipped(path, "vanished", f"{path}: no file any more: twinpix library forget-missing")
    return Skipped(path, "changed", f"{path}: changed since it was added: add it again")


def _sound_only(embeddings: Embeddings) -> Embeddings:
    # an earlier twinpix kept all that a model gave
    vectors = embeddings.vectors
    blocks = [vectors[start : start + MOVED_AT_ONCE] for start in range(0, len(vectors), MOVED_AT_ONCE)]
    sound = np.concatenate([np.empty(0, bool), *map(are_numbers, blocks)])
    return _only(embeddings, sound, tuple(map(unembedded, compress(embeddings.paths, ~sound))))


def _rows(connection: sqlite3.Connection, fingerprint: str, clauses: list[tuple[str, list[bytes]]]) -> Iterator[Row]:
    # each file once, by name, also where one root lies in another
    cursors = [connection.execute(FILES_AND_VECTORS.format(where), [fingerprint.encode(), *values])
               for where, values in clauses]  # fmt: skip
    last = None
    for row in merge(*cursors, key=itemgetter(0)):
        if row[0] != last:
            yield row
        last = row[0]


def _sound(table: str, row: Row) -> Row:
    if not is_sound(table, row):
        raise sqlite3.DatabaseError(f"a damaged row in {table}")
    return row


def vector_of(stored: bytes, dim: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A vector as it lies in the table, float32 (dim,).

    Raises:
        sqlite3.DatabaseError: it is damaged.
    """
    if len(stored) != 4 * dim:
        raise sqlite3.DatabaseError("a damaged row in vectors")
    return np.frombuffer(stored, "<f4")


def check_known(roots: Roots, embeddings: Embeddings) -> None:
    """Raises InputError where one of the roots is a slip: none of the files is it, or lies below it."""
    if not roots:
        return
    known = {*embeddings.paths, *(one.path for one in embeddings.skipped)}
    folders = {path.parent for path in known}
    places = known | folders | {above for folder in folders for above in folder.parents}
    for root in roots:
        if Path(os.path.realpath(root)) not in places:
            raise InputError(f"{root}: the library knows nothing there: add it first (twinpix library add)")


def on_disk(embeddings: Embeddings) -> Embeddings:
    """Without the files that are gone: they are in `.skipped` as vanished. The vectors given are used up."""
    there = np.array([os.path.exists(path) for path in embeddings.paths], bool)
    gone = [path for path, is_there in zip(embeddings.paths, there, strict=True) if not is_there]
    return _only(embeddings, there, tuple(_absent(path) for path in gone))


def _absent(path: Path) -> Skipped:
    try:
        path.stat()
    except PermissionError:
        return Skipped(path, "permission_denied", f"{path}: no permission to look there")
    except OSError:
        pass
    return Skipped(path, "vanished", f"{path}: no such file")


def _only(
    embeddings: Embeddings, rows: np.ndarray[tuple[int], np.dtype[np.bool_]], skipped: tuple[Skipped, ...]
) -> Embeddings:
    # vectors move up in place: a million of them are not to be in memory twice
    kept, vectors = np.flatnonzero(rows), embeddings.vectors
    for start in range(0, len(kept), MOVED_AT_ONCE) if len(kept) < len(rows) else ():
        some = kept[start : start + MOVED_AT_ONCE]
        vectors[start : start + len(some)] = vectors[some]
    paths = tuple(embeddings.paths[row] for row in kept.tolist())
    return Embeddings(paths, vectors[: len(kept)], embeddings.fingerprint, embeddings.skipped + skipped)
