"""Second looks that need not be taken again: what a library's file of them says of the pictures of one scan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import InputError
from twinpix.pipeline.index import Pairs, select
from twinpix.pipeline.library.add import contents_of
from twinpix.pipeline.library.errors import LibraryError, one_line
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.library.looks_file import RECORD, append, made, read_looks
from twinpix.pipeline.library.store import open_to_read
from twinpix.pipeline.second_look.remembered import UNKNOWN, Codes, still_holds

EVERY = 5.0  # s; what a kill can cost


class KeptLooks:
    """The outcomes of earlier second looks at some files, and where those of new ones go.

    Only files that the library knows, and that have not changed since, have any. No fault of the library raises: looks
    are taken as if there were none.

    Args:
        folder: the library's.
        paths: n files; pairs are rows of them.
        say: told in one line what is wrong, at most once for reading and once for writing.
    """

    def __init__(self, folder: Path, paths: Sequence[Path], say: Callable[[str], None]) -> None:
        self._folder, self._paths, self._say = folder, paths, say
        self._new = list[tuple[Pairs, Codes, Codes]]()
        self._since, self._fault = time.monotonic(), ""
        self._contents, self._records = np.zeros(len(paths), "S16"), np.empty(0, RECORD)
        try:
            with one_line(folder):
                self._contents = self._contents_of(range(len(paths)))
                self._records = read_looks(folder).ours
        except (LibraryError, InputError) as error:
            say(f"second looks are not remembered: {error}")

    def __enter__(self) -> KeptLooks:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Keep what was found last."""
        self._write()
        if self._fault:
            self._say(f"not all second looks are remembered: {self._fault}")

    def known(self, pairs: Pairs, tests: Codes) -> Codes:
        """As `Remembered.known`."""
        codes = np.full(len(tests), UNKNOWN, np.uint8)
        contents = np.unique(self._contents[self._contents != b""])
        places = _places(contents, self._contents)
        keys = _keys(len(contents), places[pairs[0]], places[pairs[1]])
        stored = _keys(len(contents), *(_places(contents, self._records[end]) for end in ("query", "reference")))
        for before in np.unique(self._records["tests"]).tolist():
            some = np.flatnonzero((self._records["tests"] == before) & (stored >= 0))
            some = some[np.argsort(stored[some], kind="stable")]
            if not len(some):
                continue
            found = some[np.searchsorted(stored[some], keys).clip(max=len(some) - 1)]
            said = self._records["outcome"][found]
            holds = (codes == UNKNOWN) & (keys >= 0) & (stored[found] == keys) & still_holds(said, before, tests)
            codes[holds] = said[holds]
        return codes

    def keep(self, pairs: Pairs, codes: Codes, tests: Codes) -> None:
        """As `Remembered.keep`; after a few seconds it is on the disk."""
        have_contents = (self._contents[pairs[0]] != b"") & (self._contents[pairs[1]] != b"")
        self._new.append((select(pairs, have_contents), codes[have_contents], tests[have_contents]))
        if time.monotonic() - self._since > EVERY:
            self._write()

    def _write(self) -> None:
        # what can't be written now, as another process is writing, is tried again with what comes next
        self._since = time.monotonic()
        if not any(len(codes) for _, codes, _ in self._new):
            return
        queries, references = (np.concatenate([pairs[end] for pairs, _, _ in self._new]) for end in (0, 1))
        codes, tests = (np.concatenate([entry[column] for entry in self._new]) for column in (1, 2))
        try:
            with one_line(self._folder), writer_lock(self._folder):
                same = self._unchanged(queries, references)
                ends = self._contents[queries[same]], self._contents[references[same]]
                append(self._folder, made(*ends, codes[same], tests[same]))
        except (LibraryError, InputError) as error:
            self._fault = str(error)
            return
        self._new, self._fault = [], ""

    def _unchanged(self, queries: NDArray[np.intp], references: NDArray[np.intp]) -> NDArray[np.bool_]:
        # which pairs are of files that are now what they were before the look
        rows = np.unique(np.concatenate([queries, references]))
        same = rows[self._contents_of(rows.tolist()) == self._contents[rows]]
        return np.isin(queries, same) & np.isin(references, same)

    def _contents_of(self, rows: Sequence[int]) -> NDArray[np.bytes_]:
        # S16; empty where that is not known
        with closing(open_to_read(self._folder)) as connection:
            known = dict(contents_of(connection, [self._paths[row] for row in rows]))
        return np.array([known.get(self._paths[row], b"") for row in rows], "S16")


def _places(contents: NDArray[np.bytes_], wanted: NDArray[np.bytes_]) -> NDArray[np.intp]:
    # where they stand among the sorted `contents`; -1: they don't
    places = np.searchsorted(contents, wanted)
    places[places == len(contents)] = -1
    if len(contents):
        places[contents[places] != wanted] = -1
    return places


def _keys(count: int, queries: NDArray[np.intp], references: NDArray[np.intp]) -> NDArray[np.intp]:
    # one number for each pair of `count` contents; -1 where one of them is not known
    return np.where((queries < 0) | (references < 0), -1, queries * count + references)
