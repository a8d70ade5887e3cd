"""One writer at a time: a lock of the operating system, which ends with its owner however that ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinpix.pipeline.library.errors import LibraryBusyError
from twinpix.pipeline.library.place import LOCK

PID_BYTES = 20
LAST_BREATH = 2.0  # s
LOCKED_BYTE = 1 << 30  # Windows locks bytes, and readers of the pid must not be kept out

_ours: set[int] = set()  # open lock files of this process


@contextmanager
def writer_lock(folder: Path, busy: str = "") -> Iterator[None]:
    """Hold the library's lock; the file stays, with the last owner's process id in it.

    Args:
        busy: what to say where another process holds it; by default that it writes to this library.

    Raises:
        LibraryBusyError: another process holds it. At once: a living one is not waited for.
        OSError: the lock file can't be made.
    """
    with _lock(folder, busy) as file:
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, str(os.getpid()).encode())
        yield


@contextmanager
def _lock(folder: Path, busy: str = "") -> Iterator[int]:
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    _ours.add(file)
    try:
        if not (_take(file) or _take_from_the_dead(file)):
            owner = _owner(file)
            by = f"another process{f' (process {owner})' if owner else ''} is"
            if owner == str(os.getpid()):
                by = "this process is (another thread, or a call that has not ended)"
            said = f"library {folder}: {by} writing to it: try again when it is done"
            raise LibraryBusyError(busy or said)
        yield file
    finally:
        if file in _ours:  # not in a forked child, whose parent goes on
            _ours.remove(file)
            _release(file)
            os.close(file)


def refuse_busy(folder: Path) -> None:
    """Raises LibraryBusyError where another process holds the lock: before hours of listing a slow disk."""
    if (folder / LOCK).exists():
        with _lock(folder):  # without our number: the lock is given back at once
            pass


def _owner(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, PID_BYTES).decode("ascii", "replace").strip()


def _take_from_the_dead(file: int) -> bool:
    # a process that the owner was just starting when it was killed holds its files until it runs
    owner, deadline = _owner(file), time.monotonic() + LAST_BREATH
    while owner.isdecimal() and not _is_alive(int(owner)) and time.monotonic() < deadline:
        time.sleep(0.02)
        if _take(file):
            return True
    return False


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        return True  # there nobody inherits a lock
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


if sys.platform == "win32":
    import msvcrt

    def _take(file: int) -> bool:
        os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(file, 0, os.SEEK_SET)
        return True

    def _release(file: int) -> None:
        pass  # it ends as the file is closed

else:
    import fcntl

    def _take(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)  # to close it is not enough: a process that was forked meanwhile has it open

    def _leave_to_the_parent() -> None:
        # a forked child shares the lock: it must neither give it back nor hold it beyond the parent's end
        while _ours:
            os.close(_ours.pop())

    os.register_at_fork(after_in_child=_leave_to_the_parent)
