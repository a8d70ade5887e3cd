"""A review: what a person says of each group of pictures, kept at once. Nothing here touches a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.keep import DEFAULT
from twinpix.pipeline.act.links import links_below
from twinpix.pipeline.act.make import make_plan
from twinpix.pipeline.act.plan import Plan, PlannedFile, PlannedGroup, decide
from twinpix.pipeline.candidates import Candidates
from twinpix.pipeline.decisions import Content, Verdict, pair_of, read_decisions
from twinpix.pipeline.decisions import decide as keep_decision
from twinpix.pipeline.report import Group
from twinpix.pipeline.review.grouping import Grouping
from twinpix.pipeline.review.log import Chose, Log, Parted, stamp_at


class Review(Grouping):
    """The groups of a collection, and a person's choices about them.

    Args:
        candidates, references, keep, since_ns, unpacked: as of `Grouping`.
        roots: absolute folders that were searched.
    """

    def __init__(
        self,
        candidates: Candidates,
        roots: Sequence[Path],
        references: Sequence[Path] = (),
        keep: str = DEFAULT,
        since_ns: int | None = None,
        unpacked: Path | None = None,
    ) -> None:
        self.roots = tuple(roots)
        self.log = Log([*roots, *references])
        links = links_below([*roots, *references])
        super().__init__(candidates, references, keep, since_ns, self.log.threshold, unpacked, links)

    def set_threshold(self, value: float | None) -> None:
        """As of `Grouping`; it is kept."""
        super().set_threshold(value)
        self.log.set_threshold(value)

    def _regroup(self) -> None:
        super()._regroup()
        self._apart: set[Path] = set()
        self._recall()

    def _recall(self) -> None:
        # what was chosen, as far as the files are what they were
        self._choices = self.log.choices
        self._status = [self._status_of(group) for group in self.groups]
        self.counts = Counter(self._status)

    def next_open(self, after: int) -> int | None:
        """The position of the next group that is open, from the start again after the last; None: none is."""
        order = chain(range(after + 1, len(self.groups)), range(min(after + 1, len(self.groups))))
        return next((at for at in order if self._status[at] == "open"), None)

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
        self._drop_lapsed(files)
        chosen = [self._choices.get(path) for path in files]
        return "open" if None in chosen or all(choice and choice.goes for choice in chosen) else "decided"

    def _drop_lapsed(self, files: Sequence[Path]) -> None:
        # a file that was to go beside one that is gone, changed, in another group or called different goes no more
        chosen = {path: self._choices[path] for path in files if path in self._choices}
        staying = {path for path, choice in chosen.items() if not choice.goes}
        holding = {beside for beside in {choice.beside for choice in chosen.values()} if beside <= staying}
        for path, choice in chosen.items():
            if choice.goes and choice.beside not in holding:
                del self._choices[path]

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
        return sum(self.is_going(path) for path, choice in self._choices.items() if choice.goes)

    def goes(self, file: PlannedFile) -> bool:
        """Whether a file is to go: as chosen, else as the plan proposes."""
        # once a file of the group is called different, the proposals that counted on it no longer hold
        proposed = file.goes and self._apart.isdisjoint(self._group_of[file.path].files)
        choice = self._choices.get(file.path)
        return file.path not in self._apart and (proposed if choice is None else choice.goes)

    def going(self, group: Group) -> list[Path]:
        """The files of a decided group that are to go."""
        return [path for path in self.together(group) if path in self._choices and self._choices[path].goes]

    def choose(self, group: Group, going: Sequence[Path]) -> None:
        """Decide a group: these of its files go, the others stay.

        Raises:
            InputError: nothing would stay but pictures of archives, or one of them is not in the group.
        """
        with self.lock:
            files, wanted = self.together(group), set(going)
            if not wanted <= set(files):
                raise InputError("a file is not in this group (any more)")
            if len(wanted) == len(files):
                raise InputError("one file of a group always stays")
            if any(path.is_relative_to(folder) for path in wanted for folder in self.references):
                raise InputError("nothing goes from a reference folder")
            if wanted and all(path in wanted or self.is_unpacked(path) for path in files):
                raise InputError("no file goes for a picture of an archive: one that is a file always stays")
            self._choose({path: path in wanted for path in files}, [len(files)])

    def choose_sure(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Decide all open groups about which the keep rules are sure, as they propose; how many there were."""
        chosen: dict[Path, bool] = {}
        sizes: list[int] = []
        for done, group in enumerate(self.groups, 1):
            if self.status(group) == "open" and len(self.together(group)) == len(group.files):
                planned = self.planned(group)
                if planned.sure:
                    chosen.update((file.path, file.goes) for file in planned.files)
                    sizes.append(len(planned.files))
            if progress is not None:
                progress(done, len(self.groups))
        with self.lock:
            if chosen:
                self._choose(chosen, sizes)
        return len(sizes)

    def _choose(self, chosen: dict[Path, bool], sizes: Sequence[int]) -> None:
        stamps = {path: stamp for path in chosen if (stamp := stamp_at(path)) is not None}
        step = Chose(chosen, stamps, tuple(sizes))
        self.log.add(step)
        self._choices.update(step.choices)
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
            self._recall()
            return next(iter(step.files), None)

    # -- acting

    def plan(self) -> Plan:
        """What was decided, as a plan; reads the files of the groups in which something goes.

        A group of which a file is gone or has changed since is open again.
        """
        with self.lock:
            self._recall()
            groups = [group for group in self.decided if self.going(group)]
            going = [path for group in groups for path in self.going(group)]
        planned = tuple(self._without_apart(self.planned(group)) for group in groups)
        nothing = replace(self.report, groups=(), matches=())
        empty = make_plan(nothing, self.keep, self.references, roots=self.roots, links={})
        return decide(replace(empty, groups=planned), going)

    def _without_apart(self, group: PlannedGroup) -> PlannedGroup:
        return replace(group, files=tuple(file for file in group.files if file.path not in self._apart))

    def keep_agreement(self, plan: Plan, gone: Collection[Path]) -> None:
        """Remember which pictures a person has taken for the same, by sending one of them away.

        Only groups that were decided one by one, and of which one picture stays: to accept all sure ones at once says
        nothing about each, and with several that stay nobody has said which of them it was.
        """
        sizes = {path: len(step.files) for step in self.log.steps if isinstance(step, Chose) for path in step.files}
        pairs = set()
        for group in plan.groups:
            stays = {_content(file) for file in group.files if not file.goes}
            if len(stays) > 1 or sizes.get(group.files[0].path, 0) > len(group.files):
                continue
            went = {_content(file) for file in group.files if file.path in gone}
            pairs |= {pair_of(one, other) for one in stays if one.digest for other in went - stays}
        keep_decision(pairs, Verdict.SAME)

    def drop_agreement(self, pairs: Collection[tuple[str, str]]) -> None:
        """Forget that these were taken for the same: they have come back.

        Args:
            pairs: digests, as of `Content`.
        """
        known = read_decisions().verdicts
        wanted = {frozenset(pair) for pair in pairs}
        same = {pair for pair, verdict in known.items() if verdict is Verdict.SAME}
        keep_decision({pair for pair in same if frozenset(one.digest for one in pair) in wanted}, Verdict.OPEN)


def _content(file: PlannedFile) -> Content:
    return Content(file.content, file.size)
