"""The few operations that change a disk: none overwrites anything, and none goes through a symbolic link."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.state import NOFOLLOW, State, Unusable, stamp, state_of, unusable

FOLDER = NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
FICLONE = 0x40049409
# the call that moves atomically, and its flags for "never overwrite" and "exchange the two"
ATOMIC = {"linux": ("renameat2", 1, 2), "darwin": ("renameatx_np", 4, 2)}


def check_system() -> None:
    """Raises InputError where files can't be moved without the risk of overwriting one."""
    name = ATOMIC.get(sys.platform, ("", 0, 0))[0]
    if not hasattr(ctypes.CDLL(None) if name else object(), name):
        raise InputError("moving files safely needs Linux (glibc 2.28) or macOS: nothing was touched")


@contextmanager
def folder(path: Path, forbidden: Collection[tuple[int, int]] = ()) -> Iterator[int]:
    """A descriptor of a folder, reached without following a symbolic link anywhere in its path.

    Args:
        forbidden: device and inode of folders that it must not be, or lie in, under whatever name.

    Raises:
        Unusable: it is not there, no folder, behind a symbolic link, or in a forbidden one.
    """
    here = _reach(path, forbidden)
    try:
        yield here
    finally:
        os.close(here)


def _reach(path: Path, forbidden: Collection[tuple[int, int]]) -> int:
    here = -1
    try:
        for part in path.parts:
            there = os.open(part, FOLDER) if here < 0 else os.open(part, FOLDER, dir_fd=here)
            if here >= 0:
                os.close(here)
            here = there
            _refuse_forbidden(here, forbidden)
    except (OSError, Unusable) as error:
        if here >= 0:
            os.close(here)
        raise (_of_folder(error, path) if isinstance(error, OSError) else error) from None
    return here


def _refuse_forbidden(place: int, forbidden: Collection[tuple[int, int]]) -> None:
    if forbidden:
        now = os.fstat(place)
        if (now.st_dev, now.st_ino) in forbidden:
            raise Unusable("reference", "in a reference folder")


def _of_folder(error: OSError, path: Path) -> Unusable:
    # a link opened as a folder, not followed, is no folder
    if error.errno == errno.ENOTDIR and os.path.realpath(path) != str(path):
        return Unusable("symlink", "lies behind a symbolic link now")
    return unusable(error)


@contextmanager
def opened(place: int, name: str) -> Iterator[tuple[int, State]]:
    """A regular file in an open folder, with its state; the descriptor pins which file was looked at.

    Raises:
        Unusable: as `state_of`.
    """
    try:
        file = os.open(name, NOFOLLOW, dir_fd=place)
    except OSError as error:
        raise unusable(error) from None
    try:
        yield file, state_of(file)
    finally:
        os.close(file)


def is_still(place: int, name: str, state: State) -> bool:
    """Whether the name in an open folder still stands for that very file, unchanged by its stamp."""
    try:
        now = os.stat(name, dir_fd=place, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(now.st_mode) and stamp(now) == (state.device, state.inode, state.size, state.mtime_ns)


def is_free(place: int, name: str) -> bool:
    """Whether a name in an open folder is not taken."""
    try:
        os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False


def move(from_folder: int, name: str, to_folder: int, new_name: str, private: bool = False) -> None:
    """Move a file without overwriting.

    Args:
        private: nobody else writes into the target's folder: there, where a file system knows no atomic way, a look
            whether the name is free is as good.

    Raises:
        OSError: the target is there, is on another volume, or the file system can't do it safely.
    """
    try:
        _rename(from_folder, name, to_folder, new_name, ATOMIC[sys.platform][1])
    except OSError as error:
        if error.errno not in UNSUPPORTED or not private:
            raise
        if not is_free(to_folder, new_name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name) from None
        os.rename(name, new_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)


def move_back(private: int, name: str, to_folder: int, new_name: str) -> None:
    """Move a file out of a folder into which nobody else writes, without overwriting.

    Raises:
        OSError: as `move`.
    """
    try:
        move(private, name, to_folder, new_name)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        os.link(name, new_name, src_dir_fd=private, dst_dir_fd=to_folder, follow_symlinks=False)
        os.unlink(name, dir_fd=private)


def exchange(folder_a: int, name_a: str, folder_b: int, name_b: str) -> None:
    """Swap two files in one step.

    Raises:
        OSError: one is not there, or the file system can't.
    """
    _rename(folder_a, name_a, folder_b, name_b, ATOMIC[sys.platform][2])


def _rename(from_folder: int, name: str, to_folder: int, new_name: str, flags: int) -> None:
    call = getattr(ctypes.CDLL(None, use_errno=True), ATOMIC[sys.platform][0])
    if call(from_folder, os.fsencode(name), to_folder, os.fsencode(new_name), ctypes.c_uint(flags)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


def clone(source: int, folder_fd: int, name: str) -> int:
    """A new file that shares the blocks of an open one (reflink), as an open descriptor.

    Raises:
        OSError: the file system can't share blocks (Btrfs, XFS, bcachefs and APFS can), or the name is taken.
    """
    target = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder_fd)
    try:
        _share_blocks(source, target)
    except OSError:
        os.close(target)
        os.unlink(name, dir_fd=folder_fd)
        raise
    return target


def _share_blocks(source: int, target: int) -> None:
    if sys.platform != "linux":
        raise OSError(errno.EOPNOTSUPP, "reflinks are made on Linux only")
    import fcntl

    fcntl.ioctl(target, FICLONE, source)
