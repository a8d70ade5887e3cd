"""Taking an apply back: every file returns to its path, with its bytes, times and mode; nothing is overwritten."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.acted import Acted, ActedFile, ActStatus
from twinpix.pipeline.act.disk import check_system, exchange, folder, is_free, move_back, opened
from twinpix.pipeline.act.journal import UNDONE, Entry, Journal, locked, open_journals
from twinpix.pipeline.act.state import State, Unusable, unusable

DONE = (ActStatus.DONE, ActStatus.ALREADY)


def undo(run: str | None = None, *, yes: bool = False) -> Acted:
    """Take back the last apply that was not taken back yet.

    Killed on the way, it is run again and goes on. A file whose path is taken by another one now stays in the
    quarantine, with the reason; once that is moved away, `undo` does the rest.

    Args:
        run: the name of another apply, as it was reported.
        yes: without it, it is only said what would be done.

    Raises:
        InputError: there is nothing to take back, or no such run.
        ActBusyError: another process is applying or undoing.
        JournalError: the journal can't be read.
    """
    check_system()
    if not yes:
        journal = _find(run)
        return _acted(journal, [_would(entry) for entry in reversed(journal.entries)], dry_run=True)
    with locked():
        journal = _find(run)
        rows = [_restore(entry) for entry in reversed(journal.entries)]
        if all(row.status in DONE for row in rows) and not journal.damaged:
            with suppress(OSError):  # all is back: the next undo finds that out again
                journal.close(UNDONE)
        return _acted(journal, rows, dry_run=False)


def _find(run: str | None) -> Journal:
    journals = [journal for journal in open_journals() if run in (None, journal.run)]
    if not journals:
        raise InputError("there is no apply to take back" if run is None else f"there is no apply {run} to take back")
    return journals[-1]


def _acted(journal: Journal, rows: list[ActedFile], dry_run: bool) -> Acted:
    if any(row.reason == "lost" for row in rows):
        rows = _with_earlier(journal, rows)
    said = "line {} of the journal is damaged; the file it speaks of may still be in the quarantine"
    damage = [ActedFile(journal.file, ActStatus.FAILED, "damaged", said.format(n)) for n in journal.damaged]
    return Acted(journal.run, journal.action, dry_run, (*rows[::-1], *damage))


def _with_earlier(journal: Journal, rows: list[ActedFile]) -> list[ActedFile]:
    """What is lost would stand for ever before the applies that came earlier, so the last of those is named."""
    earlier = [one.run for one in open_journals() if one.run < journal.run]
    hint = f"; to take back the apply before: twinpix undo {earlier[-1]}" if earlier else ""
    return [replace(row, message=row.message + hint) if row.reason == "lost" else row for row in rows]


@dataclass(frozen=True)
class _Found:
    """An entry as the disk has it now; None where there is no such file."""

    home: int | None
    away: int | None
    original: State | None
    moved: State | None

    def is_one_name(self, entry: Entry) -> bool:
        """Whether where it was put is where it was."""
        if self.home is None or self.away is None or Path(entry.path).name != Path(entry.place).name:
            return False
        return os.path.samestat(os.fstat(self.home), os.fstat(self.away))


def _look(stack: ExitStack, entry: Entry) -> _Found:
    path, place = Path(entry.path), Path(entry.place)
    home, away = _open_folder(stack, path.parent), _open_folder(stack, place.parent)
    return _Found(home, away, _open_file(stack, home, path.name), _open_file(stack, away, place.name))


def _open_folder(stack: ExitStack, path: Path) -> int | None:
    try:
        return stack.enter_context(folder(path))
    except Unusable as error:
        if error.reason == "vanished":
            return None
        raise Unusable(error.reason, f"{path} {error}") from None


def _open_file(stack: ExitStack, place: int | None, name: str) -> State | None:
    if place is None:
        return None
    try:
        return stack.enter_context(opened(place, name))[1]
    except Unusable as error:
        if error.reason in ("vanished", "not_a_file", "symlink"):
            return None
        raise


def _is_back(entry: Entry, found: _Found) -> bool:
    """Whether there is nothing to take back.

    Raises:
        Unusable: the file is lost, or can't be told from its stand-in.
    """
    if found.is_one_name(entry):
        return True
    if found.moved is None:
        if found.original is not None and found.original.content == entry.content:
            return True
        not_there = "neither there nor" if found.original is None else "another file has its path now, and it is not"
        raise Unusable("lost", f"{not_there} at {entry.place}: was that emptied, or is its disk not connected?")
    if entry.replaced and found.original is not None and found.original.inode == entry.inode:
        return found.original.content == entry.content
    if found.moved.content != entry.content:
        if not entry.replaced and found.original is not None and found.original.content == entry.content:
            return True  # its place was taken, and it never went
        raise Unusable("changed", f"{entry.place}, where it was put, holds something else now")
    return False


def _would(entry: Entry) -> ActedFile:
    path, place = Path(entry.path), Path(entry.place)
    try:
        with ExitStack() as stack:
            found = _look(stack, entry)
            if _is_back(entry, found):
                return ActedFile(path, ActStatus.ALREADY, "", "nothing to take back")
            _check_path(entry, found)
            return ActedFile(path, ActStatus.WOULD, "", "goes back", place)
    except Unusable as error:
        return ActedFile(path, ActStatus.REFUSED, error.reason, str(error), place)


def _check_path(entry: Entry, found: _Found) -> None:
    taken = found.home is not None and not is_free(found.home, Path(entry.path).name)
    if entry.replaced and taken:
        if found.original is None or found.original.content != entry.content:
            raise Unusable("occupied", "what took its place was changed since: move it away and undo again")
    elif taken and not _is_half_moved(found):
        raise Unusable("occupied", "another file has its path now: move that away and undo again")


def _is_half_moved(found: _Found) -> bool:
    # killed between link and unlink: two names of one file
    return found.original is not None and found.moved is not None and found.original.identity == found.moved.identity


def _restore(entry: Entry) -> ActedFile:
    path, place = Path(entry.path), Path(entry.place)
    try:
        with ExitStack() as stack:
            found = _look(stack, entry)
            if _is_back(entry, found):
                _tidy(entry, found)
                return ActedFile(path, ActStatus.ALREADY, "", "nothing to take back")
            _check_path(entry, found)
            _bring_back(stack, entry, found)
            return ActedFile(path, ActStatus.DONE, "", "is back")
    except OSError as error:
        trouble = unusable(error)
    except Unusable as error:
        trouble = error
    status = ActStatus.FAILED if trouble.reason in ("io_error", "lost", "permission_denied") else ActStatus.REFUSED
    return ActedFile(path, status, trouble.reason, str(trouble), place)


def _bring_back(stack: ExitStack, entry: Entry, found: _Found) -> None:
    path, place = Path(entry.path), Path(entry.place)
    assert found.away is not None  # it was found there
    home = found.home
    if home is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        home = stack.enter_context(folder(path.parent))
    if entry.replaced and found.original is not None:
        exchange(found.away, place.name, home, path.name)
        _check_arrived(home, path.name, entry)
        os.unlink(place.name, dir_fd=found.away)  # the stand-in: the same bytes, as was seen just now
    elif _is_half_moved(found):
        os.unlink(place.name, dir_fd=found.away)
    else:
        move_back(found.away, place.name, home, path.name)
    _dress(home, path.name, entry)
    os.fsync(home)
    _remove_info(entry)


def _check_arrived(home: int, name: str, entry: Entry) -> None:
    with opened(home, name) as (_, state):
        if state.content != entry.content:
            raise Unusable("changed", "changed at this moment")


def _dress(home: int, name: str, entry: Entry) -> None:
    """Times and mode, should anything in the quarantine have touched them.

    A file with other names is left as it is: through one of them somebody else may have meant it.
    """
    with opened(home, name) as (file, state):
        if os.fstat(file).st_nlink > 1:
            return
        if state.mode != entry.mode:
            os.fchmod(file, entry.mode)
        if state.mtime_ns != entry.mtime_ns:
            os.utime(file, ns=(os.fstat(file).st_atime_ns, entry.mtime_ns))


def _tidy(entry: Entry, found: _Found) -> None:
    # a kill may have left a stand-in that was not exchanged, or that was exchanged back
    if entry.replaced and found.away is not None and found.moved is not None and found.moved.content == entry.content:
        os.unlink(Path(entry.place).name, dir_fd=found.away)
    if found.moved is None or entry.replaced:
        _remove_info(entry)


def _remove_info(entry: Entry) -> None:
    if entry.info:
        with suppress(OSError):
            Path(entry.info).unlink()
