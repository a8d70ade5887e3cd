"""The pictures of a library, in memory as far as it takes to find the near ones, and on the disk.

One thread changes it at a time, and whoever adds a picture looks for near ones in the same breath: of two uploads of
one picture at once, the second sees the first.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.index import Ids, Index
from twinpix.pipeline.index.flat import FlatIndex
from twinpix.pipeline.index.policy import EXACT_UP_TO, build_index
from twinpix.pipeline.library.generations import State, begin_generation, generations, not_yet_encoded
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.place import NAME
from twinpix.pipeline.library.push import id_of
from twinpix.pipeline.library.read import read_file, stamp_of, with_ends
from twinpix.pipeline.library.store import open_to_read
from twinpix.pipeline.service.rows import (
    StoredFile,
    add_picture,
    forget_picture,
    read_contents,
    read_files,
    read_roots,
    read_vectors,
)
from twinpix.pipeline.service.uploads import Uploads
from twinpix.pipeline.stream import vector_of

AT_ONCE = 4096  # vectors
REFRESH_SHARE, REFRESH_AT_LAST = (
    10,
    10.0,
)  # looking for changes again waits so many times as long as it took; s, at most
STRAY, STRAY_SHARE = 100, 0.01  # vectors of an index elsewhere that kills may have left: more are somebody else's
MOST = 60  # near pictures of an upload, as `look_again` has it


@dataclass(frozen=True)
class Near:
    """A picture near another one.

    Attributes:
        content: hash of its bytes, 16 bytes.
        distance: L2, 0..2.
        files: that hold it, by name.
        name: of the first of them, below the folder that was added; no full path is told to anybody.
    """

    content: bytes
    distance: float
    files: tuple[StoredFile, ...]
    name: str

    @property
    def readable(self) -> StoredFile | None:
        """A file that still holds it; None where all are gone or changed."""
        return next((file for file in self.files if file.is_unchanged), None)


@dataclass(frozen=True)
class Added:
    """What became of a picture.

    Attributes:
        is_new: it was not there before.
        near: the nearest of the others, at that moment, closest first.
    """

    is_new: bool
    near: tuple[Near, ...]


class Collection:
    """Finds pictures of a library, adds and forgets them. Safe to share between threads.

    Args:
        library: made where there is none.
        encoder: the vectors are its own.
        uploads: where added pictures lie.
        reach: L2; how far duplicates may lie from one another (it matters to indexes that are not exact).
        served: an index elsewhere, in place of one in memory.

    Raises:
        InputError: another model is the library's, and this one has not encoded all its pictures; or the index holds
            those of another library.
        LibraryError: it can't be read or written.
    """

    def __init__(
        self, library: Library, encoder: Encoder, uploads: Uploads, reach: float, served: Index | None = None
    ) -> None:
        self._library, self._encoder, self._uploads, self._reach = library, encoder, uploads, reach
        self._served = served
        self._index = FlatIndex(encoder.dim) if served is None else served  # one that is empty is falsy
        self._stored = frozenset[int]() if served is None else frozenset(served.ids().tolist())
        self._ids, self._contents, self._next = dict[bytes, int](), dict[int, bytes](), 0
        self._roots: tuple[Path, ...] = (uploads.folder,)
        self._changing, self._using = threading.Lock(), threading.Lock()
        self._seen: object = None
        self._look_again_at = 0.0
        with library.writing() as connection:
            _refuse_incomplete(connection, encoder, library.path)
            begin_generation(connection, encoder)
        self._held = open_to_read(library.path)
        self._refresh()
        if served is not None and (gone := self._stored - self._contents.keys()):
            if len(gone) > max(STRAY, STRAY_SHARE * len(self._contents)):
                raise InputError(
                    f"{served.name}: holds {len(gone):,} vectors that are not this library's: name another (?name=)"
                )
            served.remove(np.array(sorted(gone), np.int64))
        self._stored = frozenset()  # of what was there at the start

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def path(self) -> Path:
        """Where the library lies."""
        return self._library.path

    @property
    def index_name(self) -> str:
        """What pictures are found with."""
        return self._index.name

    def nearest(self, vector: Vectors, k: int, within: float) -> tuple[Near, ...]:
        """The k pictures nearest to a vector, float32 (dim,), closest first.

        Args:
            within: L2; no farther ones.

        Raises:
            LibraryError: the library can't be read.
        """
        self._catch_up()
        return self._nearest(vector, k, within)

    def _catch_up(self) -> None:
        # with what others have written, if it is not too soon, and nobody is at it
        if time.monotonic() >= self._look_again_at and self._changing.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._changing.release()

    def vector(self, content: bytes) -> Vectors | None:
        """The vector of a picture; None where there is no such picture."""
        if content not in self._ids:
            self._catch_up()
        if content not in self._ids:
            return None
        with self._library.reading() as connection:
            return dict(read_vectors(connection, self._encoder.fingerprint, [content])).get(content)

    def add(self, content: bytes, data: bytes, vector: Vectors, k: int, within: float) -> Added:
        """Keep a picture, unless a file of it is there, and find the k nearest others, in one step.

        Raises:
            LibraryError, OSError: the disk can't be written: nothing was added. LibraryBusyError: another process
                is writing.
        """
        with self._writing() as connection:
            files = read_files(connection, [content])[content]
            is_new = content not in self._ids
            if not any(file.is_unchanged for file in files):
                path = self._uploads.put(content, data)
                try:
                    add_picture(connection, self._encoder, _stored(path, content), vector if is_new else None)
                except BaseException:
                    if not files:
                        self._uploads.drop(path)
                    raise
                self._uploads.known(path)
            near = self._nearest(vector, k + 1, within)
            if is_new:
                self._put([content], vector[None])
        return Added(is_new, tuple(one for one in near if one.content != content)[:k])

    def forget(self, content: bytes) -> tuple[int, int] | None:
        """Forget a picture; its files are deleted only where the service itself put them.

        Returns:
            How many files were forgotten, and how many of them deleted; None: there is no such picture.

        Raises:
            LibraryError, OSError: as of `add`: nothing was forgotten.
        """
        with self._writing() as connection:
            files = read_files(connection, [content])[content]
            if not files:
                return None
            own = [file.path for file in files if self._uploads.holds(file.path)]
            for path in own:
                self._uploads.hide(path)
            try:
                forget_picture(connection, content)
            except BaseException:
                for path in own:
                    self._uploads.show(path)
                raise
            self._take([content])
            for path in own:
                self._uploads.delete(path)
            return len(files), len(own)

    def make_good(self) -> int:
        """Finish what a killed service left in its folder of uploads; how many pictures were added by that.

        A picture that was being deleted is deleted, or comes back if the library still knows it; one that the library
        does not know yet is added; one that it has forgotten is left alone.

        Raises:
            LibraryError, OSError: as of `add`.
        """
        added = 0
        with self._writing() as connection:
            for left in list(self._uploads.left_over()):
                if any(file.path == left.path for file in read_files(connection, [left.content])[left.content]):
                    self._uploads.show(left.path)
                elif left.is_hidden:
                    self._uploads.delete(left.path)
                elif left.is_unknown:
                    added += self._adopt(connection, left.content, left.path)
                self._uploads.known(left.path)
            self._seen = None  # they are not in memory yet
            self._refresh()
        return added

    def _adopt(self, connection: sqlite3.Connection, content: bytes, path: Path) -> bool:
        try:
            if read_file(path).content != content:
                return False
            vector = vector_of(self._encoder, path)
        except ImageError:
            return False
        add_picture(connection, self._encoder, _stored(path, content), vector)
        return True

    def close(self) -> None:
        """Nothing is kept open after this; called by the thread that made it."""
        self._held.close()

    # -- in memory

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        # never a new one: where its disk has gone, whatever was there before would be no duplicate any more
        with self._changing, self._library.changing() as connection:
            begin_generation(connection, self._encoder)
            self._refresh()
            yield connection
            self._seen = self._state()  # our own change is known

    def _state(self) -> object:
        # changes with every commit of any process: as long as `_held` is open, nobody but a commit touches the log
        return tuple(_moment(self._library.path / name) for name in (NAME, f"{NAME}-wal"))

    def _refresh(self) -> None:
        state, began = self._state(), time.monotonic()
        if state == self._seen:
            return
        with self._library.reading() as connection:
            now = read_contents(connection, self._encoder.fingerprint)
            there = set(now)
            self._take([content for content in self._ids if content not in there])
            self._fill(connection, [content for content in now if content not in self._ids])
            self._roots = (self._uploads.folder, *read_roots(connection))
        self._seen = state
        self._look_again_at = time.monotonic() + min(REFRESH_AT_LAST, REFRESH_SHARE * (time.monotonic() - began))

    def _fill(self, connection: sqlite3.Connection, contents: Sequence[bytes]) -> None:
        is_large = self._served is None and not self._ids and len(contents) > EXACT_UP_TO
        whole = np.empty((len(contents) if is_large else 0, self._encoder.dim), np.float32)
        names = list[bytes]()
        for start in range(0, len(contents), AT_ONCE):
            some = dict(read_vectors(connection, self._encoder.fingerprint, contents[start : start + AT_ONCE]))
            if is_large:
                whole[len(names) : len(names) + len(some)] = list(some.values())
            else:
                self._put(list(some), np.stack(list(some.values())))
            names += some
        if is_large:
            with self._using:
                self._index, _ = build_index(whole[: len(names)], self._reach, MOST)
                self._note(names, self._new_ids(names))

    def _put(self, contents: Sequence[bytes], vectors: Vectors) -> None:
        with self._using:
            ids = self._new_ids(contents)
            missing = np.array([number not in self._stored for number in ids.tolist()], bool)
            if self._served is not None:
                self._index.remove(ids[missing])  # where an earlier try was cut off
            self._index.add(ids[missing], vectors[missing])
            self._note(contents, ids)

    def _note(self, contents: Sequence[bytes], ids: Ids) -> None:
        self._ids.update(zip(contents, ids.tolist(), strict=True))
        self._contents.update(zip(ids.tolist(), contents, strict=True))

    def _new_ids(self, contents: Sequence[bytes]) -> Ids:
        return np.array([self._id(content) for content in contents], np.int64)

    def _id(self, content: bytes) -> int:
        if self._served is None:
            self._next += 1
            return self._next - 1
        return id_of(content)  # the same after the next start

    def _take(self, contents: Sequence[bytes]) -> None:
        with self._using:
            ids = [self._ids.pop(content) for content in contents if content in self._ids]
            for number in ids:
                del self._contents[number]
            if ids:
                self._index.remove(np.array(ids, np.int64))

    def _nearest(self, vector: Vectors, k: int, within: float) -> tuple[Near, ...]:
        with self._using:
            k = min(k, len(self._ids))
            ids, told = self._index.search(vector[None], k) if k else (np.empty((1, 0), np.int64), np.empty((1, 0)))
            some = ids[told <= within + self._index.error].tolist()
            contents = [self._contents[number] for number in some if number in self._contents]
        if not contents:
            return ()
        with self._library.reading() as connection:
            vectors = dict(read_vectors(connection, self._encoder.fingerprint, contents))
            files = read_files(connection, contents)
        near = [
            Near(content, float(np.linalg.norm(own - vector)), tuple(files[content]), self._name(files[content]))
            for content, own in vectors.items()
            if files[content]
        ]
        return tuple(
            sorted((one for one in near if one.distance <= within), key=lambda one: (one.distance, one.content))
        )

    def _name(self, files: Sequence[StoredFile]) -> str:
        path = files[0].path
        below = [path.relative_to(root) for root in self._roots if root in path.parents]
        return (
            path.name if self._uploads.holds(path) or not below else max(below, key=lambda p: -len(p.parts)).as_posix()
        )


def _refuse_incomplete(connection: sqlite3.Connection, encoder: Encoder, path: Path) -> None:
    # what it has not encoded would be found by nobody, not even by its very bytes
    known = {generation.fingerprint: generation.state for generation in generations(connection)}
    missing = not_yet_encoded(connection, encoder.fingerprint)
    if missing and known.get(encoder.fingerprint) is not State.CURRENT:
        raise InputError(
            f"library {path}: this model has not encoded {missing} of its pictures: run `twinpix library add` on its "
            "folders and uploads with the same --model first (`library forget-missing` where they are gone)"
        )


def _stored(path: Path, content: bytes) -> StoredFile:
    # settled, however new it is: in the folder of uploads nobody but the service writes
    return StoredFile(path, with_ends(stamp_of(os.lstat(path)), path), True, content)


def _moment(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
