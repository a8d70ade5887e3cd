"""Second looks that need not be taken again: what a library's file of them says of the pictures of one scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Pairs
from twinpix.pipeline.library.kept import Kept
from twinpix.pipeline.library.looks_file import LOOKS_FILE
from twinpix.pipeline.second_look.remembered import UNKNOWN, Codes, still_holds


class KeptLooks(Kept):
    """The outcomes of earlier second looks at some files, and where those of new ones go."""

    file, what = LOOKS_FILE, "second looks"

    def known(self, pairs: Pairs, tests: Codes) -> Codes:
        """As `Remembered.known`."""
        codes = np.full(len(tests), UNKNOWN, np.uint8)
        contents = np.unique(self.contents[self.contents != b""])
        places = _places(contents, self.contents)
        keys = _keys(len(contents), places[pairs[0]], places[pairs[1]])
        stored = _keys(len(contents), *(_places(contents, self.records[end]) for end in ("query", "reference")))
        for before in np.unique(self.records["tests"]).tolist():
            some = np.flatnonzero((self.records["tests"] == before) & (stored >= 0))
            some = some[np.argsort(stored[some], kind="stable")]
            if not len(some):
                continue
            found = some[np.searchsorted(stored[some], keys).clip(max=len(some) - 1)]
            said = self.records["outcome"][found]
            holds = (codes == UNKNOWN) & (keys >= 0) & (stored[found] == keys) & still_holds(said, before, tests)
            codes[holds] = said[holds]
        return codes

    def keep(self, pairs: Pairs, codes: Codes, tests: Codes) -> None:
        """As `Remembered.keep`; after a few seconds it is on the disk."""
        self.add(pairs[0], pairs[1], outcome=codes, tests=tests)


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
