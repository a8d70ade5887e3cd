"""Finding files: every regular file under the folders, each once, in a stable order."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from twinpix.encoder.errors import InputError

QUARANTINE = ".twinpix-quarantine"  # what was removed, here or with the user's number behind it
# of the system, of a NAS, of programs that sync or show photos: sooner or later each empties itself, or is made anew
TRASH = re.compile(
    rf"{re.escape(QUARANTINE)}(-\d+)?|\.Trash(-\d+)?|\.Trashes|RECYCLER|RECYCLED|(?i:\$recycle\.bin|[#@.]recycle)"
    r"|\.dtrash|files_trashbin|\.stversions|\.snapshots?|#snapshot|@eaDir|\.cache|lost\+found"
)
TRASHED = ".trashed-"  # what a file's name begins with that Android deletes in a month


def find_files(
    roots: Iterable[str | os.PathLike[str]], on_error: Callable[[Path, OSError], None] | None = None
) -> Iterator[Path]:
    """Absolute paths of all regular files under `roots`, hidden ones included, sorted folder by folder.

    Whether a file is an image is found out by its content when it is decoded, not by its name.
    Symbolic links below a root are not followed. A file that several roots reach comes once. What was removed is not
    found again: quarantines, trash, snapshots and caches are left out (see `is_trash`), unless a root lies in one.

    Args:
        roots: folders (or single files).
        on_error: called with a folder that can't be listed, or an entry that can't be looked at; without it it raises.

    Raises:
        InputError: a root is not there, or an empty name.
    """
    seen: set[str] = set()
    for root in roots:
        start = _start(root)
        if not start.is_dir() and not start.is_file():
            raise InputError(f"{os.fspath(root)}: neither a folder nor a regular file")
        walk = iter([start]) if start.is_file() else _walk(start, on_error)
        for path in walk:
            if (name := str(path)) not in seen:
                seen.add(name)
                yield path


def _start(root: str | os.PathLike[str]) -> Path:
    name = os.fspath(root)
    if not name:
        raise InputError("an empty name: '.' is the working folder")
    try:
        start = Path(os.path.realpath(name))
        start.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{name}: no such folder or file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name!r} can't be reached ({getattr(error, 'strerror', None) or error})") from None
    return start


def _walk(folder: Path, on_error: Callable[[Path, OSError], None] | None) -> Iterator[Path]:
    pending = [str(folder)]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as scan:
                entries = sorted(scan, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            if on_error is None:
                raise
            on_error(Path(current), error)
            continue
        parent = Path(current)  # a name is joined to it in less time than a whole path is taken apart
        files, folders = _files_and_folders(entries, on_error)
        yield from (parent / name for name in files if not name.startswith(TRASHED))
        pending += [path for path in reversed(folders) if not is_trash(path)]


def _files_and_folders(
    entries: list[os.DirEntry[str]], on_error: Callable[[Path, OSError], None] | None
) -> tuple[list[str], list[str]]:
    # names of files, paths of folders
    files, folders = list[str](), list[str]()
    for entry in entries:
        try:  # a file system that tells no kinds when it lists has each entry looked at, which can fail
            if entry.is_file(follow_symlinks=False):
                files.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
        except OSError as error:
            if on_error is None:
                raise
            on_error(Path(entry.path), error)
    return files, folders


def is_trash(path: str) -> bool:
    """Whether a folder is a quarantine, or one of those that empty themselves, or a file is trashed, by its name."""
    name = os.path.basename(path)  # noqa: PTH119
    is_own = path.endswith("/.local/share/Trash") or path == _own_trash(os.environ.get("XDG_DATA_HOME", ""))
    return is_own or name.startswith(TRASHED) or TRASH.fullmatch(name) is not None


@lru_cache(1)
def _own_trash(data_home: str) -> str:
    return os.path.realpath(os.path.join(data_home, "Trash")) if data_home else ""
