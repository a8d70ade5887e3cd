"""What methods make of pictures with known groups: a score for each pair, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.bench.groups import (
    NOTHING,
    Called,
    Groups,
    GroupScore,
    by_source,
    members_of,
    related_pairs,
    score_groups,
)
from twinpix.pipeline.bench.looked import settled
from twinpix.pipeline.bench.method import BLOCK, ROUNDING, Floats, Method, Unrelated
from twinpix.pipeline.bench.split import Split
from twinpix.pipeline.decisions import Decisions
from twinpix.pipeline.duplicates import candidate_pairs
from twinpix.pipeline.report import Embeddings
from twinpix.pipeline.second_look.verify import Outcome

Marks = NDArray[np.bool_]


def scores_by_twinpix(
    encoder: Encoder, folder: Path, names: Sequence[str], embeddings: Embeddings, verify: bool | None = None
) -> tuple[Floats, float]:
    """Scores of the pairs that `find-duplicates FOLDER` reports, as `SecondLooked` has them; all others are infinite.

    Args:
        names: n, relative to the folder.
        embeddings: the folder's.

    Returns:
        (float32 (n, n), above the diagonal; the highest score that is a duplicate).
    """
    found = candidate_pairs(embeddings, encoder, verify=verify, decisions=Decisions({}))
    base, row = folder.resolve(), {name: k for k, name in enumerate(names)}
    own = np.array([row.get(str(path.relative_to(base)), -1) for path in found.paths], np.intp)
    outcomes = np.where(found.outcomes == None, Outcome.CONFIRMED, found.outcomes)  # noqa: E711  # near enough for none
    ends = np.sort(np.stack([own[found.pairs[0]], own[found.pairs[1]]]), axis=0)
    there, scores = ends[0] >= 0, np.full((len(names), len(names)), np.inf, np.float32)
    scores[ends[0][there], ends[1][there]] = settled(found.pairs[2], outcomes, found.limit)[there]
    return scores, found.limit.unverified


def scores_by_method(method: Method, vectors: Floats) -> Floats:
    """Distances of all pairs of n pictures, float32 (n, n), above the diagonal; infinite where none is.

    Args:
        vectors: float32 (n, dim).
    """
    distances, n = method.learn(vectors), len(vectors)
    scores = np.full((n, n), np.inf, np.float32)
    for start in range(0, n, BLOCK):
        scores[start : start + BLOCK, start:] = distances(vectors[start : start + BLOCK], vectors[start:])
    scores[np.tri(n, dtype=bool)] = np.inf
    return scores


@dataclass(frozen=True)
class GroupRow:
    """One method on known groups.

    Attributes:
        name: for tables.
        method: which, without a second look.
        limit: the highest score that is a duplicate.
        second_look: whether the scores come from `find-duplicates`, with the second look.
        counts: the pairs within it.
        same: float32, scores of the pairs of one picture; infinite for those that are never called.
        different: scores of the pairs of different pictures, views included.
    """

    name: str
    method: Method
    limit: float
    second_look: bool
    counts: GroupScore
    same: Floats
    different: Unrelated


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

    def measure(self, name: str, method: Method, scores: Floats, limit: float, second_look: bool = False) -> GroupRow:
        """What a method's scores, float32 (n, n) above the diagonal, say at `limit` and at any other."""
        near = np.argwhere(scores <= limit + ROUNDING).tolist()
        called = frozenset(frozenset((self.names[i], self.names[j])) for i, j in near)
        counts = score_groups(called, self.names, self.groups, self.split)
        of_different = np.sort(scores[self.different])
        finite = of_different[np.isfinite(of_different)]
        different = Unrelated(finite, len(of_different))
        return GroupRow(name, method, limit, second_look, counts, scores[self.same], different)

    @cached_property
    def same(self) -> Marks:
        """The pairs of one picture, bool (n, n), above the diagonal."""
        return self._mark(self._pairs(self.groups.same, self.split))

    @cached_property
    def different(self) -> Marks:
        """The pairs of different pictures, of one scene or across groups: bool (n, n), above the diagonal."""
        there = set(self.names)
        held, alone = members_of(there, self.groups, self.split)
        mine = np.array([name in held or name in alone for name in self.names], bool)
        across = np.triu(mine[:, None] & mine, 1) & ~self._mark(related_pairs(there, self.groups))
        different: Marks = (across | self._mark(self._pairs(self.groups.view, self.split))) & ~self.same
        return different

    def _pairs(self, groups: Mapping[str, Sequence[str]], split: Split) -> Called:
        return NOTHING.union(*by_source(groups, set(self.names), split).values())

    def _mark(self, pairs: Called) -> Marks:
        row = {name: k for k, name in enumerate(self.names)}
        marks = np.zeros((len(row), len(row)), bool)
        for pair in pairs:
            marks[tuple(sorted(row[name] for name in pair))] = True
        return marks
