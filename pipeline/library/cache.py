"""Embeddings of files through a library: what it knows is served, what is new is encoded and kept on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

import numpy as np

from twinpix.pipeline.library.add import Addition, Roots
from twinpix.pipeline.library.scan import Found
from twinpix.pipeline.library.store import rows_by_key
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import CHUNK, Chunk, are_numbers, unembedded

AT_ONCE = 16 * CHUNK  # files of a chunk of which nearly all are known


def served(addition: Addition, roots: Roots, files: Sequence[Path], workers: int | None) -> Iterator[Chunk]:
    """The chunks of `files` in their order. All of them are in the library when the last one is out.

    Raises:
        sqlite3.Error: the library can't be read or written.
    """
    rest = addition.begin(roots, files)
    reading = Reading(addition, addition.read(rest, workers))
    for portion in portions(files, set(map(str, rest))):
        yield reading.chunk(portion)
    reading.to_the_end()


def portions(files: Sequence[Path], unread: set[str]) -> Iterator[Sequence[Path]]:
    """All files in their order, up to `AT_ONCE` at a time, and up to `CHUNK` of those that must be read."""
    start = reads = 0
    for end, path in enumerate(files, 1):
        reads += str(path) in unread
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
        troubles: the files that could not be read, by path.
    """

    addition: Addition
    coming: Iterator[Found]
    troubles: dict[str, Skipped] = field(default_factory=dict)

    def chunk(self, paths: Sequence[Path]) -> Chunk:
        """What became of these files."""
        vectors = self._known(paths)
        outcomes = [self._outcome(path, vectors) for path in paths]
        good = tuple(path for path, outcome in zip(paths, outcomes, strict=True) if isinstance(outcome, bytes))
        rows = b"".join(outcome for outcome in outcomes if isinstance(outcome, bytes))
        stacked = np.frombuffer(rows, "<f4").reshape(-1, self.addition.encoder.dim).astype(np.float32)
        skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
        sound = are_numbers(stacked)  # an earlier twinpix kept all that a model gave
        skipped += map(unembedded, compress(good, ~sound))
        return Chunk(tuple(compress(good, sound)), stacked[sound], tuple(skipped))

    def to_the_end(self) -> None:
        """Read what is left, and keep the last batch."""
        while self._read_on():
            pass

    def _known(self, paths: Sequence[Path]) -> dict[bytes, bytes]:
        contents = map(self.addition.contents.get, map(str, paths))
        return self._stored([content for content in contents if content is not None])

    def _stored(self, contents: Sequence[bytes]) -> dict[bytes, bytes]:
        connection, encoder = self.addition.connection, self.addition.encoder
        rows = rows_by_key(
            connection, "vectors", "content", contents, "AND fingerprint = ?", encoder.fingerprint.encode()
        )
        return {content: vector for _, content, vector in rows}

    def _outcome(self, path: Path, vectors: dict[bytes, bytes]) -> Skipped | bytes:
        addition, name = self.addition, str(path)
        while name not in addition.contents and name not in self.troubles:
            self._read_on()
        if name in self.troubles:
            return self.troubles.pop(name)
        content = addition.contents[name]
        while True:  # of two copies, a later one may be the one that is being encoded
            if content in addition.failed:
                error = addition.failed[content]
                return Skipped(path, error.reason, f"{path}: {error}")
            if content in vectors:
                return vectors[content]
            if content in addition.fresh:
                return addition.fresh[content].astype("<f4").tobytes()
            vectors.update(self._stored([content]))
            if content not in vectors and not self._read_on():
                raise AssertionError(f"{os.fspath(path)}: read, but neither encoded nor failed")

    def _read_on(self) -> bool:
        found = next(self.coming, None)
        if found is not None:
            self.troubles.update((str(entry.path), entry) for entry in found.skipped)
        return found is not None
