"""What must hold at the moment a file is moved: it is the one of the plan, and its picture stays elsewhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.find import is_passing
from twinpix.pipeline.act.disk import folder, is_still, opened
from twinpix.pipeline.act.partners import owners_of, partners_of
from twinpix.pipeline.act.plan import Partner, Plan, PlannedFile, PlannedGroup
from twinpix.pipeline.act.state import State, Unusable
from twinpix.pipeline.decisions import Content, Verdict, pair_of, read_decisions

SEEN_PX = 32  # a survivor is decoded at this size at least


@dataclass(frozen=True)
class Held:
    """A file that was verified, pinned by the open descriptor of its folder.

    Attributes:
        path: absolute.
        folder: open descriptor; the name in it is the last part of the path.
        state: as it was read.
        forbidden: device and inode of folders it must not lie in.
    """

    path: Path
    folder: int
    state: State
    forbidden: frozenset[tuple[int, int]] = frozenset()

    def check(self, what: str) -> None:
        """Raises Unusable if its path, walked anew, does not lead to that very file any more."""
        with suppress(Unusable), folder(self.path.parent, self.forbidden) as now:
            if is_still(now, self.path.name, self.state):
                return
        raise Unusable("changed", f"{what} changed at this moment")

    def check_moved(self, place: Path, folder: int, survivor: Held) -> None:
        """Raises Unusable if what lies in its new place is another file, or its survivor is not there any more."""
        Held(place, folder, self.state).check("it")
        self.check_left()
        survivor.check(f"{survivor.path}, which stays,")

    def check_left(self) -> None:
        """Raises Unusable if its folder is not where it was: what was taken from there was another's."""
        with suppress(Unusable), folder(self.path.parent, self.forbidden) as now:
            if os.path.samestat(os.fstat(now), os.fstat(self.folder)):
                return
        raise Unusable("changed", "its folder changed at this moment")


class Going(NamedTuple):
    """A file that may go.

    Attributes:
        held: the file.
        survivor: what stays: its picture, or its copy.
        is_copied: whether that holds it; not so of a partner that a person lets go with its picture.
    """

    held: Held
    survivor: Held
    is_copied: bool = True


