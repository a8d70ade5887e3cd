"""Finding files: every regular file under the folders, each once, in a stable order."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from twinpix.encoder.data_folder import data_folder
from twinpix.encoder.errors import InputError

QUARANTINE = ".twinpix-quarantine"  # what was removed, here or with the user's number behind it
# of the system, of a NAS, of programs that sync or show photos: sooner or later each empties itself, or is made anew
TRASH = re.compile(
    rf"{re.escape(QUARANTINE)}(-\d+)?|\.Trash(-\d+)?|\.Trashes|RECYCLER|RECYCLED|(?i:\$recycle\.bin|[#@.]recycle)"
    r"|\.dtrash|\.caltrash|\.trash|\.debris|files_trashbin|files_versions|\.stversions|\.sync|\.SyncArchive"
    r"|\.snapshots?|[#~]snapshot|@Recently-Snapshot|@eaDir|\.zfs|\.snap|Backups\.backupdb|\.MobileBackups"
    r"|\.DocumentRevisions-V100|\.TemporaryItems|System Volume Information"
    r"|\.cache|\.dropbox\.cache|\.tmp\.drive(up|down)load|\.thumbnails|\.dthumb|lost\+found"
)
# what people call such folders, too, and what is hidden: a file there stays for none outside
FLEETING = re.compile(
    r"\..+|(?i:(.*[\W_])?(te?mp|temporary|trash|recycled?|deleted|rubbish|cache|thumbs|thumbnails"
    r"|papierkorb|corbeille|papelera|cestino|lixeira)([\W_].*)?)"
)
LENT = ".twinpix-review"  # in a folder with what was unpacked for a review: it goes with that
TRASHED = ".trashed-"  # what a file's name begins with that Android deletes in a month
OnError = Callable[[Path, OSError], None]


def find_files(roots: Iterable[str | os.PathLike[str]], on_error: OnError | None = None) -> Iterator[Path]:
    """Absolute paths of all regular files under `roots`, hidden ones included, sorted folder by folder.

    Whether a file is an image is found out by its content when it is decoded, not by its name.
    Symbolic links below a root are not followed. A file that several roots reach comes once. What was removed is not
    found again: quarantines, trash, snapshots and caches are left out (see `is_trash`), and so are twinpix's data
    folder and what a review has unpacked, unless a root lies in one.

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
        walk = iter([start]) if start.is_file() else _files(start, on_error)
        for path in walk:
            if (name := str(path)) not in seen:
                seen.add(name)
                yield path


def find_links(roots: Iterable[Path]) -> Iterator[Path]:
    """The symbolic links in the folders that `find_files` walks through; one that can't be listed has none."""
    for root in roots:
        for parent, _, links in _walk(Path(os.path.realpath(root)), lambda folder, error: None):
            yield from (parent / name for name in links)


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


def _files(folder: Path, on_error: OnError | None) -> Iterator[Path]:
    for parent, files, _ in _walk(folder, on_error):  # a name is joined to it in less time than a path is taken apart
        yield from (parent / name for name in files if not name.startswith(TRASHED))


def _walk(folder: Path, on_error: OnError | None) -> Iterator[tuple[Path, list[str], list[str]]]:
    # each folder with the names of its files and symbolic links
    own, pending = own_folder(), [str(folder)]
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
        if current != str(folder) and any(entry.name == LENT for entry in entries):
            continue
        files, links, folders = _by_kind(entries, on_error)
        yield Path(current), files, links
        pending += [path for path in reversed(folders) if not is_trash(path) and path != own]


def _by_kind(entries: list[os.DirEntry[str]], on_error: OnError | None) -> tuple[list[str], list[str], list[str]]:
    # names of files and of symbolic links, paths of folders
    files, links, folders = list[str](), list[str](), list[str]()
    for entry in entries:
        try:  # a file system that tells no kinds when it lists has each entry looked at, which can fail
            if entry.is_file(follow_symlinks=False):
                files.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_symlink():
                links.append(entry.name)
        except OSError as error:
            if on_error is None:
                raise
            on_error(Path(entry.path), error)
    return files, links, folders


def fleeting(path: Path) -> int:
    """In how many folders a file lies that are hidden, or may be emptied, by their names; what lies in fewer lasts."""
    return sum(FLEETING.fullmatch(name) is not None for name in path.parts[:-1])


def own_folder() -> str:
    """twinpix's data folder, without symbolic links: what lies in it is no one's original."""
    return os.path.realpath(data_folder())


def is_passing(path: Path) -> bool:
    """Whether a file lies in a trash, in twinpix's data folder, or among what was unpacked for a review."""
    if path.is_relative_to(own_folder()):
        return True
    return any(is_trash(str(place)) or os.path.exists(place / LENT) for place in (path, *path.parents))


def is_trash(path: str) -> bool:
    """Whether a folder is a quarantine, or one of those that empty themselves, or a file is trashed, by its name."""
    name = os.path.basename(path)  # noqa: PTH119
    is_own = path.endswith("/.local/share/Trash") or path == _own_trash(os.environ.get("XDG_DATA_HOME", ""))
    return is_own or name.startswith(TRASHED) or TRASH.fullmatch(name) is not None


@lru_cache(1)
def _own_trash(data_home: str) -> str:
    return os.path.realpath(os.path.join(data_home, "Trash")) if data_home else ""
