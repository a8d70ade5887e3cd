"""What can be asked of the service and done by it, in threads that may take their time: plain values in and out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from twinpix.encoder.door import elsewhere
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.header import Header
from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.decisions import Decisions, decisions_path, read_decisions
from twinpix.pipeline.index.stored import StoreError
from twinpix.pipeline.library.errors import LibraryBusyError, LibraryError
from twinpix.pipeline.limits import MAX_L2, Limits, known_threshold, limits, takes_second_look
from twinpix.pipeline.second_look.parts import parts
from twinpix.pipeline.service import answers
from twinpix.pipeline.service.bounds import Bounds
from twinpix.pipeline.service.collection import MOST, Collection, Near
from twinpix.pipeline.service.judge import Judge, Upload
from twinpix.pipeline.service.problem import Problem, of_image
from twinpix.pipeline.show import message
from twinpix.pipeline.stream import vector_of

COARSE_LOOKS = 128  # that are kept, 32 kB each


@dataclass(frozen=True)
class Wish:
    """How an upload is to be judged.

    Attributes:
        threshold: L2; None: the calibrated one.
        verify: whether near pictures get a second look; None: only without a threshold of one's own.
    """

    threshold: float | None = None
    verify: bool | None = None


class Desk:
    """Answers requests. Safe to share between threads."""

    def __init__(self, collection: Collection, encoder: Encoder, wish: Wish, bounds: Bounds) -> None:
        self.collection, self._encoder, self._wish, self._bounds = collection, encoder, wish, bounds
        self._parts = lru_cache(COARSE_LOOKS)(lambda file: parts(file.path))

    @property
    def fingerprint(self) -> str:
        """Of the encoder."""
        return self._encoder.fingerprint

    def check(self, data: bytes, wish: Wish, deadline: float) -> dict[str, Any]:
        """Is this picture here already? Nothing is changed."""
        upload, header, vector = self._read(data)
        limit, verify = self._limit(wish)
        with library_troubles():
            near = self.collection.nearest(vector, MOST, limit.candidate)
        return self._answer(upload, header, near, limit, verify, deadline)

    def add(self, data: bytes, wish: Wish, deadline: float) -> tuple[bool, dict[str, Any]]:
        """The same, and the picture is here from now on; whether it was not before. If it was, it is a duplicate."""
        upload, header, vector = self._read(data)
        limit, verify = self._limit(wish)
        with library_troubles():
            added = self.collection.add(upload.content, data, vector, MOST, limit.candidate)
        answer = self._answer(upload, header, added.near, limit, verify, deadline)
        return added.is_new, {**answer, "duplicate": answer["duplicate"] or not added.is_new, "added": added.is_new}

    def forget(self, content: bytes) -> dict[str, Any]:
        """Forget a picture."""
        with library_troubles():
            forgotten = self.collection.forget(content)
        if forgotten is None:
            raise _unknown(content)
        return {"schema": answers.SCHEMA, "id": content.hex(), "forgotten": forgotten[0], "deleted": forgotten[1]}

    def search(self, content: bytes, k: int) -> dict[str, Any]:
        """The pictures nearest to one that is here, by distance alone."""
        with library_troubles():
            vector = self.collection.vector(content)
            if vector is None:
                raise _unknown(content)
            near = [one for one in self.collection.nearest(vector, k + 1, MAX_L2) if one.content != content][:k]
        threshold = known_threshold(self._encoder, 2, self._wish.threshold)
        return answers.neighbours(content, near, threshold, len(self.collection), self._encoder.fingerprint)

    def _read(self, data: bytes) -> tuple[Upload, Header, Vectors]:
        try:
            decoder = elsewhere()
            assert decoder is not None  # uploads are never decoded in this process
            header = decoder.header(data)
            if header.width * header.height > self._bounds.pixels:
                most = f"{self._bounds.pixels / 1e6:g} megapixels"
                raise ImageError("too_large", f"{header.width}x{header.height} px is over the limit of {most}")
            vector = vector_of(self._encoder, data)
        except ImageError as error:
            raise of_image(error) from None
        return Upload(data, hashlib.blake2b(data, digest_size=16).digest()), header, vector

    def _limit(self, wish: Wish) -> tuple[Limits, bool]:
        threshold = self._wish.threshold if wish.threshold is None else wish.threshold
        verify = self._wish.verify if wish.verify is None else wish.verify
        images = len(self.collection) + 1
        return limits(self._encoder, images, threshold, verify), takes_second_look(threshold, verify)

    def _answer(
        self, upload: Upload, header: Header, near: tuple[Near, ...], limit: Limits, verify: bool, deadline: float
    ) -> dict[str, Any]:
        judge = Judge(limit, verify, _decisions(), deadline, self._parts)
        try:
            found = list(judge.judge(upload, near))
        except ImageError as error:
            raise of_image(error) from None
        told = answers.checked(upload, header, found, limit, len(self.collection), self._encoder.fingerprint)
        return {**told, "more": len(near) == MOST}


def _unknown(content: bytes) -> Problem:
    return Problem(404, f"there is no picture {content.hex()}", "unknown")


@contextmanager
def library_troubles() -> Iterator[None]:
    """A library that can't be read or written at this moment: said in full on stderr, and without paths to clients."""
    try:
        yield
    except LibraryBusyError:
        detail = "another process is writing to the library: try again when it is done"
        raise Problem(503, detail, "library_busy") from None
    except (InputError, LibraryError, StoreError, OSError) as error:  # the first of them: there is none any more
        message(f"error: {error}")
        detail = "the library can't be read or written at this moment: the service's log says why"
        raise Problem(503, detail, "library") from None


def _decisions() -> Decisions:
    path = decisions_path()
    try:
        stat = path.stat()
    except OSError:
        return Decisions({})
    return _read_decisions(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(1)
def _read_decisions(path: Path, changed: int, size: int) -> Decisions:
    return read_decisions(path)
