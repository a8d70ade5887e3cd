"""SQLite's write-ahead log (`library.sqlite-wal`): is every transaction in it what was written?

SQLite reads a log up to the first frame whose checksum is wrong and passes the rest over without a word. That is right
after a power cut, when the last transaction was never promised, and wrong where a bit has flipped in one that was.
See "WAL-mode File Format" in SQLite's documentation.
"""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.library.errors import DAMAGED, LibraryDamagedError
from twinpix.pipeline.library.place import NAME

HEADER, FRAME_HEADER = 32, 24  # bytes
MAGIC = {0x377F0682: "<u4", 0x377F0683: ">u4"}  # the words that checksums are made of
AT_ONCE = 500  # frames; a kill while a library is compacted leaves a log of its size
AT_REST = 0.1  # s; a log that is being written changes meanwhile
Words = NDArray[np.uint32]


class LogFault(Enum):
    """What is wrong with a log."""

    LAST_TRANSACTION = (
        "the last transaction of its log is not complete: a kill or a power cut while it was written (nothing that was "
        "promised is lost), or damage"
    )
    DAMAGED = "its log (-wal) is not what was written: transactions in it are lost"


def log_fault(folder: Path) -> LogFault | None:
    """What is wrong with a library's log, also while another process may be writing to it."""
    path = folder / f"{NAME}-wal"
    data = _content(path)
    fault = fault_in(data)
    if fault is not None:
        time.sleep(AT_REST)
    return fault if fault is None or _content(path) == data else None


def refuse_damaged_log(folder: Path) -> None:
    """Raises LibraryDamagedError where opening would silently lose what was committed; the caller is the one writer."""
    if fault_in(_content(folder / f"{NAME}-wal")) is LogFault.DAMAGED:
        raise LibraryDamagedError(f"library {folder}: {LogFault.DAMAGED.value}: {DAMAGED}")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def fault_in(data: bytes) -> LogFault | None:
    """What is wrong with a log of these bytes."""
    if len(data) <= HEADER:
        return None  # no transaction was begun
    header = np.frombuffer(data, ">u4", HEADER // 4)
    words = MAGIC.get(int(header[0]))
    if words is None:
        return LogFault.DAMAGED
    start = _after(np.frombuffer(data, words, 6)[None], (0, 0))[0]
    page = int(header[2])
    if start != (int(header[6]), int(header[7])) or page % 8 or page < 512:
        return LogFault.DAMAGED
    return _fault_in_frames(np.frombuffer(data, np.uint8, offset=HEADER), page, words, header[4:6], start)


def _fault_in_frames(
    data: NDArray[np.uint8], page: int, words: str, salts: Words, start: tuple[int, int]
) -> LogFault | None:
    size = FRAME_HEADER + page
    frames = data[: len(data) // size * size].reshape(-1, size)
    headers = np.ascontiguousarray(frames[:, :FRAME_HEADER]).view(">u4")
    same = headers[:, 2:4] == salts  # frames of the log before this one have other salts
    sums = [start]
    for block in range(0, len(frames), AT_ONCE):
        summed = np.delete(frames[block : block + AT_ONCE], np.s_[8:FRAME_HEADER], axis=1)
        sums += _after(np.ascontiguousarray(summed).view(words), sums[-1])
    sound = same.all(axis=1) & (headers[:, 4:6] == np.array(sums[1:]).reshape(-1, 2)).all(axis=1)
    rest = slice(len(frames) if sound.all() else int(np.argmin(sound)), None)
    ours = same[rest].any(axis=1)  # one of two salts is enough: chance has no part in that
    commits = ours & (headers[rest, 1] != 0)
    if commits.sum() > 1:  # each commit was on the disk before the next transaction began
        return LogFault.DAMAGED
    return LogFault.LAST_TRANSACTION if ours.any() else None


def _after(blocks: NDArray[np.uint32], start: tuple[int, int]) -> list[tuple[int, int]]:
    """SQLite's checksum after each block of 2m words: s0 += x + s1; s1 += y + s0, modulo 2^32, for each two of them.

    That is linear: after a block the sums are M^m (s0, s1) plus a dot product, M = ((1, 1), (1, 2)).
    """
    pairs = blocks.reshape(len(blocks), -1, 2).astype(np.uint32)
    powers = _powers(pairs.shape[1])
    x, y = pairs[..., 0], pairs[..., 0] + pairs[..., 1]  # what one step adds to s0 and s1
    own = [
        (x * powers[:-1][::-1, row, 0] + y * powers[:-1][::-1, row, 1]).sum(axis=1, dtype=np.uint32) for row in (0, 1)
    ]
    (a, b), (c, d) = powers[-1].tolist()
    sums, (s0, s1) = list[tuple[int, int]](), start
    for p, q in zip(own[0].tolist(), own[1].tolist(), strict=True):
        s0, s1 = (a * s0 + b * s1 + p) % 2**32, (c * s0 + d * s1 + q) % 2**32
        sums.append((s0, s1))
    return sums


def _powers(m: int) -> Words:
    """M^0 .. M^m, uint32 (m + 1, 2, 2)."""
    powers, (a, b, d) = np.empty((m + 1, 2, 2), np.uint32), (1, 0, 1)
    for i in range(m + 1):
        powers[i] = ((a, b), (b, d))
        a, b, d = (a + b) % 2**32, (b + d) % 2**32, (b + 2 * d) % 2**32
    return powers
