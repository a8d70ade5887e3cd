"""Crowds of one file: of very many that are the same byte for byte one is compared, and the others join it afterwards.

A placeholder that lies in a collection ten thousand times would otherwise be fifty million pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.decisions import Content, content_of
from twinpix.pipeline.index import Pairs, select
from twinpix.pipeline.index.near import CROWD
from twinpix.pipeline.second_look.outcome import Outcome

BLOCK = 8192  # vectors
NO_COPY = (Outcome.REFUTED, Outcome.ANIMATED)

Rows = NDArray[np.intp]
Marks = NDArray[np.uint64]
Seen = Sequence[Outcome | None]


@dataclass(frozen=True)
class Copies:
    """Files that are left out at first.

    Attributes:
        left: int (m,), their rows, ascending.
        of: int (m,), for each the row of the file that it equals, which is compared.
    """

    left: Rows
    of: Rows

    def join(self, pairs: Pairs, seen: Seen | None) -> tuple[Pairs, Seen | None]:
        """Pairs with those of the files that were left out: each is as near to others as the one that it equals.

        Args:
            pairs: rows, nearest first, of those that were compared.
            seen: what was seen of the first of them; None: no look was wanted.

        Returns:
            The same of all: what was looked at, what copies have from that, and then what got no look.
        """
        if not len(self.left):
            return pairs, seen
        count = len(pairs[0]) if seen is None else len(seen)
        outcomes = np.array([*([None] * count if seen is None else seen), None], object)[:-1]
        held = np.array([outcome not in NO_COPY for outcome in outcomes], bool)
        near = select(select(pairs, slice(count)), held)
        made = [self._pairs_of(first, near, outcomes[held]) for first in np.unique(self.of).tolist()]
        i, j, distance, inherited = (np.concatenate(column) for column in zip(*made, strict=True))
        joined = _chained(select(pairs, slice(count)), (i, j, distance), select(pairs, slice(count, None)))
        return joined, None if seen is None else [*outcomes.tolist(), *inherited.tolist()]

    def _pairs_of(
        self, first: int, near: Pairs, outcomes: NDArray[np.object_]
    ) -> tuple[Rows, Rows, NDArray[np.float32], NDArray[np.object_]]:
        # of all files that equal this one: with it, and with whatever it is near to, each in its place
        equal = self.left[self.of == first]
        at = np.flatnonzero((near[0] == first) | (near[1] == first))
        near_it, is_query = np.append(near[0][at] + near[1][at] - first, first), np.append(near[0][at] == first, False)
        distance = np.append(near[2][at], np.float32(0))
        told = np.append(outcomes[at], np.array([None], object))
        members, others = np.repeat(equal, len(near_it)), np.tile(near_it, len(equal))
        ahead = np.tile(is_query, len(equal))
        return (
            np.where(ahead, members, others),
            np.where(ahead, others, members),
            np.tile(distance, len(equal)),
            np.tile(told, len(equal)),
        )


def _chained(*parts: Pairs) -> Pairs:
    i, j, distance = (np.concatenate(column) for column in zip(*parts, strict=True))
    return i, j, distance


def marks_of(vectors: NDArray[np.float32]) -> Marks:
    """A number for each vector, uint64 (n,): equal ones have the same, others nearly surely not."""
    odd = np.random.default_rng(0).integers(0, 2**63, vectors.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    parts = [np.empty(0, np.uint64)]
    for start in range(0, len(vectors), BLOCK):
        bits = np.ascontiguousarray(vectors[start : start + BLOCK], np.float32).view(np.uint32)
        parts.append((bits * odd).sum(1, dtype=np.uint64))
    return np.concatenate(parts)


def crowds(paths: Sequence[Path], marks: Marks, contents: Mapping[Path, Content]) -> Copies:
    """The files to leave out: those that equal more than `CROWD` others, but for the first of them by name.

    Args:
        paths: of n images; only files that may be in a crowd are read.
        marks: of `marks_of`.
        contents: of pictures that are no files.
    """
    several, counts = np.unique(marks, return_counts=True)
    rows = np.flatnonzero(np.isin(marks, several[counts > CROWD]))
    equal = defaultdict[Content, list[int]](list)
    for row in rows.tolist():
        with suppress(OSError):  # gone since
            equal[contents.get(paths[row]) or content_of(paths[row])].append(row)
    of = dict[int, int]()
    for some in equal.values():
        if len(some) > CROWD:
            first = min(some, key=lambda row: str(paths[row]))
            of |= {row: first for row in some if row != first}
    left = np.array(sorted(of), np.intp)
    return Copies(left, np.array([of[row] for row in left.tolist()], np.intp))
