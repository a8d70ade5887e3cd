"""Is everything in the library what was written? And if not: a new file of all that is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from twinpix.pipeline.library.errors import DAMAGE, LibraryDamagedError, is_damage
from twinpix.pipeline.library.log import log_fault
from twinpix.pipeline.library.place import NAME
from twinpix.pipeline.library.relations import KEPT_FILES
from twinpix.pipeline.library.schema import TABLES, Row, is_sound
from twinpix.pipeline.library.store import connect, delete, open_to_read, open_to_write, sync_folder, transaction

REPAIRED = f"{NAME}.repaired"
LOGS = ("-wal", "-journal")
KEYS = {
    "generations": "fingerprint",
    "roots": "path",
    "files": "path",
    "vectors": "rowid",
    "failures": "content",
}
UNLISTED = "{} FROM vectors WHERE fingerprint NOT IN (SELECT fingerprint FROM generations)"


@dataclass(frozen=True)
class Problem:
    """Something in the library that is not what was written.

    Attributes:
        place: the table, or `file`, or `log`: what was written last, and is not in the file yet; or `looks` or
            `relations`: what is remembered of pairs.
        message: one line for people.
    """

    place: str
    message: str


def problems_of(folder: Path) -> tuple[Problem, ...]:
    """Everything that is wrong: with the file and its log, with its structure (SQLite's own check), any row (digests).

    Raises:
        InputError: there is no library.
        OSError, sqlite3.Error: it can't be read just now, which says nothing of what is in it.
    """
    kept = (Problem(file.name, said) for file in KEPT_FILES for said in file.problems(folder))
    return (*_store_problems(folder), *kept)


def _store_problems(folder: Path) -> tuple[Problem, ...]:
    try:
        with closing(open_to_read(folder)) as connection:
            fault = log_fault(folder)
            log = () if fault is None else (Problem("log", fault.value),)
            rows = (problem for table in TABLES for problem in _rows(connection, table))
            return (*log, *_structure(connection), *rows)
    except LibraryDamagedError as error:
        return (Problem("file", str(error)),)
    except DAMAGE as error:
        if not is_damage(error):
            raise
        return (Problem("file", str(error)),)


def _structure(connection: sqlite3.Connection) -> Iterator[Problem]:
    for (said,) in connection.execute("PRAGMA integrity_check"):
        if said != b"ok":
            yield Problem("file", said.decode("utf-8", "backslashreplace"))
    (unknown,) = connection.execute(UNLISTED.format("SELECT count(*)")).fetchone()
    if unknown:
        yield Problem("generations", f"{unknown} vectors of a model that is not listed")


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[Problem]:
    number = 0
    try:
        for number, row in enumerate(connection.execute(f"SELECT * FROM {table}"), 1):
            if not is_sound(table, row):
                yield Problem(table, f"row {number} is not what was written")
    except DAMAGE as error:
        if not is_damage(error):
            raise
        yield Problem(table, f"can't be read after row {number} ({error})")


def repair_store(folder: Path) -> Path | None:
    """Put every sound row into a new file, and set the damaged one aside; None where nothing is wrong.

    The caller holds the writer's lock. Files whose rows are lost are read, and encoded if need be, by the next `add`.

    Returns:
        Where the damaged file is now.
    """
    if not _store_problems(folder):
        return None
    aside = folder / f"{NAME}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09}"
    try:
        _copy(folder, aside)
        _exchange(folder)
    except BaseException:
        delete(aside)  # a copy of what is still there
        raise
    sync_folder(folder)
    return aside


def _exchange(folder: Path) -> None:
    # a power cut finds the old library, whole, or the new one, and never one with the log of another
    new = folder / REPAIRED
    delete(new)
    with closing(open_to_write(folder, REPAIRED)) as target:
        _salvage(folder / NAME, target)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log, can be moved
        target.execute("PRAGMA journal_mode = WAL")  # of the next writer
    for ending in LOGS:  # one that is still there belongs to a file that SQLite can't read
        (folder / f"{NAME}{ending}").unlink(missing_ok=True)
    sync_folder(folder)
    os.replace(new, folder / NAME)


def _copy(folder: Path, aside: Path) -> None:
    for ending in ("", *LOGS):
        part, copy = folder / f"{NAME}{ending}", f"{aside}{ending}"
        if part.exists() and (part.stat().st_size or not ending):
            shutil.copy2(part, copy)
            with open(copy, "rb+") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def _salvage(source: Path, target: sqlite3.Connection) -> None:
    with closing(connect(source, "rw")) as damaged:
        with transaction(target):
            for table in TABLES:
                # from both ends: what lies behind a place that can't be read is found from the other one, and a disk
                # that failed only once is asked again
                if not _copy_sound(damaged, target, table, f"ORDER BY {KEYS[table]}"):
                    _copy_sound(damaged, target, table, f"ORDER BY {KEYS[table]} DESC")
            target.execute(UNLISTED.format("DELETE"))
        _empty_log(damaged)


def _empty_log(damaged: sqlite3.Connection) -> None:
    # what its log holds goes into the file itself: from then on that can be replaced in one step
    try:
        (is_busy, _, _) = damaged.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except DAMAGE as error:
        if not is_damage(error):
            raise
        return
    if is_busy:
        raise sqlite3.OperationalError("database is locked")


def _copy_sound(damaged: sqlite3.Connection, target: sqlite3.Connection, table: str, order: str) -> bool:
    # whether it was read to its end
    failed = list[Exception]()
    for row in _legible(damaged, f"SELECT * FROM {table} NOT INDEXED {order}", failed):
        if is_sound(table, row):
            marks = ", ".join("?" * len(row))
            target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)
    return not failed


def _legible(damaged: sqlite3.Connection, query: str, failed: list[Exception]) -> Iterator[Row]:
    # only errors of reading end up here: one of writing the new file must end the repair
    try:
        yield from damaged.execute(query)
    except DAMAGE as error:
        if not is_damage(error):
            raise
        failed.append(error)
