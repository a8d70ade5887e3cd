"""Reading files and encoding what is new: in parallel, a bounded number at a time, in a fixed order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import ImageError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.library.read import Reading, read_file, stamp_at
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import CHUNK, NO_EMBEDDING, in_runs, vectors_of
from twinpix.pipeline.threads import cores, decoding_threads

OF_THE_CONTENT = {"corrupt"}  # reasons that the same bytes will give again
OF_THE_MODEL = {NO_EMBEDDING[0], "too_large"}  # and these with the same model: how much is decoded is its own affair
IN_MEMORY_NAME = "the image: "


@dataclass(frozen=True)
class Found:
    """What became of up to `CHUNK` files.

    Attributes:
        files: those that were read, as far as hashing.
        vectors: by content, what was encoded: float32 (dim,).
        failed: by content, what could not be decoded, or has no embedding.
        skipped: the files that could not be read.
    """

    files: tuple[tuple[Path, Reading], ...]
    vectors: dict[bytes, NDArray[np.float32]]
    failed: dict[bytes, ImageError]
    skipped: tuple[Skipped, ...]


@dataclass
class Claims:
    """The contents that need no encoding, or are being encoded: of several copies the first is encoded."""

    taken: set[bytes]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, content: bytes) -> bool:
        """Whether the caller is the first to ask."""
        with self._lock:
            is_new = content not in self.taken
            self.taken.add(content)
        return is_new


def scan(encoder: Encoder, paths: Sequence[Path], known: set[bytes], workers: int | None = None) -> Iterator[Found]:
    """Read all files, and encode those whose content is not `known`; in the order of `paths`."""
    workers, claims = cores() if workers is None else workers, Claims(known)
    pending: deque[Future[Found]] = deque()
    with decoding_threads(workers) as pool:
        for chunk in in_runs(paths, workers, CHUNK):
            pending.append(pool.submit(_read_chunk, encoder, chunk, claims))
            if len(pending) >= 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _read_chunk(encoder: Encoder, paths: Sequence[Path], claims: Claims) -> Found:
    files: list[tuple[Path, Reading]] = []
    pictures: dict[bytes, NDArray[Any]] = {}
    failed: dict[bytes, ImageError] = {}
    skipped: list[Skipped] = []
    for path in paths:
        try:
            reading = read_file(path)
            if claims.claim(reading.content):
                _prepare(encoder, path, reading, pictures, failed)
        except ImageError as error:
            skipped.append(Skipped(path, error.reason, f"{path}: {error}"))
            continue
        files.append((path, Reading(reading.stamp, reading.settled, reading.content, path)))  # its bytes are done with
    vectors, sound = vectors_of(encoder, list(pictures.values()))
    failed.update((content, ImageError(*NO_EMBEDDING)) for content in compress(pictures, ~sound))
    rows = dict(zip(compress(pictures, sound), vectors[sound], strict=True))
    return Found(tuple(files), rows, failed, tuple(skipped))


def _prepare(
    encoder: Encoder,
    path: Path,
    reading: Reading,
    pictures: dict[bytes, NDArray[Any]],
    failed: dict[bytes, ImageError],
) -> None:
    try:
        picture = encoder.prepare(reading.source)
    except ImageError as error:
        message = str(error).removeprefix(IN_MEMORY_NAME).removeprefix(f"{path}: ")
        failed[reading.content] = ImageError(error.reason, message)
        return
    if isinstance(reading.source, Path) and stamp_at(path) != reading.stamp:
        failed[reading.content] = ImageError("vanished", "changed while it was being read: add it again")
        return
    pictures[reading.content] = picture
