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
ASKED, NEAREST = 200, 10  # pictures whose nearest are compared with those that an index names
ROUNDING = 1e-5  # squared L2
HALF = 8  # bytes of a content's 16


@dataclass(frozen=True)
class Pushed:
    """What `Library.push` did; whole numbers of contents (equal files are one).

    Attributes:
        added, removed: vectors that went into the index, and out of it.
        images: how many it holds now.
        recall: of 200 pictures, the share of their 10 nearest that the index names; 1 where it is exact.
    """

    added: int
    removed: int
    images: int
    recall: float = 1.0


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
    recall = 1.0 if index.is_exact else _recall(connection, generation, index, [content[i] for i in wanted.tolist()])
    return Pushed(len(missing), len(gone), len(wanted), recall)


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


def _recall(connection: sqlite3.Connection, generation: Generation, index: Index, contents: Sequence[bytes]) -> float:
    k = min(NEAREST, len(contents))
    if k == 0:
        return 1.0
    queries = _vectors(connection, generation, contents[:: -(-len(contents) // ASKED)])
    nearest = np.full((len(queries), k), np.inf, np.float32)
    for start in range(0, len(contents), BLOCK):
        vectors = _vectors(connection, generation, contents[start : start + BLOCK])
        squared = (queries**2).sum(1)[:, None] + (vectors**2).sum(1) - 2 * queries @ vectors.T
        both = np.concatenate([nearest, squared], axis=1)
        nearest = np.partition(both, k - 1, axis=1)[:, :k]
    told = index.search(queries, k)[1]
    return float((told**2 <= nearest.max(1, keepdims=True) + ROUNDING).mean())


def _vectors(connection: sqlite3.Connection, generation: Generation, contents: Sequence[bytes]) -> Vectors:
    where = {content: row for row, content in enumerate(contents)}
    vectors = np.empty((len(contents), generation.dim), np.float32)
    fingerprint = generation.fingerprint.encode()
    for _, content, stored in rows_by_key(
        connection, "vectors", "content", contents, "AND fingerprint = ?", fingerprint
    ):
        vectors[where[content]] = vector_of(stored, generation.dim)
    return vectors
