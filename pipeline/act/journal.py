"""The journal of one apply: each act is on the disk as a line before it is done, so that it can be taken back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from twinpix.encoder.data_folder import data_folder
from twinpix.encoder.errors import TwinpixError
from twinpix.pipeline.library.errors import LibraryBusyError
from twinpix.pipeline.library.lock import writer_lock

SCHEMA = 1
NAME = re.compile(r"(\d{6})-\d{8}T\d{6}")  # of a run: a number, and when it was begun (UTC)
PLACE = re.compile(rb'"place": ("(?:[^"\\]|\\.)*")')  # in a line
UNREADABLE = (ValueError, KeyError, TypeError, RecursionError)
OPEN, UNDONE, EMPTIED = ".jsonl", ".undone.jsonl", ".emptied.jsonl"


class JournalError(TwinpixError):
    """The journal can't be read or written; nothing is moved without one."""


class ActBusyError(TwinpixError):
    """Another process is applying, undoing or emptying."""


@dataclass(frozen=True)
class Entry:
    """One file that is about to be moved.

    Attributes:
        path: where it lies, absolute.
        place: where it is put, absolute.
        info: the line in the trash that goes with it; empty if none.
        inode, size, mtime_ns, mode, content: what it is.
        kept: files that hold the picture and stay, with their content, as they were found at that moment; empty of a
            partner of which there is no copy.
        replaced: whether another file with the same bytes takes its place (hard link, reflink).
    """

    path: str
    place: str
    info: str
    inode: int
    size: int
    mtime_ns: int
    mode: int
    content: str
    kept: tuple[tuple[str, str], ...]
    replaced: bool = False


@dataclass(frozen=True)
class Journal:
    """What one apply did.

    Attributes:
        run: its name.
        action: quarantine, trash, folder, hardlink or reflink.
        started: seconds since 1970; infinite where that line is damaged, so that it never seems old.
        entries: in the order they were done; the last may not have been. Those that were deleted for good are not here.
        damaged: numbers of lines that are not as they were written.
        file: absolute.
    """

    run: str
    action: str
    started: float
    entries: tuple[Entry, ...]
    damaged: tuple[int, ...]
    file: Path

    def close(self, ending: str) -> None:
        """It is over: undone, or emptied. The file is kept under another name."""
        self.file.rename(self.file.with_name(self.run + ending))
        sync_folder(self.file.parent)

    def drop(self, entries: Iterable[Entry]) -> None:
        """Their files were deleted for good: they are entries no more.

        Raises:
            OSError: it can't be written.
        """
        with open(self.file, "rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) == b"\n":  # else a line was cut off, and would run into this one
                file.write(_seal({"emptied": [entry.place for entry in entries]}))
                file.flush()
                os.fsync(file.fileno())


class Writer:
    """A journal being written; the file is made by the first act."""

    def __init__(self, action: str) -> None:
        self.run = f"{_next_number():06d}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
        self._action, self._file = action, -1
        self.written = 0

    def write(self, entry: Entry) -> None:
        """Returns when the line is safe on the disk.

        Raises:
            JournalError: it can't be.
        """
        try:
            if self._file < 0:
                self._start()
            self._append({"entry": asdict(entry)})
        except OSError as error:
            raise JournalError(f"{journals()}: the journal can't be written ({error.strerror or error})") from None
        self.written += 1

    def _start(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(journals() / (self.run + OPEN), flags, 0o600)
        self._append({"twinpix_journal": SCHEMA, "run": self.run, "action": self._action, "started": time.time()})
        sync_folder(journals())

    def _append(self, row: dict[str, Any]) -> None:
        rest = _seal(row)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def close(self) -> None:
        """No more acts."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _seal(row: dict[str, Any]) -> bytes:
    body = json.dumps(row)
    return f'{{"row": {body}, "check": "{_check(body)}"}}\n'.encode("ascii")


def _check(body: str) -> str:
    return hashlib.blake2b(body.encode("ascii"), digest_size=8).hexdigest()


def _unseal(line: bytes) -> dict[str, Any]:
    sealed = json.loads(line)
    if line != _seal(sealed["row"])[:-1] or not isinstance(sealed["row"], dict):
        raise ValueError("not as it was written")
    return dict(sealed["row"])


def journals() -> Path:
    """The folder of all journals."""
    return data_folder() / "journal"


@contextmanager
def locked() -> Iterator[None]:
    """One process at a time.

    Raises:
        ActBusyError: another one is at it.
        JournalError: the folder can't be made.
    """
    try:
        journals().mkdir(parents=True, exist_ok=True)
        lock = writer_lock(journals())
        lock.__enter__()
    except LibraryBusyError:
        raise ActBusyError("another process is applying or undoing: try again when it is done") from None
    except OSError as error:
        raise JournalError(f"{journals()}: can't be written ({error.strerror or error}): nothing was touched") from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def open_journals() -> list[Journal]:
    """Those that are neither undone nor emptied, oldest first.

    Raises:
        JournalError: one can't be read.
    """
    return [read_journal(file) for file in _files() if NAME.fullmatch(file.name.removesuffix(OPEN))]


def _files() -> list[Path]:
    try:
        return sorted(journals().iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"{journals()}: can't be read ({error.strerror or error})") from None


def _next_number() -> int:
    return max((int(found[1]) for file in _files() if (found := NAME.match(file.name))), default=0) + 1


def read_journal(file: Path) -> Journal:
    """A journal as it is on the disk.

    A last line that was cut off by a kill stands for an act that was not done, unless its file lies where it was to be
    put: then it is a damaged one.

    Raises:
        JournalError: it can't be read.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise JournalError(f"{file}: can't be read ({error.strerror or error})") from None
    if not _was_done(lines[-1]):
        lines.pop()
    rows, damaged = [], []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_unseal(line))
        except UNREADABLE:
            damaged.append(number)
    header = rows[0] if rows and "run" in rows[0] else {}
    emptied = {place for row in rows for place in row.get("emptied", ())}
    entries = tuple(_entry(row["entry"]) for row in rows if "entry" in row and row["entry"]["place"] not in emptied)
    return Journal(file.name.removesuffix(OPEN), str(header.get("action", "?")), float(header.get("started", "inf")),
                   entries, tuple(damaged), file)  # fmt: skip


def _was_done(last: bytes) -> bool:
    # of a line that has no end: one that lost nothing else is as it was written; of a cut one its file tells
    with suppress(*UNREADABLE):
        return bool(_unseal(last))
    with suppress(*UNREADABLE):
        found = PLACE.search(last)
        return found is not None and os.path.lexists(json.loads(found[1]))
    return False


def _entry(row: dict[str, Any]) -> Entry:
    values = {field.name: row[field.name] for field in fields(Entry)}
    return Entry(**{**values, "kept": tuple((path, content) for path, content in row["kept"])})


def sync_folder(path: Path) -> None:
    """Make what was renamed or made in a folder last beyond a loss of power."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
