"""The SQLite file: opened for reading or for writing, checked for being ours, its rows checked as they are read."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from twinpix.encoder.errors import InputError
from twinpix.pipeline.library.errors import DAMAGED, LibraryBusyError, LibraryDamagedError, LibraryError
from twinpix.pipeline.library.place import NAME
from twinpix.pipeline.library.schema import APPLICATION_ID, FOUR_TIMES, INDEXES, TABLES, VERSION, Row, is_sound, signed
from twinpix.pipeline.library.snapshot import snapshot

TRIES, PAUSE = 5, 0.5  # s; to copy a library that is being written to
WAIT = 4  # seconds; for another program that has the file open, say a viewer of databases
# SQLite keeps notes beside the file, where that is allowed, and where there is room
READ_ONLY = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR_SHM")
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # of file systems on which a file has one name
SEPARATOR = os.fsencode(os.sep)
BELOW = "WHERE path = ? OR (path > ? AND path < ?)"
AT_ONCE = 500  # values in one statement
AFTER_SEPARATOR = bytes([SEPARATOR[0] + 1])


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database file; `mode` as in SQLite's URIs: `ro`, `rw` or `rwc`."""
    # without the two slashes, a path that begins with two would name another machine; there it begins with a letter
    start = "file:" if os.name == "nt" else "file://"
    uri = f"{start}{quote(os.fsencode(path.absolute()))}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)
    connection.text_factory = bytes
    return connection


def open_to_read(folder: Path) -> sqlite3.Connection:
    """Also beside a writer, and where nothing may be written: there a copy is read.

    Raises:
        InputError: there is no library.
        LibraryError: another program's file, or a newer twinpix's, or there is no room for the copy.
        LibraryBusyError: it is written to all the time, so that no copy can be made.
        sqlite3.Error: it is damaged, or can't be read.
    """
    path = folder / NAME
    if not path.exists():
        raise InputError(f"library {folder}: there is none: add a folder first (twinpix library add DIR)")
    for _ in range(TRIES):
        try:
            return _checked(connect(path, "ro"), folder)
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(READ_ONLY) or not _can_be_read(path):
                raise
        if (copy := snapshot(path, connect)) is not None:
            return _checked(copy, folder)
        time.sleep(PAUSE)
    raise LibraryBusyError(f"library {folder}: another process is writing to it: try again when it is done")


def _checked(connection: sqlite3.Connection, folder: Path) -> sqlite3.Connection:
    try:
        check_ours(connection, folder)
    except BaseException:
        connection.close()
        raise
    return connection


def _can_be_read(path: Path) -> bool:
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False


