"""What a file is at this moment: its `stat`, and the hash of the bytes behind the very same open file."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

BLOCK = 1 << 20
NOFOLLOW = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)


class Unusable(Exception):
    """A file that can't be acted upon. `reason` is a short code, the message one line."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class State:
    """One regular file.

    Attributes:
        device, inode: which file it is, whatever names it has.
        size: bytes.
        mtime_ns, ctime_ns: ns since 1970.
        mode: permission bits.
        content: BLAKE2b-128 of its bytes, hex.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    content: str

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    def is_same_file(self, other: State) -> bool:
        """Whether both are one file, by another name or through another mount.

        A network disk that is mounted twice has two devices; but no two files have one number and one ctime, to the ns.
        """
        if self.device == other.device:
            return self.inode == other.inode
        return replace(self, device=0) == replace(other, device=0)


def state_at(path: Path) -> State:
    """The state of a file by its path; the last part of it is not followed if it is a symbolic link.

    Raises:
        Unusable: it is not there, no regular file, can't be read, or changes meanwhile.
    """
    try:
        file = os.open(path, NOFOLLOW)
    except OSError as error:
        raise unusable(error) from None
    try:
        return state_of(file)
    finally:
        os.close(file)


def state_of(file: int) -> State:
    """The state of an open file (a descriptor).

    Raises:
        Unusable: as `state_at`.
    """
    try:
        before = os.fstat(file)
        if not stat.S_ISREG(before.st_mode):
            raise Unusable("not_a_file", "no longer a regular file")
        content, after = _hash(file), os.fstat(file)
    except OSError as error:
        raise unusable(error) from None
    if stamp(before) != stamp(after):
        raise Unusable("changed", "changes while it is being read")
    return State(before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns, before.st_ctime_ns,
                 stat.S_IMODE(before.st_mode), content)  # fmt: skip


def stamp(now: os.stat_result) -> tuple[int, ...]:
    """What changes when the bytes of a file do, and which file it is."""
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns


def _hash(file: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    os.lseek(file, 0, os.SEEK_SET)
    while block := os.read(file, BLOCK):
        digest.update(block)
    return digest.hexdigest()


def unusable(error: OSError) -> Unusable:
    """What an error of the operating system means for a file."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Unusable("vanished", "is not there any more")
    if error.errno == errno.ELOOP:
        return Unusable("symlink", "is, or lies behind, a symbolic link now")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Unusable("permission_denied", "no permission")
    if error.errno == errno.EXDEV:
        return Unusable("other_volume", "can only be moved within its volume")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unusable("io_error", "its disk is full: free some space and try again")
    if error.errno == errno.EROFS:
        return Unusable("io_error", "its disk is read-only")
    return Unusable("io_error", f"{error.strerror or error}")
