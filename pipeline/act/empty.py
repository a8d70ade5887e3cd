"""Deleting for good what has lain in the quarantine long enough: the one thing that can't be taken back."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, nullcontext, suppress
from math import inf, isfinite
from pathlib import Path

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.acted import Acted, ActedFile, ActStatus
from twinpix.pipeline.act.disk import check_system, folder, opened
from twinpix.pipeline.act.journal import EMPTIED, Entry, Journal, locked, open_journals
from twinpix.pipeline.act.state import Unusable, unusable

DAYS = 30
DAY = 86400  # s
CLOCK = "kept: {}: was the clock wrong? --older-than 0 deletes all, whatever their dates"
OURS = ("quarantine", "hardlink", "reflink")  # the trash is the desktop's to empty, a folder its owner's
LOST = "not at {}: was that emptied, or is its disk not connected?"


def empty_quarantine(older_than_days: float = DAYS, *, yes: bool = False) -> Acted:
    """Delete what was put into the quarantine longer ago than that.

    A file is deleted only if one that stayed in its place still holds what it held. Without that it is kept: it may be
    the last one by now. One that is not there is taken for gone only if its disk is there, and what stayed. So is one
    kept whose dates contradict one another: by a clock that was wrong, thirty days may be none.

    Args:
        older_than_days: days since the apply; 0 for all, whatever their dates.
        yes: without it, it is only said what would be deleted.

    Raises:
        InputError: a negative age.
        ActBusyError: another process is applying or undoing.
        JournalError: the journal can't be read.
    """
    check_system()
    if not older_than_days >= 0:
        raise InputError(f"an age is 0 days or more, not {older_than_days}")
    with locked() if yes else nullcontext():
        ours = [journal for journal in open_journals() if journal.action in OURS and isfinite(journal.started)]
        return Acted("", "empty", not yes, tuple(row for one in ours for row in _empty(one, older_than_days, yes)))


def _empty(journal: Journal, days: float, yes: bool) -> list[ActedFile]:
    now = time.time()
    if days and journal.started > now + DAY:
        return [ActedFile(journal.file, ActStatus.REFUSED, "clock", CLOCK.format("this apply is of a day to come"))]
    if days and journal.started > now - days * DAY:
        return []
    day_after = journal.started + DAY  # an apply may take hours
    latest = (day_after, max(day_after, now - days * DAY)) if days else (inf, inf)
    rows = {entry: row for entry in journal.entries if (row := _one(entry, latest, yes)) is not None}
    if yes:
        _close(journal, rows)
    return list(rows.values())


def _close(journal: Journal, rows: dict[Entry, ActedFile]) -> None:
    done = [entry for entry, row in rows.items() if row.status is ActStatus.DONE]
    with suppress(OSError):  # the next one finds out again what is gone
        if len(done) == len(rows) and not journal.damaged:
            journal.close(EMPTIED)
        elif done:
            journal.drop(done)


def _one(entry: Entry, latest: tuple[float, float], yes: bool) -> ActedFile | None:
    """What became of one file; None if it is back, or was deleted before.

    Args:
        latest: when it can have been changed at the latest, and moved, seconds since 1970.
    """
    path, place = Path(entry.path), Path(entry.place)
    try:
        with ExitStack() as stack:
            away = stack.enter_context(folder(place.parent))
            _, state = stack.enter_context(opened(away, place.name))
            if state.content != entry.content:
                raise Unusable("changed", f"{place} holds something else now")
            if entry.mtime_ns / 1e9 > latest[0] or state.ctime_ns / 1e9 > latest[1]:
                raise Unusable("clock", CLOCK.format("by its dates it came there later than the journal says"))
            _check_kept(entry, state.identity)
            if not yes:
                return ActedFile(path, ActStatus.WOULD, "", "would be deleted for good", place)
            os.unlink(place.name, dir_fd=away)
    except OSError as error:
        return ActedFile(path, ActStatus.FAILED, unusable(error).reason, str(unusable(error)), place)
    except Unusable as error:
        if error.reason == "vanished":
            return None if _is_over(entry) else ActedFile(path, ActStatus.REFUSED, "lost", LOST.format(place), place)
        return ActedFile(path, ActStatus.REFUSED, error.reason, str(error), place)
    if entry.info:
        with suppress(OSError):
            Path(entry.info).unlink()
    return ActedFile(path, ActStatus.DONE, "", "deleted for good")


def _is_over(entry: Entry) -> bool:
    """Whether a file that is not in the quarantine can be forgotten.

    Where a disk is not connected its folder may be there all the same, empty: so both folders are asked for, and what
    stayed.
    """
    if _holds(entry.path, entry.content):
        return True
    if not (Path(entry.path).parent.is_dir() and Path(entry.place).parent.is_dir()):
        return False
    return not entry.kept or any(_holds(path, content) for path, content in entry.kept)


def _check_kept(entry: Entry, itself: tuple[int, int]) -> None:
    """Raises Unusable if none of the files that stayed holds the picture now."""
    if any(_holds(path, content, itself) for path, content in entry.kept):
        return
    if not entry.kept:
        said = "kept: nothing that stayed holds it: twinpix undo brings it back, or delete it yourself"
        raise Unusable("no_survivor", said)
    kept = ", ".join(path for path, _ in entry.kept)
    raise Unusable(
        "no_survivor",
        f"kept: {kept}, which was to stay, does not hold the picture any more; twinpix undo brings it back",
    )


def _holds(path: str, content: str, itself: tuple[int, int] | None = None) -> bool:
    # whether there is a file with that content, and another one than `itself`
    with suppress(Unusable), ExitStack() as stack:
        place = stack.enter_context(folder(Path(path).parent))
        _, state = stack.enter_context(opened(place, Path(path).name))
        return state.content == content and state.identity != itself
    return False
