"""Adding files: what is unchanged is not read, what is known is not encoded, and a batch at a time is kept."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from twinpix.encoder.errors import ImageError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.library.generations import begin_generation, finish_generation, try_out
from twinpix.pipeline.library.read import stamp_at
from twinpix.pipeline.library.scan import OF_THE_CONTENT, OF_THE_MODEL, Found, scan
from twinpix.pipeline.library.schema import Row
from twinpix.pipeline.library.store import put, rows_by_key, sound_rows, transaction
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import Chunk

BATCH_IMAGES, BATCH_SECONDS = 256, 3.0  # what a kill can cost
HASH = 16  # bytes of a content
# reasons for which a file is forgotten; one that has vanished may lie on a disk that was unplugged just now
NO_PICTURE = ("empty_file", "not_an_image", "unsupported_format")
Roots = Sequence[str | os.PathLike[str]]
Progress = Callable[[Chunk, int], None]


@dataclass(frozen=True)
class Added:
    """The outcome of adding folders.

    Attributes:
        images: files under the folders that have a vector now.
        encoded: pictures that were encoded for that; copies count once.
        reused: of `images`, those that needed no encoding: known already, or copies.
        skipped: the other files, with reasons.
    """

    images: int
    encoded: int
    reused: int
    skipped: tuple[Skipped, ...]


@dataclass
class Addition:
    """Files on their way into the library.

    Attributes:
        contents: hash by path (as text, which is looked up in less time), of all files that could be read.
        failed: what could not be decoded, by hash.
        encoded: how many pictures were.
        skipped: files that could not be read.
        fresh: of what was encoded, what is not in the file yet, by content.
        is_trial: the model is only tried out: readers are not to see it.
    """

    connection: sqlite3.Connection
    encoder: Encoder
    contents: dict[str, bytes] = field(default_factory=dict)
    failed: dict[bytes, ImageError] = field(default_factory=dict)
    encoded: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    fresh: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)
    is_trial: bool = False
    _batch: list[Found] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)
    _known: set[bytes] = field(default_factory=set)

    def run(self, roots: Roots, files: Sequence[Path], workers: int | None, progress: Progress | None) -> None:
        """Read what may have changed, encode what is new, and keep it; from then on this model is the current one.

        Unless it still lacks what the current one has.
        """
        rest = self.begin(roots, files)
        for found in self.read(rest, workers):
            if progress is not None:
                progress(_progress_chunk(found), len(rest))
        self.finish()

    def finish(self) -> None:
        """Let readers see this model, if they are to, and it has everything."""
        if not self.is_trial:
            finish_generation(self.connection, self.encoder.fingerprint)

    def begin(self, roots: Roots, files: Sequence[Path]) -> list[Path]:
        """Find out what is known; the files that must be read."""
        folders = [(os.fsencode(os.path.realpath(root)),) for root in roots if Path(root).is_dir()]
        with transaction(self.connection):
            put(self.connection, "roots", folders)
        begin = try_out if self.is_trial else begin_generation
        begin(self.connection, self.encoder)
        self.failed = known_failures(self.connection, self.encoder.fingerprint)
        self._known = known_contents(self.connection, self.encoder.fingerprint) | set(self.failed)
        self.contents = unchanged(self.connection, files, self._known)
        return [path for path in files if str(path) not in self.contents]

    def read(self, files: Sequence[Path], workers: int | None) -> Iterator[Found]:
        """Read files and encode what is new, in their order, and keep it batch by batch."""
        for found in scan(self.encoder, files, self._known, workers):
            self._note(found)
            yield found
        self._keep()

    def _note(self, found: Found) -> None:
        self._batch.append(found)
        self.contents.update((str(path), reading.content) for path, reading in found.files)
        self.failed.update(found.failed)
        self.encoded += len(found.vectors)
        self.fresh.update(found.vectors)
        self.skipped += found.skipped
        if (
            sum(len(f.files) for f in self._batch) + len(found.files) > BATCH_IMAGES
            or time.monotonic() - self._since > BATCH_SECONDS
        ):
            self._keep()

    def _keep(self) -> None:
        with transaction(self.connection):
            for found in self._batch:
                put(self.connection, "vectors", vector_rows(found, self.encoder.fingerprint))
                put(self.connection, "failures", failure_rows(found, self.encoder.fingerprint))
                put(self.connection, "files", file_rows(found))
                # no picture any more: what it was would be "changed" for ever
                lost = [(os.fsencode(one.path),) for one in found.skipped if one.reason in NO_PICTURE]
                self.connection.executemany("DELETE FROM files WHERE path = ?", lost)
        self._batch.clear()
        self.fresh.clear()
        self._since = time.monotonic()

    def outcome(self) -> Added:
        """Counts, and every file without a vector."""
        failed = [(path, self.failed[content]) for path, content in self.contents.items() if content in self.failed]
        skipped = self.skipped + [Skipped(Path(path), error.reason, f"{path}: {error}") for path, error in failed]
        images = len(self.contents) - len(failed)
        return Added(images, self.encoded, images - self.encoded, tuple(sorted(skipped, key=lambda s: str(s.path))))


@cache
def decoder() -> bytes:
    """What decided that a picture can't be read: another version may be able to."""
    from importlib.metadata import version

    return f"twinpix {version('twinpix')}, Pillow {PIL.__version__}".encode()


