"""The groups of a review at one threshold, and what the keep rules make of each. Reads files, and changes none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from threading import RLock

import numpy as np

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.make import make_plan
from twinpix.pipeline.act.plan import PlannedGroup
from twinpix.pipeline.candidates import Candidates
from twinpix.pipeline.decisions import read_decisions
from twinpix.pipeline.index import select
from twinpix.pipeline.relation.kinds import Relation
from twinpix.pipeline.relation.pairs import with_relations
from twinpix.pipeline.report import Group, Match, Report

PLANS_KEPT = 500  # groups whose plan stays in memory
RELATED = 24  # files of a group that are told what they are to the representative
CROWD = 200  # files; of more, only the pairs with the representative are shown


class Grouping:
    """Candidate pairs, grouped. Safe to use from several threads.

    Args:
        candidates: the pairs that may be duplicates.
        references: absolute folders in which nothing goes.
        keep: rules as of `make_plan`.
        since_ns: when the search began, ns since 1970: what changed later is left alone.
        threshold: L2; None: the default one.
        unpacked, links: as of `make_plan`.
    """

    def __init__(
        self,
        candidates: Candidates,
        references: Sequence[Path],
        keep: str,
        since_ns: int | None,
        threshold: float | None,
        unpacked: Path | None = None,
        links: Mapping[Path, Path] | None = None,
    ) -> None:
        self._all = self._candidates = candidates
        self.references, self.keep, self._since, self._unpacked = tuple(references), keep, since_ns, unpacked
        self._wanted, self._links = threshold, links or {}
        self.lock = RLock()
        self._contents: dict[Path, str] = {}  # of files that had not changed since the search began
        self._restored: set[Path] = set()
        self._related: dict[tuple[Path, ...], dict[Path, Relation]] = {}
        self._regroup()

    @property
    def files(self) -> list[Path]:
        """Every file that may be shown: those of all candidate pairs."""
        rows = np.unique(np.concatenate(self._all.pairs[:2]))
        return [self._all.paths[row] for row in rows.tolist()]

    @property
    def searched(self) -> Collection[Path]:
        """Every file that was found when the review began."""
        return self._all.paths

    @property
    def threshold(self) -> float:
        """The threshold in force, L2."""
        return self.report.threshold

    @property
    def default_threshold(self) -> float:
        """The one that `find_duplicates` would use, L2."""
        return self._all.limit.candidate

    @property
    def loosest_threshold(self) -> float:
        """Beyond it nothing is added, L2."""
        return self._all.limit.loosest

    def set_threshold(self, value: float | None) -> None:
        """Group again at another threshold (L2; None: the default one). No picture is read.

        Raises:
            InputError: it lies outside 0..`loosest_threshold`.
        """
        if value is not None and not 0 <= value <= self.loosest_threshold:
            raise InputError(f"a threshold lies between 0 and {self.loosest_threshold:.3f}, not at {value}")
        with self.lock:
            self._wanted = value
            self._regroup()

    def is_unpacked(self, path: Path) -> bool:
        """Whether a file is a copy of a picture in an archive, there for the time being."""
        return self._unpacked is not None and path.is_relative_to(self._unpacked)

    def _regroup(self) -> None:
        self._candidates = replace(self._candidates, decisions=read_decisions())
        limit = None if self._wanted is None else self._all.limit.at(min(self._wanted, self.loosest_threshold))
        self.report: Report = self._candidates.report(limit)
        self.position = {group.files[0]: i for i, group in enumerate(self.report.groups)}
        self._group_of = {path: group for group in self.report.groups for path in group.files}
        self._matches: dict[frozenset[str], Match] | None = None
        self._plans: dict[Path, PlannedGroup] = {}

    @property
    def groups(self) -> tuple[Group, ...]:
        """Largest first."""
        return self.report.groups

    def group(self, first: Path) -> Group:
        """The group whose representative this is.

        Raises:
            InputError: there is none (any more).
        """
        if first not in self.position:
            raise InputError("this group is no longer there: it was grouped again")
        return self.groups[self.position[first]]

    def group_with(self, path: Path) -> Group | None:
        """The group that a file is in; None if in none (any more)."""
        return self._group_of.get(path)

    def matches_of(self, group: Group) -> list[Match]:
        """Every pair of duplicates within a group."""
        if len(group.files) > CROWD:
            pairs: Iterable[tuple[Path, Path]] = ((group.files[0], other) for other in group.files[1:])
        else:
            pairs = combinations(group.files, 2)
        if self._matches is None:
            self._matches = {_unordered(match): match for match in self.report.matches}
        found = (self._matches.get(frozenset(map(str, pair))) for pair in pairs)
        return [match for match in found if match is not None]

    def planned(self, group: Group) -> PlannedGroup:
        """What the keep rules make of a group: what goes only where that is sure. Reads its files, once."""
        known = self._plans.get(group.files[0])
        if known is None:
            known = self._plan_group(group)
            if len(self._plans) >= PLANS_KEPT:
                self._plans.pop(next(iter(self._plans)), None)
            self._plans[group.files[0]] = known
        return known

    def _plan_group(self, group: Group) -> PlannedGroup:
        alone = replace(self.report, groups=(group,), matches=tuple(self.matches_of(group)))
        planning = partial(make_plan, alone, self.keep, self.references, links=self._links, workers=1)
        if not self._restored.isdisjoint(group.files):  # to move a file back changes its times, but not what it holds
            (again,) = planning().groups
            if all(file.content and file.content == self._contents.get(file.path) for file in again.files):
                return again
        (planned,) = planning(since_ns=self._since, unpacked=self._unpacked).groups
        self._contents.update((file.path, file.content) for file in planned.files if file.content)
        return planned

    def related(self, group: Group) -> dict[Path, Relation]:
        """What the first files of a group are to its representative. Reads them, once."""
        first = group.files[: RELATED + 1]
        if first not in self._related:
            (known,) = with_relations([Group(first, group.max_l2_distance)], workers=1)
            if len(self._related) >= PLANS_KEPT:
                self._related.pop(next(iter(self._related)), None)
            pairs = zip(first[1:], known.relations, strict=True)
            self._related[first] = {path: relation for path, relation in pairs if relation is not None}
        return self._related[first]

    def look_again(self, restored: Collection[Path] = ()) -> None:
        """After files were moved away or restored: only those that are there are grouped."""
        with self.lock:
            self._restored.update(restored)
            paths = self._all.paths
            there = np.array([path.is_file() for path in paths], bool)
            kept = there[self._all.pairs[0]] & there[self._all.pairs[1]]
            pairs, outcomes = select(self._all.pairs, kept), self._all.outcomes[kept]
            self._candidates = replace(self._all, pairs=pairs, outcomes=outcomes)
            self._regroup()


def _unordered(match: Match) -> frozenset[str]:
    return frozenset((str(match.query), str(match.reference)))
