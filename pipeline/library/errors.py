"""What goes wrong with a library, by name."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinpix.encoder.errors import TwinpixError

NO_FOLDER = "there is a file where its folder should be: move it, or name another folder with --library"
FULL = "make room on its disk and run it again: what was added before is kept"
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: "its disk can't be written: move the library, or name another with --library",
    errno.EACCES: "its folder must be yours to write: change that, or name another with --library",
    errno.EEXIST: NO_FOLDER,
    errno.ENOTDIR: NO_FOLDER,
    errno.EMFILE: "too many files are open: close other programs, or raise `ulimit -n`",
    errno.EIO: "the disk fails: copy the library elsewhere, and run `twinpix library check` on the copy",
}
SAID = (
    ("full", FULL),
    ("readonly", REMEDIES[errno.EROFS]),
    ("disk i/o", "the disk fails or is full: make room, then run `twinpix library check`"),
)
DAMAGED = "run `twinpix library repair`: nothing is deleted, and damaged rows are encoded again by the next add"
DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)  # the latter from names in SQLite's own messages
PASSING = ("BUSY", "LOCKED", "CANTOPEN", "NOMEM", "IOERR", "FULL", "PERM", "READONLY")  # of SQLite's SQLITE_…


class LibraryError(TwinpixError):
    """The library can't be read or written; what it held before is as it was."""


class LibraryDamagedError(LibraryError):
    """The library's file, or a row in it, is not what was written."""


class LibraryBusyError(LibraryError):
    """Another process is writing to the library."""


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Whatever the disk or SQLite raises inside becomes one line that names the library and what to do.

    Raises:
        LibraryDamagedError, LibraryBusyError, LibraryError.
    """
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "see that its folder can be read and written")
        raise LibraryError(f"library {path}: {error.strerror or error}: {remedy}") from None
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _named(path, error) from None


def is_damage(error: Exception) -> bool:
    """Whether an error of SQLite's speaks of the file itself, not of a disk or a lock at this moment."""
    name = str(getattr(error, "sqlite_errorname", ""))
    return not name.removeprefix("SQLITE_").startswith(PASSING)


def _named(path: Path, error: Exception) -> LibraryError:
    said = str(error).lower()
    if "locked" in said or "busy" in said:
        return LibraryBusyError(f"library {path}: another program holds it: try again when that has finished")
    for part, remedy in SAID:
        if part in said:
            return LibraryError(f"library {path}: {error}: {remedy}")
    if not is_damage(error):
        return LibraryError(f"library {path}: {error}: see that its folder can be read and written")
    return LibraryDamagedError(f"library {path}: {error}: {DAMAGED}")
