"""The library's vectors in a stored index, by a number made of their content.

The library stays the truth: the index can be made anew at any time, and says nothing about files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from twinpix.pipeline.index import Index, Vectors
from twinpix.pipeline.library.errors import LibraryError
from twinpix.pipeline.library.generations import Generation
from twinpix.pipeline.library.serve import vector_of
from twinpix.pipeline.library.store import rows_by_key

BLOCK = 5000  # vectors
OWN = "SELECT DISTINCT content FROM files WHERE content IN (SELECT content FROM vectors WHERE fingerprint = ?)"
HALF = 8  # bytes of a content's 16


@dataclass(frozen=True)
class Pushed:
    """What `Library.push` did; whole numbers of contents (equal files are one).

    Attributes:
        added, removed: vectors that went into the index, and out of it.
        images: how many it holds now.
    """

    added: int
    removed: int
    images: int


def push_vectors(
    connection: sqlite3.Connection, generation: Generation, index: Index, progress: Callable[[int, int], None]
) -> Pushed:
    """Bring an index in step with the library: what is missing goes in, what no file has any more goes out.

    Raises:
        LibraryError: two contents have one number; among 10 million there are with a chance of 1 in 200,000.
    """
    content = contents_by_id(connection, generation)
    held, wanted = index.ids(), np.sort(np.fromiter(content, np.int64, len(content)))
    gone, missing = np.setdiff1d(held, wanted), np.setdiff1d(wanted, held)
    index.remove(gone)
    for start in range(0, len(missing), BLOCK):
        ids = missing[start : start + BLOCK]
        index.add(ids, _vectors(connection, generation, [content[i] for i in ids.tolist()]))
        progress(start + len(ids), len(missing))
    return Pushed(len(missing), len(gone), len(wanted))


def contents_by_id(connection: sqlite3.Connection, generation: Generation) -> dict[int, bytes]:
    """Each content that a file has and that is encoded, by its number in an index.

    Raises:
        LibraryError: as of `push_vectors`.
    """
    found: dict[int, bytes] = {}
    for (content,) in connection.execute(OWN, (generation.fingerprint.encode(),)):
        if found.setdefault(id_of(content), content) != content:
            raise LibraryError(f"two different files have the number {id_of(content)}: one of them can't be pushed")
    return found


def id_of(content: bytes) -> int:
    """The number of a content in an index: the first 63 bits of its hash."""
    return int.from_bytes(content[:HALF], "big") >> 1


def _vectors(connection: sqlite3.Connection, generation: Generation, contents: Sequence[bytes]) -> Vectors:
    where = {content: row for row, content in enumerate(contents)}
    vectors = np.empty((len(contents), generation.dim), np.float32)
    fingerprint = generation.fingerprint.encode()
    for _, content, stored in rows_by_key(
        connection, "vectors", "content", contents, "AND fingerprint = ?", fingerprint
    ):
        vectors[where[content]] = vector_of(stored, generation.dim)
    return vectors
