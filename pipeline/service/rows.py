"""What the service reads and writes in the library's file: pictures by content, whatever their files are called."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.library.read import Stamp, is_still
from twinpix.pipeline.library.store import put, rows_by_key, transaction

CONTENTS = (
    "SELECT DISTINCT vectors.content FROM vectors JOIN files ON files.content = vectors.content "
    "WHERE vectors.fingerprint = ? ORDER BY vectors.content"
)


@dataclass(frozen=True)
class StoredFile:
    """A file that the library knows.

    Attributes:
        path: absolute.
        stamp, settled, content: what it was when it was added, as of a `Reading`.
    """

    path: Path
    stamp: Stamp
    settled: bool
    content: bytes

    @property
    def is_unchanged(self) -> bool:
        """Whether it is there, and what it was."""
        return bool(is_still(self.path, self.stamp, self.settled, self.content))


def read_contents(connection: sqlite3.Connection, fingerprint: str) -> list[bytes]:
    """All pictures that have a file and a vector of this encoder."""
    return [content for (content,) in connection.execute(CONTENTS, (fingerprint.encode(),))]


def read_vectors(
    connection: sqlite3.Connection, fingerprint: str, contents: Sequence[bytes]
) -> Iterator[tuple[bytes, Vectors]]:
    """The vectors of pictures, each checked by its digest, in no order; none of those that are not there any more."""
    rows = rows_by_key(connection, "vectors", "content", contents, "AND fingerprint = ?", fingerprint.encode())
    return ((content, np.frombuffer(vector, "<f4")) for _, content, vector in rows)


def read_files(connection: sqlite3.Connection, contents: Sequence[bytes]) -> dict[bytes, list[StoredFile]]:
    """The files of pictures, by content."""
    found: dict[bytes, list[StoredFile]] = {content: [] for content in contents}
    for name, *columns, settled, content in rows_by_key(connection, "files", "content", contents):
        found[content].append(StoredFile(Path(os.fsdecode(name)), Stamp(*columns), bool(settled), content))
    return {content: sorted(files, key=lambda file: str(file.path)) for content, files in found.items()}


def read_roots(connection: sqlite3.Connection) -> list[Path]:
    """The folders that were added."""
    return [Path(os.fsdecode(path)) for (path,) in connection.execute("SELECT path FROM roots ORDER BY path")]


def add_picture(connection: sqlite3.Connection, encoder: Encoder, file: StoredFile, vector: Vectors | None) -> None:
    """Add a file; without a vector, its picture has one already. On the disk when this returns."""
    with transaction(connection):
        if vector is not None:
            row = (encoder.fingerprint.encode(), file.content, np.asarray(vector, "<f4").tobytes())
            put(connection, "vectors", [row])
        put(connection, "files", [(os.fsencode(file.path), *file.stamp.columns, int(file.settled), file.content)])


def forget_picture(connection: sqlite3.Connection, content: bytes) -> None:
    """Forget all files of a picture; its vector stays until the library is compacted."""
    with transaction(connection):
        connection.execute("DELETE FROM files WHERE content = ?", (content,))
