"""One writer at a time: a lock of the operating system, which ends with its owner however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinpix.pipeline.library.errors import LibraryBusyError
from twinpix.pipeline.library.place import LOCK

PID_BYTES = 20
LOCKED_BYTE = 1 << 30  # Windows locks bytes, and readers of the pid must not be kept out


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the library's lock; the file stays, with the last owner's process id in it.

    Raises:
        LibraryBusyError: another process holds it. At once: nothing is waited for.
        OSError: the lock file can't be made.
    """
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    try:
        if not _take(file):
            os.lseek(file, 0, os.SEEK_SET)
            owner = os.read(file, PID_BYTES).decode("ascii", "replace").strip()
            by = f" (process {owner})" if owner else ""
            raise LibraryBusyError(f"library {folder}: another process{by} is writing to it: try again when it is done")
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
        yield
    finally:
        os.close(file)


def refuse_busy(folder: Path) -> None:
    """Raises LibraryBusyError where another process holds the lock: before hours of listing a slow disk."""
    if (folder / LOCK).exists():
        with writer_lock(folder):
            pass


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

else:
    import fcntl

    def _take(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