def _is_used(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def open_to_write(folder: Path, name: str = NAME) -> sqlite3.Connection:
    """Open or create; every commit is on the disk before it returns.

    Raises:
        LibraryError, sqlite3.Error: as of `open_to_read`.
        LibraryDamagedError: it is empty, or only its log is there, which may hold everything.
    """
    path = folder / name
    if not path.exists():
        _refuse_orphan(path)
        _create(path)
    elif not path.stat().st_size:  # `_create` never leaves that
        raise LibraryDamagedError(f"library {folder}: {name} is empty: {DAMAGED}")
    _hold_log(path)
    connection = connect(path, "rw")
    try:
        check_ours(connection, folder)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")  # one that an earlier twinpix has repaired has lost it
        _held(path).unlink(missing_ok=True)
    except BaseException:
        connection.close()
        _give_log_back(path)
        raise
    return connection


@contextmanager
def kept_in_place(folder: Path) -> Iterator[None]:
    """Raises LibraryError where, at the end, the library's file is not the one that is there now: it has been lost."""
    path = folder / NAME
    before = path.stat()
    yield
    with suppress(OSError):
        if os.path.samestat(before, path.stat()):
            return
    said = "it was removed or replaced meanwhile, and what was written is lost: run it again"
    raise LibraryError(f"library {folder}: {said}")


def _refuse_orphan(path: Path) -> None:
    if _is_used(_log(path)):
        remedy = f"put it back, or delete {_log(path).name} to begin anew"
        raise LibraryDamagedError(f"library {path.parent}: {path.name} is gone, and its log is there: {remedy}")


def _hold_log(path: Path) -> None:
    # SQLite, closing a file whose log it could not open on a full disk, deletes the log: a second name saves it
    _give_log_back(path)
    if _is_used(_log(path)):
        try:
            os.link(_log(path), _held(path))
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise


def _give_log_back(path: Path) -> None:
    # nothing has been written since: played back once more, it changes nothing
    if _held(path).exists() and not _log(path).exists():
        os.replace(_held(path), _log(path))
    _held(path).unlink(missing_ok=True)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def _held(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal.held")


def _create(path: Path) -> None:
    # whole or not at all: half a file with a journal beside it can't be read where nothing may be written
    new = path.with_name(f"{path.name}.new")
    delete(new)
    with closing(connect(new, "rwc")) as connection:
        with transaction(connection):
            for statement in (*TABLES.values(), *INDEXES.values()):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION * FOUR_TIMES}")
        connection.execute("PRAGMA journal_mode = WAL")
    delete(path)  # a log would be played back over the new file, even that of one that somebody has taken away
    sync_folder(path.parent)
    os.replace(new, path)
    sync_folder(path.parent)


def delete(path: Path) -> None:
    """A database and what SQLite keeps beside it, as far as there is any."""
    for ending in ("", "-journal", "-wal.held", "-wal", "-shm"):
        path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder, and its own, are on the disk; Windows does that by itself."""
    if os.name == "nt":
        return
    for place in (folder, folder.parent):
        opened = os.open(place, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def check_ours(connection: sqlite3.Connection, folder: Path) -> None:
    """Raises LibraryError where it is another program's file, or a newer twinpix's."""
    (application,), (version,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
    )
    version, flipped = divmod(version, FOUR_TIMES)
    if application != APPLICATION_ID or flipped or version < 1:
        raise LibraryDamagedError(f"library {folder}: {NAME} is not a twinpix library, or damaged: {DAMAGED}")
    if version > VERSION:
        raise LibraryError(f"library {folder}: made by a newer twinpix (schema {version}): upgrade twinpix")
    if schema_of(connection) != {**TABLES, **INDEXES}:
        raise LibraryDamagedError(f"library {folder}: its tables are damaged: {DAMAGED}")


def schema_of(connection: sqlite3.Connection) -> dict[str, str]:
    """The statements that made its tables and indexes, by name."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name.decode("utf-8", "replace"): sql.decode("utf-8", "replace") for name, sql in rows}


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself has rolled back where the disk is full
            connection.execute("ROLLBACK")
        raise


def put(connection: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Insert rows, in place of those with their keys; the digest is added here."""
    rows = [signed(table, row) for row in rows]
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)


def sound_rows(
    connection: sqlite3.Connection, table: str, where: str = "", values: Sequence[int | bytes] = ()
) -> Iterator[Row]:
    """The rows of a table without their digest, in the order of their keys.

    Raises:
        sqlite3.DatabaseError: one is not what was written: it is not served.
    """
    for row in connection.execute(f"SELECT * FROM {table} {where}", values):
        if not is_sound(table, row):
            raise sqlite3.DatabaseError(f"a damaged row in {table}")
        yield row[:-1]


def rows_by_key(
    connection: sqlite3.Connection, table: str, key: str, values: Sequence[bytes], where: str = "", *more: bytes
) -> Iterator[Row]:
    """The rows, without their digest, whose column `key` is one of `values`; many at a time, in no order.

    Raises:
        sqlite3.DatabaseError: as of `sound_rows`.
    """
    for start in range(0, len(values), AT_ONCE):
        some = values[start : start + AT_ONCE]
        marks = ", ".join("?" * len(some))
        yield from sound_rows(connection, table, f"WHERE {key} IN ({marks}) {where}", [*some, *more])


def rows_below(connection: sqlite3.Connection, table: str, roots: Sequence[str | os.PathLike[str]]) -> list[Row]:
    """The rows, without their digest, of all files that are, or lie under, one of `roots`; sorted by path.

    Raises:
        sqlite3.DatabaseError: as of `sound_rows`.
    """
    rows: dict[bytes, Row] = {}
    for where, values in below(roots):
        rows.update((row[0], row) for row in sound_rows(connection, table, where, values))
    return [rows[path] for path in sorted(rows)]


def _place(root: str | os.PathLike[str]) -> str:
    # a file that is a link now was none when it was added: what the link leads to is another one
    path = Path(os.path.abspath(root))
    if path.is_symlink() and not os.path.isdir(path):
        return os.path.join(os.path.realpath(path.parent), path.name)
    return os.path.realpath(path)


def below(roots: Sequence[str | os.PathLike[str]]) -> Iterator[tuple[str, list[bytes]]]:
    """WHERE clauses for the paths that are, or lie under, one of `roots` (all, if there are none), and their values.

    Raises:
        InputError: one of them is an empty name.
    """
    if not roots:
        yield "", []
    if not all(map(os.fspath, roots)):
        raise InputError("an empty name: '.' is the working folder")
    for root in roots:  # one by one: a shell's *.jpg can be more than fits into one clause
        start = os.fsencode(_place(root)).rstrip(SEPARATOR)
        yield BELOW, [start, start + SEPARATOR, start + AFTER_SEPARATOR]
