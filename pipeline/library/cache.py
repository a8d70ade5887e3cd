"""Embeddings of files through a library: what it knows is served, what is new is encoded and kept on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.library.add import Addition, Roots
from twinpix.pipeline.library.scan import Found
from twinpix.pipeline.library.store import rows_by_key
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import CHUNK, Chunk

AT_ONCE = 16 * CHUNK  # files of a chunk of which nearly all are known


def served(addition: Addition, roots: Roots, files: Sequence[Path], workers: int | None) -> Iterator[Chunk]:
    """The chunks of `files` in their order. All of them are in the library when the last one is out.

    Raises:
        sqlite3.Error: the library can't be read or written.
    """
    rest = addition.begin(roots, files)
    reading = Reading(addition, addition.read(rest, workers))
    for portion in portions(files, set(rest)):
        yield reading.chunk(portion)
    reading.to_the_end()


def portions(files: Sequence[Path], unread: set[Path]) -> Iterator[Sequence[Path]]:
    """All files in their order, up to `AT_ONCE` at a time, and up to `CHUNK` of those that must be read."""
    start = reads = 0
    for end, path in enumerate(files, 1):
        reads += path in unread
        if reads == CHUNK or end - start == AT_ONCE:
            yield files[start:end]
            start, reads = end, 0
    if start < len(files):
        yield files[start:]


@dataclass
class Reading:
    """Files that are being read, in the order of the list, and asked for in that order.

    Attributes:
        addition: where they go.
        coming: what became of the next ones.
        troubles: the files that could not be read.
    """

    addition: Addition
    coming: Iterator[Found]
    troubles: dict[Path, Skipped] = field(default_factory=dict)

    def chunk(self, paths: Sequence[Path]) -> Chunk:
        """What became of these files."""
        vectors = self._known(paths)
        good, rows, skipped = list[Path](), list[NDArray[np.float32]](), list[Skipped]()
        for path in paths:
            outcome = self._outcome(path, vectors)
            if isinstance(outcome, Skipped):
                skipped.append(outcome)
            else:
                good.append(path)
                rows.append(outcome)
        stacked = np.stack(rows) if rows else np.empty((0, self.addition.encoder.dim), np.float32)
        return Chunk(tuple(good), stacked, tuple(skipped))

    def to_the_end(self) -> None:
        """Read what is left, and keep the last batch."""
        while self._read_on():
            pass

    def _known(self, paths: Sequence[Path]) -> dict[bytes, NDArray[np.float32]]:
        contents = self.addition.contents
        return self._stored([contents[path] for path in paths if path in contents])

    def _stored(self, contents: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        connection, encoder = self.addition.connection, self.addition.encoder
        rows = rows_by_key(
            connection, "vectors", "content", contents, "AND fingerprint = ?", encoder.fingerprint.encode()
        )
        return {content: np.frombuffer(vector, "<f4") for _, content, vector in rows}

    def _outcome(self, path: Path, vectors: dict[bytes, NDArray[np.float32]]) -> Skipped | NDArray[np.float32]:
        addition = self.addition
        while path not in addition.contents and path not in self.troubles:
            self._read_on()
        if path in self.troubles:
            return self.troubles.pop(path)
        content = addition.contents[path]
        while True:  # of two copies, a later one may be the one that is being encoded
            if content in addition.failed:
                error = addition.failed[content]
                return Skipped(path, error.reason, f"{path}: {error}")
            found = vectors.get(content, addition.fresh.get(content))
            if found is not None:
                return found
            vectors.update(self._stored([content]))
            if content not in vectors and not self._read_on():
                raise AssertionError(f"{os.fspath(path)}: read, but neither encoded nor failed")

    def _read_on(self) -> bool:
        found = next(self.coming, None)
        if found is not None:
            self.troubles.update((entry.path, entry) for entry in found.skipped)
        return found is not None
