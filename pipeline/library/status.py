"""How much is in a library."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from twinpix.pipeline.library.generations import State, generations, not_yet_encoded
from twinpix.pipeline.library.looks_file import LOOKS_FILE
from twinpix.pipeline.library.place import NAME
from twinpix.pipeline.library.store import sound_rows

UNREADABLE = "SELECT count(*) FROM failures WHERE content IN (SELECT content FROM files)"


@dataclass(frozen=True)
class ModelStatus:
    """How far one model is.

    Attributes:
        fingerprint: of the encoder.
        dim: length of its vectors.
        state: `current` is the one that is read.
        pictures: different contents that it has encoded.
        missing: contents that another model has encoded, and this one has not, and could.
    """

    fingerprint: str
    dim: int
    state: State
    pictures: int
    missing: int


@dataclass(frozen=True)
class Status:
    """What a library holds.

    Attributes:
        path: its folder.
        files: known files, readable or not.
        contents: different ones.
        unreadable: contents that are no readable picture.
        models: one for each generation.
        roots: the folders that were added.
        size: bytes of the library's file.
        looks: outcomes of second looks that are remembered.
    """

    path: Path
    files: int
    contents: int
    unreadable: int
    models: tuple[ModelStatus, ...]
    roots: tuple[Path, ...]
    size: int
    looks: int = 0


def status_of(connection: sqlite3.Connection, folder: Path) -> Status:
    """Count everything."""
    files, contents = connection.execute("SELECT count(*), count(DISTINCT content) FROM files").fetchone()
    (unreadable,) = connection.execute(UNREADABLE).fetchone()
    roots = tuple(Path(os.fsdecode(row[0])) for row in sound_rows(connection, "roots", "ORDER BY path"))
    size = sum(part.stat().st_size for part in (folder / NAME, folder / f"{NAME}-wal") if part.exists())
    return Status(
        folder, files, contents, unreadable, _models(connection), roots, size, len(LOOKS_FILE.read(folder).ours)
    )


def _models(connection: sqlite3.Connection) -> tuple[ModelStatus, ...]:
    counts = dict(connection.execute("SELECT fingerprint, count(*) FROM vectors GROUP BY fingerprint"))
    return tuple(
        ModelStatus(
            g.fingerprint,
            g.dim,
            g.state,
            counts.get(g.fingerprint.encode(), 0),
            not_yet_encoded(connection, g.fingerprint),
        )  # fmt: skip
        for g in generations(connection)
    )
