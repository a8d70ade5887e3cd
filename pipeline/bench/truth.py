"""What is known about the pairs of a folder's pictures, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.bench.groups import Codes, Groups, members_of, pairs_by_source
from twinpix.pipeline.bench.method import BLOCK, Rows
from twinpix.pipeline.bench.split import Split

Marks = NDArray[np.bool_]
Kinds = NDArray[np.uint8]
CLASSES = ("alone", "view", "same")  # of pairs across groups: the first that one of the two is in
OF_A_VIEW = len(CLASSES)  # different pictures of one scene or object
UNCOUNTED = OF_A_VIEW + 1


def part_of(first: Rows, start: int) -> slice:
    """Which pairs are in the block of rows from `start` on; their first rows ascend."""
    begin, end = np.searchsorted(first, [start, start + BLOCK])
    return slice(int(begin), int(end))


@dataclass(frozen=True)
class Truth:
    """What is known about the pictures of a folder.

    Attributes:
        names: of the n images that could be read.
        groups, split: which of them count.
    """

    names: Sequence[str]
    groups: Groups
    split: Split

    @property
    def starts(self) -> range:
        """The first row of each block."""
        return range(0, len(self.names), BLOCK)

    @cached_property
    def same(self) -> dict[str, Codes]:
        """Source -> the pairs of one picture."""
        return pairs_by_source(self.groups.same, self.names, self.split)

    @cached_property
    def view(self) -> dict[str, Codes]:
        """Source -> the pairs of different pictures that show one scene or object."""
        return pairs_by_source(self.groups.view, self.names, self.split)

    @cached_property
    def related(self) -> Codes:
        """The pairs inside all groups, of both halves, ascending."""
        kinds = (self.groups.same, self.groups.view)
        return _united(*(pairs_by_source(kind, self.names, Split.ALL) for kind in kinds))

    @cached_property
    def is_same(self) -> Marks:
        """Which of the related pairs are of one picture."""
        return np.isin(self.related, _united(self.same))

    def places(self, pairs: Codes) -> Rows:
        """Where in `related` these pairs are."""
        return np.searchsorted(self.related, pairs)

    def related_in(self, start: int) -> tuple[slice, tuple[Rows, Rows]]:
        """The related pairs in the block of rows from `start` on: which ones, and where in the block."""
        first, second = self._ends
        part = part_of(first, start)
        return part, (first[part] - start, second[part] - start)

    def kinds(self, start: int) -> Kinds:
        """What each pair counts as: a class of `CLASSES`, `OF_A_VIEW`, or `UNCOUNTED`; uint8 (b, n - start).

        Pairs of one picture are uncounted here, and so is all that is not above the diagonal.
        """
        classes = self._classes[start:]
        own = classes[:BLOCK, None]
        kinds = np.where(np.maximum(own, classes) == UNCOUNTED, np.uint8(UNCOUNTED), np.minimum(own, classes))
        kinds[np.tri(*kinds.shape, dtype=np.bool_)] = UNCOUNTED
        part, at = self.related_in(start)
        kinds[at] = self._related_kinds[part]
        return kinds

    @cached_property
    def _ends(self) -> tuple[Rows, Rows]:
        return np.divmod(self.related, len(self.names))

    @cached_property
    def _related_kinds(self) -> Kinds:
        is_view = np.isin(self.related, _united(self.view)) & ~self.is_same
        return np.where(is_view, np.uint8(OF_A_VIEW), np.uint8(UNCOUNTED))

    @cached_property
    def _classes(self) -> Kinds:
        held, alone = members_of(set(self.names), self.groups, self.split)
        viewed = {name for members in self.groups.view.values() for name in members}
        member = {"alone": alone, "view": viewed & held, "same": held}
        classes = ([k for k, kind in enumerate(CLASSES) if name in member[kind]] for name in self.names)
        return np.array([min(found, default=UNCOUNTED) for found in classes], np.uint8)


def _united(*kinds: Mapping[str, Codes]) -> Codes:
    empty = np.empty(0, np.int64)
    return np.unique(np.concatenate([empty, *(pairs for kind in kinds for pairs in kind.values())]))
