"""What a library remembers of pairs of pictures beside their embeddings, during one scan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import InputError
from twinpix.pipeline.library.add import contents_of
from twinpix.pipeline.library.errors import LibraryError, one_line
from twinpix.pipeline.library.kept_file import KeptFile
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.library.store import open_to_read

EVERY = 5.0  # s; what a kill can cost

Column = NDArray[Any]


class Kept:
    """What was found of pairs of some files, and where what is found now goes.

    Only files that the library knows, and that have not changed since, have any. No fault of the library raises: all is
    found out as if there were nothing.

    Args:
        folder: the library's.
        paths: n files; pairs are rows of them.
        say: told in one line what is wrong, at most once for reading and once for writing.
    """

    file: ClassVar[KeptFile]
    what: ClassVar[str]  # in the plural

    def __init__(self, folder: Path, paths: Sequence[Path], say: Callable[[str], None]) -> None:
        self._folder, self._paths, self._say = folder, paths, say
        self._new = list[dict[str, Column]]()
        self._since, self._fault = time.monotonic(), ""
        self.contents, self.records = np.zeros(len(paths), "S16"), np.empty(0, self.file.record)
        try:
            with one_line(folder):
                self.contents = self._contents_of(range(len(paths)))
                self.records = self.file.read(folder).ours
        except (LibraryError, InputError) as error:
            say(f"{self.what} are not remembered: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Keep what was found last."""
        self._write()
        if self._fault:
            self._say(f"not all {self.what} are remembered: {self._fault}")

    def add(self, queries: NDArray[np.intp], references: NDArray[np.intp], **columns: Column) -> None:
        """New records of these rows, k each; after a few seconds they are on the disk."""
        have = (self.contents[queries] != b"") & (self.contents[references] != b"")
        ends = {"query": queries, "reference": references}
        self._new.append({name: values[have] for name, values in (ends | columns).items()})
        if time.monotonic() - self._since > EVERY:
            self._write()

    def _write(self) -> None:
        # what can't be written now, as another process is writing, is tried again with what comes next
        self._since = time.monotonic()
        if not any(len(new["query"]) for new in self._new):
            return
        columns = {name: np.concatenate([new[name] for new in self._new]) for name in self._new[0]}
        try:
            with one_line(self._folder), writer_lock(self._folder):
                same = self._unchanged(columns["query"], columns["reference"])
                columns = {name: values[same] for name, values in columns.items()}
                ends = {name: self.contents[columns[name]] for name in ("query", "reference")}
                self.file.append(self._folder, self.file.made(**(columns | ends)))
        except (LibraryError, InputError) as error:
            self._fault = str(error)
            return
        self._new, self._fault = [], ""

    def _unchanged(self, queries: NDArray[np.intp], references: NDArray[np.intp]) -> NDArray[np.bool_]:
        # which pairs are of files that are now what they were before they were read
        rows = np.unique(np.concatenate([queries, references]))
        same = rows[self._contents_of(rows.tolist()) == self.contents[rows]]
        return np.isin(queries, same) & np.isin(references, same)

    def _contents_of(self, rows: Sequence[int]) -> NDArray[np.bytes_]:
        # S16; empty where that is not known
        with closing(open_to_read(self._folder)) as connection:
            known = dict(contents_of(connection, [self._paths[row] for row in rows]))
        return np.array([known.get(str(self._paths[row]), b"") for row in rows], "S16")
