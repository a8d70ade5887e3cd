"""Carrying out a plan: file by file, each verified, written in the journal, moved, and looked at once more."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from twinpix.pipeline.act.acted import Acted, ActedFile, ActStatus
from twinpix.pipeline.act.disk import check_system, is_still, move, move_back
from twinpix.pipeline.act.guard import Going, Guard, Held
from twinpix.pipeline.act.journal import UNDONE, Entry, JournalError, Writer, locked, open_journals
from twinpix.pipeline.act.plan import Plan, PlannedFile, PlannedGroup
from twinpix.pipeline.act.replace import check_replaceable, replace
from twinpix.pipeline.act.spot import Spot, Spots, check_action
from twinpix.pipeline.act.state import Unusable, unusable

REPLACING = ("hardlink", "reflink")


def apply_plan(
    plan: Plan,
    action: str = "quarantine",
    *,
    to: str | os.PathLike[str] | None = None,
    yes: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Acted:
    """Do what a plan says; `undo` takes it back. Nothing is deleted, nothing is overwritten.

    Each file is verified at the moment it is moved: it is still the one of the plan (size, time and content), it does
    not lie in a reference folder, and another file of its group stays, can be read, and holds what it held. What
    fails is left where it is, with the reason. Partners (RAW, live video, sidecar) go with their picture.

    Args:
        plan: of `make_plan` or `read_plan`; none of it is trusted.
        action: `quarantine`: a folder on the same volume, outside the searched ones. `trash`: that of the desktop.
            `folder`: `to`. `hardlink`, `reflink`: identical files are replaced by a link to the one that stays, or by
            one that shares its blocks; the originals go to the quarantine.
        to: a folder outside the searched ones, on the same volume.
        yes: without it all is verified, but nothing is touched.
        progress: called with the number of files done, and of all.

    Raises:
        InputError: an unknown action, a folder that can't be used, or a system on which files can't be moved safely.
        ActBusyError: another process is applying or undoing.
        JournalError: the journal can't be read or made.
    """
    check_system()
    target = check_action(plan, action, None if to is None else Path(to))
    if not yes:
        return _Run(plan, action, target, None).go(progress)
    with locked():
        writer = Writer(action)
        try:
            return _Run(plan, action, target, writer).go(progress)
        finally:
            writer.close()


class _Run:
    """One apply."""

    def __init__(self, plan: Plan, action: str, to: Path | None, writer: Writer | None) -> None:
        self._plan, self._action, self._writer = plan, action, writer
        self._guard, self._spots = Guard(plan), Spots(plan, action, to)
        self._done: set[Path] = set()
        self._arrived: set[Path] = set()  # places into which something was moved
        self._stopped = ""
        self._earlier: dict[tuple[str, str], Path] | None = None

    def go(self, progress: Callable[[int, int], None] | None) -> Acted:
        rows: list[ActedFile] = []
        for done, (group, file) in enumerate(self._going(), 1):
            rows += self._act(group, file)
            if progress is not None:
                progress(done, self._plan.going)
        nothing = all(row.place is None or row.status in (ActStatus.WOULD, ActStatus.ALREADY) for row in rows)
        if self._writer is None or nothing:
            self._forget_journal()
            return Acted("", self._action, self._writer is None, tuple(rows))
        return Acted(self._writer.run, self._action, False, tuple(rows))

    def _forget_journal(self) -> None:
        # a run that moved nothing is not the one that `undo` should take back
        if self._writer is not None and self._writer.written:
            with suppress(OSError, JournalError):
                for journal in open_journals():
                    if journal.run == self._writer.run:
                        journal.close(UNDONE)

    def _going(self) -> Iterator[tuple[PlannedGroup, PlannedFile]]:
        yield from ((group, file) for group in self._plan.groups for file in group.files if file.goes)

    def _act(self, group: PlannedGroup, file: PlannedFile) -> list[ActedFile]:
        if file.path in self._done:
            return []  # it went with another group, or as a partner
        if self._stopped:
            return [ActedFile(file.path, ActStatus.REFUSED, "journal", self._stopped)]
        try:
            with _refusing(), ExitStack() as stack:
                going = self._guard.going(stack, group, file)
                if self._action in REPLACING:
                    going = going[:1]  # the path stays, and so do its partners
                    check_replaceable(self._action, going[0].held, going[0].survivor, self._plan.references)
                if self._writer is None:
                    return self._would(going)
                return self._carry_out(stack, self._writer, going)
        except Unusable as error:
            return [self._refused(file, error)]
        except JournalError as error:
            self._stopped = str(error)
            return [ActedFile(file.path, ActStatus.REFUSED, "journal", self._stopped)]

    def _would(self, going: Sequence[Going]) -> list[ActedFile]:
        for one in going:
            self._spots.check(one.held.path)
        self._finish([one.held for one in going])
        return [ActedFile(one.held.path, ActStatus.WOULD, "", _kept(one, going[0])) for one in going]

    def _finish(self, subjects: list[Held]) -> None:
        paths = {held.path for held in subjects}
        self._done |= paths
        if self._action not in REPLACING:
            self._guard.gone |= paths

    def _refused(self, file: PlannedFile, error: Unusable) -> ActedFile:
        with suppress(JournalError, OSError):
            if error.reason == "vanished" and (place := self._moved_before(file)) is not None:
                return ActedFile(file.path, ActStatus.ALREADY, "", "went with an earlier apply", place)
        return ActedFile(file.path, ActStatus.REFUSED, error.reason, str(error))

    def _moved_before(self, file: PlannedFile) -> Path | None:
        if self._earlier is None:
            entries = [entry for journal in open_journals() for entry in journal.entries]
            self._earlier = {(entry.path, entry.content): Path(entry.place) for entry in entries}
        place = self._earlier.get((str(file.path), file.content))
        return place if place is not None and place.exists() else None

    def _carry_out(self, stack: ExitStack, writer: Writer, going: Sequence[Going]) -> list[ActedFile]:
        spots = [self._spots.spot_for(stack, one.held.path, writer.run) for one in going]
        for one, spot in zip(going, spots, strict=True):
            writer.write(_entry(one, spot, self._action in REPLACING))
        done: list[tuple[Held, Spot]] = []
        for (held, survivor, _), spot in zip(going, spots, strict=True):
            try:
                with _refusing():
                    self._one(held, spot, survivor)
            except Unusable as error:
                return self._taken_back([*done, (held, spot)], held, error)
            done.append((held, spot))
        self._finish([one.held for one in going])
        return [
            ActedFile(one.held.path, ActStatus.DONE, "", _kept(one, going[0]), spot.path)
            for one, spot in zip(going, spots, strict=True)
        ]

    def _one(self, held: Held, spot: Spot, survivor: Held) -> None:
        spot.write_info()
        if self._action in REPLACING:
            replace(self._action, held, spot, survivor)
            return
        held.check("it")
        survivor.check(f"{survivor.path}, which stays,")
        move(held.folder, held.path.name, spot.folder, spot.name, spot.private)
        self._arrived.add(spot.path)
        held.check_moved(spot.path, spot.folder, survivor)

    def _taken_back(self, touched: list[tuple[Held, Spot]], stopped_at: Held, error: Unusable) -> list[ActedFile]:
        """A shot that could not be moved whole is not moved at all."""
        rows = []
        for held, spot in reversed(touched):
            if self._is_stuck(held, spot):
                message = f"{error}; it could not be put back: undo restores it"
                rows.append(ActedFile(held.path, ActStatus.FAILED, error.reason, message, spot.path))
            elif held is stopped_at:
                rows.append(ActedFile(held.path, ActStatus.REFUSED, error.reason, str(error)))
            else:
                rows.append(
                    ActedFile(held.path, ActStatus.REFUSED, "partner", f"its partner {stopped_at.path}: {error}")
                )
        return rows[::-1]

    def _is_stuck(self, held: Held, spot: Spot) -> bool:
        if self._action in REPLACING:
            stuck = is_still(spot.folder, spot.name, held.state)
            if not stuck:
                spot.remove_info()
            return stuck
        return not _put_back(held, spot, spot.path in self._arrived)


def _put_back(held: Held, spot: Spot, has_arrived: bool) -> bool:
    """Whether nothing is left in the place: a file that was moved goes back, if its path is free.

    So does one that another program changed just before. What else has the name of the place is none of ours.
    """
    try:
        if has_arrived or is_still(spot.folder, spot.name, held.state):  # a network disk may do it and deny it
            move_back(spot.folder, spot.name, held.folder, held.path.name)
    except OSError:
        return False
    spot.remove_info()
    return True


def _entry(going: Going, spot: Spot, replaced: bool) -> Entry:
    state, info = going.held.state, "" if spot.info is None else str(spot.info[0])
    kept = ((str(going.survivor.path), going.survivor.state.content),) if going.is_copied else ()
    return Entry(str(going.held.path), str(spot.path), info, state.inode, state.size, state.mtime_ns, state.mode,
                 state.content, kept, replaced)  # fmt: skip


def _kept(going: Going, picture: Going) -> str:
    if going.is_copied:
        return f"{going.survivor.path} stays"
    return f"goes with {picture.held.path.name}: nothing that stays holds a copy of it"


@contextmanager
def _refusing() -> Iterator[None]:
    """Whatever the disk says no to is a reason not to act."""
    try:
        yield
    except OSError as error:
        raise unusable(error) from None
