"""A log that a dead writer left over: a flip in it is found, a write that was cut off is not called damage."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from twinpix.pipeline.library.errors import LibraryDamagedError
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.log import FRAME_HEADER, HEADER, LogFault, fault_in

Shelf = Callable[..., Library]
PAGE = 4096
FRAME = FRAME_HEADER + PAGE


@pytest.fixture
def log(tmp_path: Path) -> bytes:
    """Ten transactions of several pages each."""
    dice, path = np.random.default_rng(0), tmp_path / "any.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("CREATE TABLE things (thing)")
        for i in range(10):
            file.execute("INSERT INTO things VALUES (?)", (dice.bytes(9000 + i),))
        return path.with_name("any.sqlite-wal").read_bytes()


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_is_found(log: bytes) -> None:
    assert fault_in(log) is None
    dice, frames = np.random.default_rng(1), (len(log) - HEADER) // FRAME
    bits = [*range(8 * HEADER), *(8 * HEADER + dice.integers(8 * frames * FRAME, size=300)).tolist()]
    bits += [8 * (HEADER + FRAME * int(dice.integers(frames))) + bit for bit in range(8 * FRAME_HEADER)]
    assert [bit for bit in bits if fault_in(flipped(log, bit)) is None] == []


def test_only_the_last_transaction_can_have_been_cut_off(log: bytes) -> None:
    headers = np.frombuffer(log[HEADER:], np.uint8).reshape(-1, FRAME)[:, :FRAME_HEADER].copy().view(">u4")
    commits = np.flatnonzero(headers[:, 1])
    for frame in range(len(headers)):
        expected = LogFault.LAST_TRANSACTION if frame > commits[-2] else LogFault.DAMAGED
        assert fault_in(flipped(log, 8 * (HEADER + frame * FRAME + 1000))) is expected, frame


def test_a_log_that_ends_anywhere_or_goes_on_with_old_frames_is_sound(log: bytes, tmp_path: Path) -> None:
    for end in range(0, len(log), 997):
        assert fault_in(log[:end]) is None
    path = tmp_path / "again.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("CREATE TABLE things (thing)")
        for _ in range(10):
            file.execute("INSERT INTO things VALUES (zeroblob(9000))")
        file.execute("PRAGMA wal_checkpoint(RESTART)")
        file.execute("INSERT INTO things VALUES (1)")
        again = path.with_name("again.sqlite-wal").read_bytes()
    assert len(again) > 9 * FRAME
    assert fault_in(again) is None


@pytest.fixture
def left_over(shelf: Shelf, photos: Path, fine_clock: None) -> Library:
    """A library whose last three additions are in the log that a killed writer left."""
    library, copy = shelf("written"), shelf()
    library.add(photos / "old")
    with closing(sqlite3.connect(library.path / "library.sqlite")) as reader:  # keeps the log
        reader.execute("SELECT count(*) FROM files").fetchone()
        for name in ("copy.png", "cut.png", "new"):
            library.add(photos / name)
        shutil.copytree(library.path, copy.path, ignore=shutil.ignore_patterns("*-shm"))
    return copy


def test_check_finds_a_flip_in_a_left_over_log_and_repair_and_add_equal_a_rebuild(
    left_over: Library, photos: Path
) -> None:
    log = left_over.path / "library.sqlite-wal"
    data = log.read_bytes()
    assert left_over.check() == ()
    log.write_bytes(flipped(data, 8 * (HEADER + FRAME // 2)))
    assert [problem.place for problem in left_over.check()] == ["log"]
    with pytest.raises(LibraryDamagedError, match=r"its log \(-wal\) .*twinpix library repair"):
        left_over.add(photos)
    aside = left_over.repair()
    assert aside is not None
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == flipped(data, 8 * (HEADER + FRAME // 2))
    assert left_over.check() == ()
    left_over.add(photos)
    assert len(left_over.embeddings().paths) == 13


def test_a_transaction_that_was_cut_off_stops_nobody(left_over: Library, photos: Path) -> None:
    log = left_over.path / "library.sqlite-wal"
    data = log.read_bytes()
    log.write_bytes(flipped(data, 8 * (len(data) - 100)))
    assert [problem.message for problem in left_over.check()] == [LogFault.LAST_TRANSACTION.value]
    left_over.add(photos)
    assert left_over.check() == ()
    assert len(left_over.embeddings().paths) == 13