class Identities:
    """Device and inode of files and folders that must be known by any name; what is not there may come later."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._known: set[tuple[int, int]] = set()
        self._missing = list(paths)
        try:
            self.now()
        except Unusable as error:
            raise InputError(f"{error}: nothing was touched") from None

    def add(self, identity: tuple[int, int]) -> None:
        """One more."""
        self._known.add(identity)

    def now(self) -> frozenset[tuple[int, int]]:
        """All that are there by now.

        Raises:
            Unusable: one can't be looked at, so that it could not be told by another name.
        """
        for path in tuple(self._missing):
            try:
                there = path.stat()
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    continue
                raise Unusable("io_error", f"{path}: can't be looked at ({error.strerror or error})") from None
            self._missing.remove(path)
            self._known.add((there.st_dev, there.st_ino))
        return frozenset(self._known)


class Guard:
    """Verifies the files of one plan, one by one, over all its groups together."""

    def __init__(self, plan: Plan) -> None:
        files = [file for group in plan.groups for file in group.files]
        # a file that stays in one group goes in no other, whatever name it has there
        self._staying = {file.path for file in files if not file.goes}
        self._roots, self._references = plan.roots, plan.references
        self._kept = Identities(self._staying)
        self._forbidden = Identities(plan.references)
        self._decoded: set[str] = set()
        self._beside: set[Path] = set()  # what stays beside a person's choice, and was verified
        self._verdicts = read_decisions().verdicts
        self.gone: set[Path] = set()  # what was moved in this run

    def going(self, stack: ExitStack, group: PlannedGroup, file: PlannedFile) -> list[Going]:
        """A file, then the partners that go with it.

        Raises:
            Unusable: it must not go.
        """
        if not file.content:
            raise Unusable("unread", "could not be read when the plan was made")
        subject = self._subject(stack, file)
        partners = [self._subject(stack, partner) for partner in self._partners(file)]
        survivor = self._survivor(stack, group, file, [subject, *partners])
        return [Going(subject, survivor), *(self._partner(stack, group, one, survivor) for one in partners)]

    def _partner(self, stack: ExitStack, group: PlannedGroup, going: Held, survivor: Held) -> Going:
        copy = self._copy_of(stack, group, going)
        is_in_group = any(file.path == going.path for file in group.files)  # a picture of it, which stays, too
        return Going(going, copy or survivor, copy is not None or is_in_group)

    def _copy_of(self, stack: ExitStack, group: PlannedGroup, going: Held) -> Held | None:
        # the copy of a partner among what stays; None if the plan knew of none, and a person lets it go all the same
        copies = [one for one in group.copies_of(going.state.content) if one.path not in self.gone]
        for copy in copies:
            with suppress(Unusable):
                held = _hold(stack, copy.path)
                if held.state.content == copy.content and not held.state.is_same_file(going.state):
                    return held
        if copies:
            name = going.path.name
            raise Unusable("no_survivor", f"its partner {name} has no copy beside what stays any more: plan again")
        return None

    def _subject(self, stack: ExitStack, planned: PlannedFile | Partner) -> Held:
        path = planned.path
        if path in self._staying:
            raise Unusable("kept_elsewhere", "the plan keeps it, too, on another line: take one of the two out")
        if any(path.is_relative_to(folder) for folder in self._references):
            raise Unusable("reference", "in a reference folder")
        if is_passing(path):
            raise Unusable("quarantine", "lies in a quarantine or trash already, or among twinpix's own files")
        if self._roots and not any(path.is_relative_to(root) for root in self._roots):
            raise Unusable("outside", "in none of the folders that were searched for this plan")
        forbidden, kept = self._forbidden.now(), self._kept.now()
        held = _hold(stack, path, forbidden)
        if (held.state.size, held.state.mtime_ns, held.state.content) != (
            planned.size,
            planned.mtime_ns,
            planned.content,
        ):
            raise Unusable("changed", "no longer the file that was scanned")
        if held.state.identity in forbidden:
            raise Unusable("reference", "a reference file")
        if held.state.identity in kept:
            raise Unusable("same_file", "the same file as one that stays, by another name")
        return held

    def _partners(self, file: PlannedFile) -> list[Partner]:
        known = {partner.path for partner in file.partners}
        there = set(partners_of(file.path))
        planned_too = self._staying | self.gone
        if new := sorted(there - known - planned_too):
            raise Unusable("new_partner", f"{new[0].name} belongs to it and is not in the plan: plan again")
        going = {file.path} | (known & there - planned_too)
        # the live video of a HEIC and a JPEG goes with the last of them
        while needed := {p for p in going - {file.path} if not going | self.gone >= set(owners_of(p))}:
            going -= needed
        return [partner for partner in file.partners if partner.path in going]

    def _survivor(self, stack: ExitStack, group: PlannedGroup, file: PlannedFile, going: Sequence[Held]) -> Held:
        # the same bytes first, then what the plan lets it go for: any other may be a crop, or another version
        staying = [one for one in group.files if not one.goes and not is_passing(one.path)]
        trouble = "nothing of its group stays, but in a trash or for the time being"
        for one in (*_same(staying, file), *(one for one in staying if one.path == file.instead)):
            try:
                return self._standing_in(stack, one, going)
            except Unusable as error:
                trouble = f"{one.path}, which stays, {error}"
        if staying and _is_chosen(group, file):
            return self._of_choice(stack, staying, going)
        raise Unusable("no_survivor", f"the last one of its picture: {trouble}")

    def _of_choice(self, stack: ExitStack, staying: Sequence[PlannedFile], going: Sequence[Held]) -> Held:
        # a person has seen all that stays, and only they know which of it shows the picture: all of it must be there
        for one in staying:
            if one.path not in self._beside:
                self._check_beside(one)
        trouble = ""
        for one in staying:
            try:
                return self._standing_in(stack, one, going)
            except Unusable as error:
                trouble = f"{one.path}, which stays, {error}"
                if error.reason != "unfit":
                    break
        raise Unusable("no_survivor", f"the last one of its picture: {trouble}")

    def _check_beside(self, file: PlannedFile) -> None:
        try:
            with ExitStack() as passing:
                self._verified(passing, file)
        except Unusable as error:
            said = f"you chose that it goes while {file.path} stays, and that {error}: plan again"
            raise Unusable("no_survivor", said) from None
        self._beside.add(file.path)

    def _standing_in(self, stack: ExitStack, file: PlannedFile, going: Sequence[Held]) -> Held:
        held = self._verified(stack, file)
        if any(held.state.is_same_file(one.state) for one in going):
            raise Unusable("unfit", "is the same file by another name")
        if self._verdicts.get(pair_of(_content(held), _content(going[0]))) is Verdict.DIFFERENT:
            raise Unusable("unfit", "is no duplicate of it, as you have said")
        return held

    def _verified(self, stack: ExitStack, file: PlannedFile) -> Held:
        if not file.content:
            raise Unusable("unread", "could not be read when the plan was made")
        held = _hold(stack, file.path)
        if held.state.content != file.content:
            raise Unusable("changed", "no longer holds what it held")
        if held.state.content not in self._decoded:
            try:
                decode(held.path, at_least=SEEN_PX)
            except ImageError as error:
                raise Unusable("unreadable", f"can't be read as a picture ({error.reason})") from None
            self._decoded.add(held.state.content)
        self._kept.add(held.state.identity)
        return held


def _same(staying: Sequence[PlannedFile], going: PlannedFile) -> list[PlannedFile]:
    return [file for file in staying if file.content == going.content]


def _is_chosen(group: PlannedGroup, going: PlannedFile) -> bool:
    # by a person: or what it was to go for goes itself, as they want
    return going.instead is None or any(file.goes and file.path == going.instead for file in group.files)


def _content(held: Held) -> Content:
    return Content(held.state.content, held.state.size)


def _hold(stack: ExitStack, path: Path, forbidden: frozenset[tuple[int, int]] = frozenset()) -> Held:
    place = stack.enter_context(folder(path.parent, forbidden))
    _, state = stack.enter_context(opened(place, path.name))
    return Held(path, place, state, forbidden)
