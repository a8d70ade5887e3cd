"""Vectors as they are stored -> embeddings of the files on the disk, every row checked against its digest."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np

from twinpix.pipeline.library.add import Roots, known_failures
from twinpix.pipeline.library.generations import Generation
from twinpix.pipeline.library.read import Stamp, stamp_at
from twinpix.pipeline.library.schema import is_sound
from twinpix.pipeline.library.store import rows_below
from twinpix.pipeline.report import Embeddings, Skipped

VECTOR = "SELECT * FROM vectors WHERE fingerprint = ? AND content = ?"


def stored_embeddings(connection: sqlite3.Connection, generation: Generation, roots: Roots) -> Embeddings:
    """The files known under `roots`, by name as bytes; those without a vector, or changed since, are in `.skipped`.

    Raises:
        sqlite3.DatabaseError: a row is damaged.
    """
    files = rows_below(connection, "files", roots)
    vectors = np.empty((len(files), generation.dim), np.float32)
    failed, paths, skipped = known_failures(connection), list[Path](), list[Skipped]()
    for name, *columns, _, content in files:
        path = Path(os.fsdecode(name))
        stored = _vector(connection, generation, content)
        if content in failed:
            skipped.append(Skipped(path, failed[content].reason, f"{path}: {failed[content]}"))
        elif stored is None:
            skipped.append(Skipped(path, "not_encoded", f"{path}: not encoded by this model yet: add it again"))
        elif stamp_at(path) not in (None, Stamp(*columns)):
            skipped.append(Skipped(path, "changed", f"{path}: changed since it was added: add it again"))
        else:
            vectors[len(paths)] = np.frombuffer(stored, "<f4")
            paths.append(path)
    return Embeddings(tuple(paths), vectors[: len(paths)], generation.fingerprint, tuple(skipped))


def _vector(connection: sqlite3.Connection, generation: Generation, content: bytes) -> bytes | None:
    row = connection.execute(VECTOR, (generation.fingerprint.encode(), content)).fetchone()
    if row is None:
        return None
    if not is_sound("vectors", row) or len(row[2]) != 4 * generation.dim:
        raise sqlite3.DatabaseError("a damaged row in vectors")
    return bytes(row[2])


def on_disk(embeddings: Embeddings) -> Embeddings:
    """Without the files that are gone: they are in `.skipped` as vanished."""
    there = np.array([path.exists() for path in embeddings.paths], bool)
    gone = [path for path, is_there in zip(embeddings.paths, there, strict=True) if not is_there]
    paths = tuple(path for path, is_there in zip(embeddings.paths, there, strict=True) if is_there)
    skipped = tuple(Skipped(path, "vanished", f"{path}: no such file") for path in gone)
    return Embeddings(paths, embeddings.vectors[there], embeddings.fingerprint, embeddings.skipped + skipped)
