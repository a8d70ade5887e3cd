"""A library beside which SQLite may keep no notes: a private copy of one moment's state is read instead.

To read the file itself without notes, SQLite would have to be told that nobody writes to it, which nobody can promise.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from twinpix.pipeline.library.errors import LibraryError

PARTS = ("", "-wal", "-journal")  # what a killed writer left beside it belongs to its state
FORMAT = slice(18, 20)  # where its header says whether it has a log, which a database in memory can't have
WITHOUT_LOG = b"\x01\x01"
States = tuple[tuple[int, int, int] | None, ...]


def snapshot(path: Path, connect: Callable[[Path, str], sqlite3.Connection]) -> sqlite3.Connection | None:
    """A copy of a database file and its log, open to be read; None where it was written to meanwhile.

    The copy lies in the folder for temporary files; where that has no room and there is no log, in memory.

    Raises:
        LibraryError: there is no room for it.
        OSError, sqlite3.Error: it can't be read.
    """
    before = _states(path)
    try:
        room = TemporaryDirectory(prefix="twinpix-", ignore_cleanup_errors=True)
    except OSError as error:
        return _without_room(path, before, error)
    try:
        return _opened(path, before, Path(room.name), connect)
    except OSError as error:
        return _without_room(path, before, error)
    finally:
        if os.name == "nt":  # there a file that is open can't be deleted
            atexit.register(room.cleanup)
        else:
            room.cleanup()


def _opened(
    path: Path, before: States, room: Path, connect: Callable[[Path, str], sqlite3.Connection]
) -> sqlite3.Connection | None:
    for part in _parts(path):
        with suppress(FileNotFoundError):
            shutil.copyfile(part, room / part.name)
    if _states(path) != before:
        return None
    connection = connect(room / path.name, "rw")
    try:
        connection.execute("PRAGMA application_id").fetchone()  # now its files are open, and need no names
    except BaseException:
        connection.close()
        raise
    return connection


def _without_room(path: Path, before: States, error: OSError) -> sqlite3.Connection | None:
    if any(before[1:]):
        said = f"can't be read in its folder, nor copied to that for temporary files ({error.strerror or error})"
        raise LibraryError(f"library {path.parent}: {said}: make room there, or name another in TMPDIR") from None
    data = bytearray(path.read_bytes())
    if _states(path) != before:
        return None
    data[FORMAT] = WITHOUT_LOG
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.text_factory = bytes
    connection.deserialize(data)
    return connection


def _parts(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{ending}") for ending in PARTS]


def _states(path: Path) -> States:
    return tuple(map(_state, _parts(path)))


def _state(part: Path) -> tuple[int, int, int] | None:
    try:
        stat = part.stat()
    except FileNotFoundError:
        return None
    return (stat.st_size, stat.st_mtime_ns, stat.st_ino) if stat.st_size else None
