"""Finding files: every regular file under the folders, each once, in a stable order."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from twinpix.encoder.errors import InputError

QUARANTINE = ".twinpix-quarantine"  # what was removed, here or with the user's number behind it
TRASH = re.compile(rf"{re.escape(QUARANTINE)}(-\d+)?|\.Trash(-\d+)?|\.Trashes|\$RECYCLE\.BIN")


def find_files(
    roots: Iterable[str | os.PathLike[str]], on_error: Callable[[Path, OSError], None] | None = None
) -> Iterator[Path]:
    """Absolute paths of all regular files under `roots`, hidden ones included, sorted folder by folder.

    Whether a file is an image is found out by its content when it is decoded, not by its name.
    Symbolic links below a root are not followed. A file that several roots reach comes once. What was removed is not
    found again: quarantines, and the trash of the system, are left out, unless a root lies in such a trash.

    Args:
        roots: folders (or single files).
        on_error: called with a folder that can't be listed; without it such a folder raises.

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
        yield from (parent / entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        folders = [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]
        pending += [path for path in folders if not is_trash(path)]


def is_trash(folder: str) -> bool:
    """Whether a folder is a quarantine of twinpix's, or a trash of the system's, by its name."""
    return TRASH.fullmatch(os.path.basename(folder)) is not None or folder.endswith("/.local/share/Trash")  # noqa: PTH119