def known_contents(connection: sqlite3.Connection, fingerprint: str) -> set[bytes]:
    """What has a vector of this encoder."""
    rows = connection.execute("SELECT content FROM vectors WHERE fingerprint = ?", (fingerprint.encode(),))
    return {content for (content,) in rows}


def known_failures(connection: sqlite3.Connection, fingerprint: str) -> dict[bytes, ImageError]:
    """What this decoder can't read, or this model gives no vector for, by content."""
    return {
        name[:HASH]: ImageError(reason.decode(), os.fsdecode(message))
        for name, by, reason, message in sound_rows(connection, "failures")
        if name[HASH:] in (b"", fingerprint.encode())
        and by == decoder()  # asked for only where there are any: what is installed takes long to find out
    }


def unchanged(connection: sqlite3.Connection, files: Sequence[Path], known: set[bytes]) -> dict[str, bytes]:
    """The files that need not be read, and their contents."""
    return {path: content for path, content in contents_of(connection, files) if content in known}


def contents_of(connection: sqlite3.Connection, files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """What is in those files that have not changed since they were read, in no order."""
    paths = {os.fsencode(path): path for path in map(str, files)}
    for name, size, mtime_ns, ctime_ns, inode, settled, content in rows_by_key(
        connection, "files", "path", list(paths)
    ):
        if settled and stamp_at(name) == (size, mtime_ns, ctime_ns, inode):
            yield paths[name], content


def vector_rows(found: Found, fingerprint: str) -> list[Row]:
    """For the table `vectors`."""
    rows = found.vectors.items()
    return [(fingerprint.encode(), content, np.asarray(vector, "<f4").tobytes()) for content, vector in rows]


def failure_rows(found: Found, fingerprint: str) -> list[Row]:
    """For the table `failures`: permissions and the like are not remembered."""
    whose = {**dict.fromkeys(OF_THE_CONTENT, b""), **dict.fromkeys(OF_THE_MODEL, fingerprint.encode())}
    rows = ((content, error) for content, error in found.failed.items() if error.reason in whose)
    return [
        (content + whose[error.reason], decoder(), error.reason.encode(), os.fsencode(str(error)))
        for content, error in rows
    ]


def file_rows(found: Found) -> list[Row]:
    """For the table `files`."""
    return [
        (os.fsencode(path), *reading.stamp.columns, int(reading.settled), reading.content)
        for path, reading in found.files
    ]


def _progress_chunk(found: Found) -> Chunk:
    return Chunk(tuple(path for path, _ in found.files), np.empty((0, 0), np.float32), found.skipped)
