"""RELIABILITY bar 4: kill -9 at random points of a scan, again and again, and go on: nothing lost, nothing doubled.

    python tests/torture/library_kill.py        KILLS=1000 IMAGES=20000 SEED=0: about 40 minutes on two cores

Scans of a folder are killed and resumed until they are done; then the library is compared with that of an
uninterrupted scan, thrown away, and the next one begins, until so many kills have hit. Half of the kills come at a
random time, the other half at a random moment within a phase: opening, the look-up of what is known, a commit (with the
checkpoints that SQLite makes in it), closing.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import signal
import sqlite3
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np
from rig.pictures import PixelEncoder, make_files, setting

from twinpix.pipeline.library import add
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.library.log import LogFault, log_fault
from twinpix.pipeline.library.looks_file import LOOKS_FILE
from twinpix.pipeline.library.place import NAME
from twinpix.pipeline.library.schema import TABLES
from twinpix.pipeline.library.store import open_to_read
from twinpix.pipeline.stream import CHUNK
from twinpix.pipeline.threads import cores

BATCH = add.BATCH_IMAGES + 2 * cores() * CHUNK  # the batch that is not kept yet, and the chunks that are on their way
MOST_LOOKS = 200_000  # records in a file that is killed on
LONGEST = 2.0  # s to a kill at a random time


class Phase(IntEnum):
    """Where a scan is."""

    OPENING = 0
    LOOK_UP = 1
    SCAN = 2
    COMMIT = 3
    CLOSING = 4


class Board:
    """What a scan tells its killer: memory that both see."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 24)

    def clear(self) -> None:
        """Before a scan."""
        self._memory[:] = bytes(24)

    @property
    def phase(self) -> Phase:
        """Where it is."""
        return Phase(self._read(0))

    @phase.setter
    def phase(self, phase: Phase) -> None:
        struct.pack_into("<q", self._memory, 0, phase)
        if phase is Phase.COMMIT:
            struct.pack_into("<q", self._memory, 16, self.commits + 1)

    @property
    def encoded(self) -> int:
        """How many pictures it has encoded."""
        return self._read(8)

    @property
    def commits(self) -> int:
        """How many commits it has begun."""
        return self._read(16)

    def add_encoded(self, count: int) -> None:
        """So many more."""
        struct.pack_into("<q", self._memory, 8, self.encoded + count)

    def _read(self, at: int) -> int:
        (value,) = struct.unpack_from("<q", self._memory, at)
        return int(value)


@dataclass
class Figures:
    """What is counted.

    Attributes:
        kills: by phase.
        redone: pictures that were encoded and not kept, for each kill.
        scans: libraries that came to their end.
        lost, doubled, different: faults; all must be 0.
        alarms: what `check` said of a library that was only killed.
    """

    kills: Counter[Phase] = field(default_factory=Counter)
    redone: list[int] = field(default_factory=list)
    scans: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0
    alarms: list[str] = field(default_factory=list)


def start(library: Path, folder: Path, board: Board) -> int:
    """A scan in a process of its own; its number."""
    board.clear()
    if (child := os.fork()) != 0:
        return child
    code = 1
    try:
        _mark(board)
        Library(library, PixelEncoder(on_encode=board.add_encoded)).add(folder)
        code = 0
    finally:
        os._exit(code)


def _mark(board: Board) -> None:
    ours = vars(add)
    begin, transaction, finish = (ours[name] for name in ("begin_generation", "transaction", "finish_generation"))

    def look_up(connection: sqlite3.Connection, encoder: PixelEncoder) -> None:
        begin(connection, encoder)
        board.phase = Phase.LOOK_UP

    @contextmanager
    def commit(connection: sqlite3.Connection) -> Iterator[None]:
        board.phase = Phase.COMMIT
        with transaction(connection):
            yield
        board.phase = Phase.SCAN

    def close(connection: sqlite3.Connection, fingerprint: str) -> None:
        board.phase = Phase.CLOSING
        finish(connection, fingerprint)

    ours.update(begin_generation=look_up, transaction=commit, finish_generation=close)


def await_moment(child: int, board: Board, dice: np.random.Generator) -> bool:
    """Wait for the moment to kill; False: the scan came to its end before."""
    deadline, awaited, commits = time.monotonic() + LONGEST * dice.random(), None, 0
    if dice.random() < 0.5:
        awaited = (Phase.OPENING, Phase.LOOK_UP, Phase.COMMIT, Phase.COMMIT, Phase.CLOSING)[dice.integers(5)]
        commits = int(dice.integers(2, 12))  # the first commit is that of the folder's name
    while True:
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            return False
        if awaited is None:
            if time.monotonic() > deadline:
                return True
        elif board.phase is awaited and (awaited is not Phase.COMMIT or board.commits >= commits):
            time.sleep(float(dice.random()) * (0.03 if awaited in (Phase.OPENING, Phase.LOOK_UP) else 0.008))
            return True
        time.sleep(0.0005)


