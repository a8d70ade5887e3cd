"""A review: groups of pictures, what stays and what goes, and what a person says of it. Nothing here touches a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path
from threading import RLock

import numpy as np

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.make import make_plan
from twinpix.pipeline.act.plan import Plan, PlannedFile, PlannedGroup, decide
from twinpix.pipeline.candidates import Candidates
from twinpix.pipeline.decisions import Content, Verdict, pair_of, read_decisions
from twinpix.pipeline.decisions import decide as keep_decision
from twinpix.pipeline.index import select
from twinpix.pipeline.report import Group, Match, Report
from twinpix.pipeline.review.log import Chose, Log, Parted

PLANS_KEPT = 500  # groups whose plan stays in memory


class Review:
    """The groups of a collection, and a person's choices about them. Safe to use from several threads.

    Args:
        candidates: the pairs that may be duplicates.
        roots, references: absolute folders; in the latter nothing goes.
        keep: rules as of `make_plan`.
        since_ns: when the search began, ns since 1970: what changed later is left alone.
    """

    def __init__(
        self,
        candidates: Candidates,
        roots: Sequence[Path],
        references: Sequence[Path] = (),
        keep: str = "resolution,format,size,oldest,path",
        since_ns: int | None = None,
    ) -> None:
        self._all = self._candidates = candidates
        self.roots, self.references, self.keep, self._since = tuple(roots), tuple(references), keep, since_ns
        self.log = Log([*self.roots, *self.references])
        self.lock = RLock()
        self._choices = self.log.choices
        self._contents: dict[Path, str] = {}  # of files that had not changed since the search began
        self._restored: set[Path] = set()
        self._regroup()

    @property
    def files(self) -> list[Path]:
        """Every file that may be shown: those of all candidate pairs."""
        rows = np.unique(np.concatenate(self._all.pairs[:2]))
        return [self._all.paths[row] for row in rows.tolist()]

    # -- groups

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
            self.log.set_threshold(value)
            self._regroup()

    def _regroup(self) -> None:
        self._candidates = replace(self._candidates, decisions=read_decisions())
        value = self.log.threshold
        limit = None if value is None else self._all.limit.at(min(value, self.loosest_threshold))
        self.report: Report = self._candidates.report(limit)
        self.position = {group.files[0]: i for i, group in enumerate(self.report.groups)}
        self._group_of = {path: group for group in self.report.groups for path in group.files}
        self._matches: dict[frozenset[str], Match] | None = None
        self._plans: dict[Path, PlannedGroup] = {}
        self._apart: set[Path] = set()
        self._status = [self._status_of(group) for group in self.groups]
        self.counts = Counter(self._status)

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

    def next_open(self, after: int) -> int | None:
        """The position of the next group that is open, from the start again after the last; None: none is."""
        order = chain(range(after + 1, len(self.groups)), range(min(after + 1, len(self.groups))))
        return next((at for at in order if self._status[at] == "open"), None)

    def matches_of(self, group: Group) -> list[Match]:
        """Every pair of duplicates within a group."""
        if len(group.files) > 200:  # of a crowd, only those with its representative
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
        if not self._restored.isdisjoint(group.files):  # to move a file back changes its times, but not what it holds
            (again,) = make_plan(alone, self.keep, self.references, workers=1).groups
            if all(file.content and file.content == self._contents.get(file.path) for file in again.files):
                return again
        (planned,) = make_plan(alone, self.keep, self.references, since_ns=self._since, workers=1).groups
        self._contents.update((file.path, file.content) for file in planned.files if file.content)
        return planned

    # -- choices

    def is_apart(self, path: Path) -> bool:
        """Whether a file was just called different from the others of its group."""
        return path in self._apart

    def together(self, group: Group) -> list[Path]:
        """The files of a group that were not called different from the others."""
        return [path for path in group.files if path not in self._apart]

    def status(self, group: Group) -> str:
        """`open`, `decided` or `different`."""
        return self._status[self.position[group.files[0]]]

    def _status_of(self, group: Group) -> str:
        files = self.together(group)
        if len(files) < 2:
            return "different"
        return "decided" if all(path in self._choices for path in files) else "open"

    def _restate(self, paths: Iterable[Path]) -> None:
        for at in {self.position[self._group_of[path].files[0]] for path in paths if path in self._group_of}:
            self._status[at] = self._status_of(self.groups[at])
        self.counts = Counter(self._status)

    @property
    def decided(self) -> list[Group]:
        """The groups that were decided."""
        return [group for group, status in zip(self.groups, self._status, strict=True) if status == "decided"]

    def is_going(self, path: Path) -> bool:
        """Whether a file is in a decided group, and goes."""
        group = self._group_of.get(path)
        return group is not None and self.status(group) == "decided" and path in self.going(group)

    @property
    def all_going(self) -> int:
        """How many files of decided groups are to go."""
        return sum(self.is_going(path) for path, goes in self._choices.items() if goes)

    def goes(self, file: PlannedFile) -> bool:
        """Whether a file is to go: as chosen, else as the plan proposes."""
        return file.path not in self._apart and self._choices.get(file.path, file.goes)

    def going(self, group: Group) -> list[Path]:
        """The files of a decided group that are to go."""
        return [path for path in self.together(group) if self._choices.get(path, False)]

    def choose(self, group: Group, going: Sequence[Path]) -> None:
        """Decide a group: these of its files go, the others stay.

        Raises:
            InputError: nothing would stay, or one of them is not in the group.
        """
        with self.lock:
            files = self.together(group)
            if not set(going) <= set(files):
                raise InputError("a file is not in this group (any more)")
            if len(set(going)) == len(files):
                raise InputError("one file of a group always stays")
            if any(path.is_relative_to(folder) for path in going for folder in self.references):
                raise InputError("nothing goes from a reference folder")
            self._choose({path: path in set(going) for path in files})

    def choose_sure(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Decide all open groups about which the keep rules are sure, as they propose; how many there were."""
        chosen: dict[Path, bool] = {}
        sure = 0
        for done, group in enumerate(self.groups, 1):
            if self.status(group) == "open" and len(self.together(group)) == len(group.files):
                planned = self.planned(group)
                if planned.sure:
                    chosen.update((file.path, file.goes) for file in planned.files)
                    sure += 1
            if progress is not None:
                progress(done, len(self.groups))
        with self.lock:
            if chosen:
                self._choose(chosen)
        return sure

    def _choose(self, chosen: dict[Path, bool]) -> None:
        self.log.add(Chose(chosen, {path: self._choices.get(path) for path in chosen}))
        self._choices.update(chosen)
        self._restate(chosen)

    def part(self, group: Group, one: Path | None = None) -> None:
        """Call a file different from the others of its group, or all of them from one another. It is kept for ever.

        Raises:
            InputError: two of them hold the same bytes, or can't be read.
        """
        with self.lock:
            files = self.together(group)
            if one is not None and one not in files:
                raise InputError("a file is not in this group (any more)")
            contents = self._contents_of(group)
            named = combinations(files, 2) if one is None else ((one, other) for other in files if other != one)
            pairs = {pair_of(contents[a], contents[b]) for a, b in named}
            if any(a == b for a, b in pairs):
                raise InputError("two of these files hold the same bytes: they are duplicates, whatever they show")
            keep_decision(pairs, Verdict.DIFFERENT)
            parted = tuple(files) if one is None or len(files) == 2 else (one,)
            self.log.add(Parted(parted, tuple(sorted(pairs))))
            self._apart.update(parted)
            self._restate(files)

    def _contents_of(self, group: Group) -> dict[Path, Content]:
        files = self.planned(group).files
        if unread := [file.path for file in files if not file.content]:
            raise InputError(f"{unread[0].name}: can't be read any more, or changed since it was searched")
        return {file.path: _content(file) for file in files}

    def undo(self) -> Path | None:
        """Take back the last choice; a file that it was about, or None where there was nothing to take back."""
        with self.lock:
            step = self.log.undo()
            if step is None:
                return None
            if isinstance(step, Parted):
                keep_decision(step.pairs, Verdict.OPEN)
                if self._apart.isdisjoint(step.files):
                    self._regroup()  # of an earlier grouping: they come back
                self._apart.difference_update(step.files)
            self._choices = self.log.choices
            self._restate(path for file in step.files if (group := self._group_of.get(file)) for path in group.files)
            return next(iter(step.files), None)

    # -- acting

    def plan(self) -> Plan:
        """What was decided, as a plan; reads the files of the groups in which something goes."""
        with self.lock:
            groups = [group for group in self.decided if self.going(group)]
            going = [path for group in groups for path in self.going(group)]
        planned = tuple(self._without_apart(self.planned(group)) for group in groups)
        empty = make_plan(replace(self.report, groups=(), matches=()), self.keep, self.references, roots=self.roots)
        return decide(replace(empty, groups=planned), going)

    def _without_apart(self, group: PlannedGroup) -> PlannedGroup:
        return replace(group, files=tuple(file for file in group.files if file.path not in self._apart))

    def keep_agreement(self, plan: Plan, gone: Collection[Path]) -> None:
        """Remember which pictures a person has taken for the same, by sending one of them away.

        Only groups that were decided one by one: to accept all sure ones at once says nothing about each.
        """
        sizes = {path: len(step.files) for step in self.log.steps if isinstance(step, Chose) for path in step.files}
        pairs = set()
        for group in plan.groups:
            stays, alone = group.files[0], sizes.get(group.files[0].path, 0) <= len(group.files)
            went = [file for file in group.files if file.path in gone and file.content != stays.content]
            pairs |= {pair_of(_content(stays), _content(file)) for file in went if alone and stays.content}
        keep_decision(pairs, Verdict.SAME)

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


def _content(file: PlannedFile) -> Content:
    return Content(file.content, file.size)


def _unordered(match: Match) -> frozenset[str]:
    return frozenset((str(match.query), str(match.reference)))
