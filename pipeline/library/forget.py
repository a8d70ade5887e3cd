"""Taking files out of the library. Pictures on the disk are never touched, and vectors stay until it is compacted."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.library.add import Roots
from twinpix.pipeline.library.generations import State
from twinpix.pipeline.library.store import below, sound_rows, transaction

ORPHANS = (
    "DELETE FROM vectors WHERE content NOT IN (SELECT content FROM files)",
    "DELETE FROM failures WHERE substr(content, 1, 16) NOT IN (SELECT content FROM files)",
    "DELETE FROM vectors WHERE fingerprint NOT IN (SELECT fingerprint FROM generations)",
    "DELETE FROM failures WHERE length(content) > 16 "
    "AND substr(content, 17) NOT IN (SELECT fingerprint FROM generations)",
)


@dataclass(frozen=True)
class Forgotten:
    """The outcome of forgetting files that are gone.

    Attributes:
        paths: the files that were forgotten; of a folder that was moved and added again, the old names.
        kept: folders below which nothing at all is left, as of a disk that is not connected: their files are kept.
    """

    paths: tuple[Path, ...]
    kept: tuple[Path, ...]


def remove_files(connection: sqlite3.Connection, roots: Roots) -> tuple[int, ...]:
    """Forget these files and all files below these folders; how many there were of each."""
    forgotten = list[int]()
    with transaction(connection):
        for where, values in below(roots):
            connection.execute(f"DELETE FROM roots {where}", values)
            forgotten.append(connection.execute(f"DELETE FROM files {where}", values).rowcount)
    return tuple(forgotten)


def forget_missing_files(connection: sqlite3.Connection, force: bool) -> Forgotten:
    """Forget the files that are gone, but those of a disk that is not there (unless `force`).

    A folder that is gone, too, and of which every picture is elsewhere, was moved; an empty one may be a mount point.
    """
    contents = {os.fsdecode(row[0]): row[-1] for row in sound_rows(connection, "files", "ORDER BY path")}
    there = {path for path in contents if not _is_gone(path)}
    seen = {contents[path] for path in there}
    gone = [path for path in contents if path not in there]
    lost = [path for path in gone if contents[path] not in seen]
    kept = () if force else _absent_folders(_absent_roots(connection, there, lost), gone)
    forgotten = [path for path in gone if not any(_is_below(path, folder) for folder in kept)]
    with transaction(connection):
        connection.executemany("DELETE FROM files WHERE path = ?", [(os.fsencode(path),) for path in forgotten])
    return Forgotten(tuple(map(Path, forgotten)), tuple(map(Path, kept)))


def _absent_roots(connection: sqlite3.Connection, there: set[str], lost: Sequence[str]) -> list[str]:
    # an empty folder is what is left of a mount point: a root counts only while one of its files is there
    roots = [os.fsdecode(row[0]) for row in sound_rows(connection, "roots", "ORDER BY path")]
    empty = [root for root in roots if not any(_is_below(path, root) for path in there)]
    unnamed = {str(Path(path).parent) for path in lost if not any(_is_below(path, root) for root in roots)}
    absent = [*empty, *sorted(folder for folder in unnamed if not os.path.isdir(folder))]
    return [root for root in absent if any(_is_below(path, root) for path in lost)]


def _absent_folders(roots: list[str], gone: Sequence[str]) -> tuple[str, ...]:
    # beside the roots the folders that are still there, and hold nothing any more: a disk below a root leaves one, too,
    # and that its pictures are also elsewhere, as those of a backup are, is no reason to forget them
    folders = {Path(path).parent for path in gone if not any(_is_below(path, root) for root in roots)}
    left = {next((place for place in (folder, *folder.parents) if os.path.isdir(place)), folder) for folder in folders}
    return (*roots, *sorted(str(folder) for folder in left if _is_empty(folder)))


def _is_empty(folder: Path) -> bool:
    try:
        return next(folder.iterdir(), None) is None
    except OSError:  # nobody knows
        return True


def _is_gone(path: str) -> bool:
    # what can't be looked at, for want of permission or on a disk that fails, is not gone
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def stored_contents(connection: sqlite3.Connection) -> NDArray[np.bytes_]:
    """The contents of all files, S16 (n,), sorted."""
    rows = connection.execute("SELECT DISTINCT content FROM files ORDER BY content")
    return np.array([content for (content,) in rows], "S16")


def compact_store(connection: sqlite3.Connection) -> None:
    """Drop the vectors that no file needs and those of past models; give the room back."""
    with transaction(connection):
        connection.execute("DELETE FROM generations WHERE state = ?", (State.PAST.value,))
        for statement in ORPHANS:
            connection.execute(statement)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
