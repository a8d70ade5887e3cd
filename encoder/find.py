"""Finding files: every regular file under the folders, each once, in a stable order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from twinpix.encoder.errors import InputError


def find_files(
    roots: Iterable[str | os.PathLike[str]], on_error: Callable[[Path, OSError], None] | None = None
) -> Iterator[Path]:
    """Absolute paths of all regular files under `roots`, hidden ones included, sorted folder by folder.

    Whether a file is an image is found out by its content when it is decoded, not by its name.
    Symbolic links below a root are not followed. A file that several roots reach comes once.

    Args:
        roots: folders (or single files).
        on_error: called with a folder that can't be listed; without it such a folder raises.

    Raises:
        InputError: a root is not there.
    """
    seen: set[str] = set()
    for root in roots:
        start = Path(os.path.realpath(root))
        if not start.exists():
            raise InputError(f"{os.fspath(root)}: no such folder")
        if not start.is_dir() and not start.is_file():
            raise InputError(f"{os.fspath(root)}: neither a folder nor a regular file")
        walk = iter([start]) if start.is_file() else _walk(start, on_error)
        for path in walk:
            if str(path) not in seen:
                seen.add(str(path))
                yield path


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
        yield from (Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False))
        pending += [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]
