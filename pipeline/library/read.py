"""Reading one file: what it is (stat), what it holds (hash), and the picture, all of the same bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat as modes
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from twinpix.encoder.decode import IN_MEMORY, sniff
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.library.in_time import Deadline, ends_by_itself, in_time
from twinpix.pipeline.library.schema import Row

HEADER = 64  # bytes that tell an image from another file
BLOCK = 1 << 20
CLOCK = 2_000_000_000  # ns; the coarsest file times in use (FAT)
UNWRITTEN = 60_000_000_000  # ns; what was changed in memory is on the disk by then (Linux: after half a minute)
GRAIN = 10_000_000  # ns; finest file times of the systems without a time of the last change of anything (exFAT)
END = 64 << 10  # bytes
OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # no fault of the file
INT64 = (1 << 63) - 1


class Stamp(NamedTuple):
    """What `stat` says of a file: while all of it stays, the file is taken for unchanged.

    Attributes:
        size: bytes.
        mtime_ns, ctime_ns: ns since 1970; ctime is the last change of anything (on Windows: when it was made). Where
            the file system has none, a digest of both ends of the file.
        inode: its number on the volume.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def columns(self) -> Row:
        """As they are stored."""
        return tuple(self)

    def is_settled(self, now_ns: int) -> bool:
        """Whether a later change is sure to show: the last one was longer before `now_ns` than clocks are coarse."""
        return all(abs(now_ns - moment) > CLOCK for moment in (self.mtime_ns, self.ctime_ns))


def stamp_of(stat: os.stat_result) -> Stamp:
    """The part of a `stat` that counts; of long numbers (times beyond the year 2262) what SQLite can keep."""
    return Stamp(stat.st_size, *(number & INT64 for number in (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)))


def stamp_at(path: Path | bytes) -> Stamp | None:
    """The stamp of a file now; None where it is gone or can't be asked."""
    try:
        stamp = stamp_of(os.lstat(path))
        return stamp if _tells_changes(stamp) else in_time(lambda _: with_ends(stamp, Path(os.fsdecode(path))))
    except (OSError, ImageError):
        return None


def _tells_changes(stamp: Stamp) -> bool:
    # on vfat, exFAT and sshfs ctime is mtime, which any program can set; elsewhere hardly a time is as round as theirs
    return stamp.ctime_ns != stamp.mtime_ns or stamp.mtime_ns % GRAIN != 0


def with_ends(stamp: Stamp, path: Path) -> Stamp:
    """The stamp with a digest of the file's ends in it where its times tell no change.

    Raises:
        OSError, ImageError: it can't be read.
    """
    # another picture of as many bytes differs there; to read all of it would take longer than to decode it
    if _tells_changes(stamp):
        return stamp
    digest = hashlib.blake2b(digest_size=8)
    with open_regular(path) as file:
        for start in (0, max(0, stamp.size - END)):
            file.seek(start)
            digest.update(file.read(END))
    return stamp._replace(ctime_ns=int.from_bytes(digest.digest(), "big") & INT64)


def is_still(path: Path, stamp: Stamp, settled: bool, content: bytes) -> bool | None:
    """Whether a file is what it was when it was read: by its bytes where its times prove nothing; None: it is gone.

    Args:
        stamp, settled, content: as of its `Reading`.
    """
    now = stamp_at(path)
    if now is None or now != stamp or settled:
        return None if now is None else now == stamp
    try:
        return read_file(path).content == content
    except ImageError:
        return False


@dataclass(frozen=True)
class Reading:
    """A file that was read.

    Attributes:
        stamp: before it was read.
        settled: the stamp was the same after it, and is old enough to be trusted.
        content: hash of its bytes, 16 bytes.
        source: to decode: its bytes, or its path where it is large.
    """

    stamp: Stamp
    settled: bool
    content: bytes
    source: bytes | Path


def read_file(path: Path) -> Reading:
    """Read and hash one file; one that is no image is not read beyond its header.

    Raises:
        ImageError: it is none, or can't be read, or not in time.
        DecodingError: as of `in_time`.
    """
    if ends_by_itself(path):
        return _read_file(path, Deadline())
    return in_time(lambda deadline: _read_file(path, deadline))


def _read_file(path: Path, deadline: Deadline) -> Reading:
    try:
        with open_regular(path) as file:
            _check_header(file)
            return _read(path, file, deadline)
    except FileNotFoundError:
        raise ImageError("vanished", "no such file") from None
    except PermissionError:
        raise ImageError("permission_denied", "no permission to read it") from None
    except OSError as error:
        if error.errno in OURS:
            raise
        raise ImageError("corrupt", f"can't be read ({error.strerror})") from None


def open_regular(path: Path) -> IO[bytes]:
    """A file to read; a pipe that has taken its place is not waited for.

    Raises:
        ImageError: it is no regular file.
        OSError: it can't be opened.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))  # noqa: SIM115 (the caller closes it)
    if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ImageError("not_an_image", "not a regular file")
    return file


def _check_header(file: IO[bytes]) -> None:
    header = file.read(HEADER)
    if not header:
        raise ImageError("empty_file", "the file is empty")
    sniff(header)
    file.seek(0)


def _read(path: Path, file: IO[bytes], deadline: Deadline) -> Reading:
    now = time.time_ns()
    _write_out(file, now)
    before = with_ends(stamp_of(os.fstat(file.fileno())), path)
    deadline.of_size(before.size)
    source: bytes | Path = path
    if before.size <= IN_MEMORY:  # larger ones are hashed block by block, and then decoded off the disk
        source = file.read()
        content = hashlib.blake2b(source, digest_size=16).digest()
    else:
        content = _hash(file)
    unchanged = before == with_ends(stamp_of(os.fstat(file.fileno())), path)
    return Reading(before, unchanged and before.is_settled(now), content, source)


def _write_out(file: IO[bytes], now: int) -> None:
    # while a page that a program has mapped waits to be written, further writes to it change no time; the next one does
    if hasattr(os, "fdatasync") and abs(now - os.fstat(file.fileno()).st_ctime_ns) < UNWRITTEN:
        with suppress(OSError):  # there are file systems that can't
            os.fdatasync(file.fileno())


def _hash(file: IO[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.digest()