@dataclass(frozen=True)
class Kept:
    """What is in a library.

    Attributes:
        contents: what has a vector, or is known to be unreadable.
        vectors: how many there are.
        doubled: how many of the contents are there twice.
    """

    contents: frozenset[bytes] = frozenset()
    vectors: int = 0
    doubled: int = 0


def kept(library: Path) -> Kept:
    """What is in a library that may be half made. Its log stays, for the next scan to find."""
    if not (library / NAME).exists() or not (library / NAME).stat().st_size:
        return Kept()
    with closing(open_to_read(library)) as file:
        vectors, failed = (
            [content for (content,) in file.execute(f"SELECT content FROM {table}")]
            for table in ("vectors", "failures")
        )
    contents = frozenset(vectors + failed)
    return Kept(contents, len(vectors), len(vectors) + len(failed) - len(contents))


def tables(library: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that is in a library."""
    with closing(open_to_read(library)) as file:
        return {table: sorted(file.execute(f"SELECT * FROM {table}")) for table in TABLES}


def torture(kills: int, images: int, seed: int, room: Path) -> Figures:
    """Kill, resume, compare."""
    folder, library, board, figures = room / "files", room / "library", Board(), Figures()
    dice = np.random.default_rng(seed)
    make_files(folder, images, seed)
    begun = time.monotonic()
    Library(room / "whole", PixelEncoder()).add(folder)
    print(f"an uninterrupted scan of {images} files: {time.monotonic() - begun:.1f} s", flush=True)
    whole = tables(room / "whole")
    before, begun = Kept(), time.monotonic()
    while figures.kills.total() < kills:
        child = start(library, folder, board)
        if not await_moment(child, board, dice):
            figures.scans += 1
            figures.different += tables(library) != whole
            figures.alarms += [problem.message for problem in Library(library).check()]
            shutil.rmtree(library)
            before = Kept()
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            continue  # it ended in the very moment: the next one finds everything done
        figures.kills[board.phase] += 1
        now = kept(library)
        figures.lost += len(before.contents - now.contents)
        figures.doubled += now.doubled
        figures.redone.append(board.encoded - (now.vectors - before.vectors))
        before = now
        if fault := log_fault(library):
            figures.alarms.append(fault.value)
        if (total := figures.kills.total()) % 50 == 0:
            figures.alarms += [problem.message for problem in Library(library).check()] if before.vectors else []
            print(f"{total} kills, {figures.scans} scans done, {time.monotonic() - begun:.0f} s", flush=True)
    Library(library, PixelEncoder()).add(folder)  # the last one is brought to its end
    figures.scans += 1
    figures.different += tables(library) != whole
    return figures


def torture_looks(kills: int, library: Path, dice: np.random.Generator) -> tuple[int, int]:
    """Kill while second looks are appended: how many that were kept are lost, and how many are not what was written."""
    board, lost, damaged = Board(), 0, 0
    contents = np.frombuffer(dice.bytes(16 * 200), "S16")
    ends = {"query": contents[:100], "reference": contents[100:]}
    records = LOOKS_FILE.made(**ends, outcome=np.ones(100, np.uint8), tests=np.zeros(100, np.uint8))
    library.mkdir()
    for _ in range(kills):
        if (child := os.fork()) == 0:
            while True:
                with writer_lock(library):
                    LOOKS_FILE.append(library, records)
                board.add_encoded(100)
        time.sleep(0.002 + 0.02 * float(dice.random()))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = LOOKS_FILE.read(library)
        damaged += found.damaged
        lost += max(0, board.encoded - len(found.ours))
        board.clear()
        if len(found.ours) > MOST_LOOKS:  # else the thousandth kill takes seconds to judge
            (library / LOOKS_FILE.name).unlink()
        else:
            board.add_encoded(len(found.ours))
    return lost, damaged


def main() -> int:
    """Print the figures; 1 where a bar is missed."""
    kills, images, seed = setting("KILLS", 1000), setting("IMAGES", 20_000), setting("SEED", 0)
    with tempfile.TemporaryDirectory() as room:
        figures = torture(kills, images, seed, Path(room))
        lost, damaged = torture_looks(kills, Path(room) / "looks", np.random.default_rng(seed))
    phases = ", ".join(f"{phase.name.lower()} {count}" for phase, count in sorted(figures.kills.items()))
    worst = max(figures.redone)
    print(f"{figures.kills.total()} kills ({phases}) over {figures.scans} libraries of {images} files, each to its end")
    print(f"lost {figures.lost}, doubled {figures.doubled}, libraries unlike an uninterrupted one {figures.different}")
    print(f"encoded again for a kill: mean {np.mean(figures.redone):.0f}, most {worst}; a batch is at most {BATCH}")
    for alarm, count in Counter(figures.alarms).items():
        print(f"check said {count} times: {alarm}")
    print(f"{kills} kills while second looks are appended: lost {lost}, not what was written {damaged}")
    failed = lost or damaged or figures.lost or figures.doubled or figures.different or worst > BATCH
    failed = failed or any(alarm != LogFault.LAST_TRANSACTION.value for alarm in figures.alarms)  # that one is true
    print("MISSED" if failed else "met")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
