"""What the first stage made of a source: names, where each picture lies, and vectors when they are wanted."""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.copies import Copies, Marks, crowds
from twinpix.pipeline.decisions import Content
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.names import name_of, path_of
from twinpix.pipeline.scan.shard import Kind, Place, Shard

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """The pictures of a source, in the order of its shards; n were embedded.

    Attributes:
        shards, files: k, and what was made of each.
        starts: int64 (k + 1,), the first picture of each shard.
        paths: n, what reports call them.
        at, size: int64 (n,), see `Item`.
        marks: uint64 (n,), of `marks_of`.
        contents: of n pictures, where it is known without reading them again.
        skipped: the others.
    """

    shards: tuple[Shard, ...]
    files: tuple[str, ...]
    starts: NDArray[np.int64]
    paths: tuple[Path, ...]
    at: NDArray[np.int64]
    size: NDArray[np.int64]
    marks: Marks
    contents: dict[Path, Content]
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def place(self, row: int) -> Place:
        """Where a picture lies."""
        shard = self.shards[int(np.searchsorted(self.starts, row, "right")) - 1]
        if shard.kind is Kind.FILES:
            return Place(shard.kind, name_of(self.paths[row]))
        at = int(self.at[row])
        place = shard.places[at if shard.kind is Kind.REMOTE else 0]
        return Place(shard.kind, place, at, int(self.size[row]), shard.column)

    @cached_property
    def copies(self) -> Copies:
        """Pictures that are not compared."""
        return crowds(self.paths, self.marks, self.contents)

    @cached_property
    def key(self) -> str:
        """Changes when anything that was embedded does, and when what could not be read is something else this time."""
        lost = (f"{one.path} {one.reason}" for one in self.skipped)
        left = tuple(self.copies.left.tolist())
        return store.key_of(*(PurePath(file).name for file in self.files), self.starts, *lost, *left)


def read_embedded(shards: Sequence[Shard], files: Sequence[str], skipped: Sequence[Skipped] = ()) -> Embedded:
    """What the stage files say, without the vectors.

    Args:
        skipped: what was left out before.
    """
    paths, left_out, starts = list[Path](), list(skipped), [0]
    at, size, marks = list[int](), list[int](), list[int]()
    contents, times = dict[Path, Content](), Counter[Path]()
    for shard, file in zip(shards, files, strict=True):
        table = store.read(file, ["name", "at", "size", "mark", "content", "reason", "message"])
        for name, where, length, mark, content, reason, message in store.rows(table):
            path = path_of(name)
            if reason is not None:
                left_out.append(Skipped(path, reason, os.fsdecode(message)))
                continue
            # to a path `a//b` and `a/b` are one, a tar may be named twice, and a file `a.tar!b` may lie beside it
            if shard.kind is not Kind.FILES or b"!" in name:
                times[path] += 1
                path = path if times[path] == 1 else path_of(b"%s#%d" % (name, times[path]))
            if content is not None:
                contents[path] = Content(content.hex(), length)
            paths.append(path)
            at.append(where)
            size.append(length)
            marks.append(mark)
        starts.append(len(paths))
    return Embedded(tuple(shards), tuple(files), np.array(starts), tuple(paths), np.array(at, np.int64),
                    np.array(size, np.int64), np.array(marks, np.uint64), contents, tuple(left_out))  # fmt: skip


def read_vectors(file: str) -> Vectors:
    """The vectors of one stage file, float32 (n, dim)."""
    from pyarrow import compute

    table = store.read(file, ["vector", "reason"])
    return store.vectors_in(table.filter(compute.is_null(table.column("reason"))))


@lru_cache(1)
def all_vectors(files: tuple[str, ...], key: str, dim: int) -> Vectors:
    """Those of all of them, float32 (n, dim); kept for the next task of this process.

    Args:
        key: of the `Embedded`: a file that is written anew has the same name.
    """
    return np.concatenate([np.empty((0, dim), np.float32), *(read_vectors(file) for file in files)])


def read_names(files: Sequence[str]) -> list[str]:
    """The names of all pictures, as `str(path)`."""
    names = list[str]()
    for file in files:
        table = store.read(file, ["name", "reason"])
        for name, reason in store.rows(table):
            if reason is None:
                names.append(str(path_of(name)))
    return names


def marked(files: Sequence[str], count: int, dim: int) -> tuple[NDArray[np.intp], Vectors]:
    """A sample that neither names nor order choose, as `alikeness` draws it: rows of all vectors, float32 (s, dim)."""
    rows, marks, kept = np.empty(0, np.intp), np.empty(0, np.uint32), np.empty((0, dim), np.float32)
    first = 0
    for file in files:
        vectors = read_vectors(file)
        found = np.array([zlib.crc32(vector.tobytes()) for vector in vectors], np.uint32)
        rows = np.concatenate([rows, first + np.arange(len(vectors))])
        marks, kept, first = np.concatenate([marks, found]), np.concatenate([kept, vectors]), first + len(vectors)
        lowest = np.sort(np.argsort(marks, kind="stable")[:count])
        rows, marks, kept = rows[lowest], marks[lowest], kept[lowest]
    return rows, kept
