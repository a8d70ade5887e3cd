"""RELIABILITY bar 5: power cuts. Writes that were not synced are lost, torn, or on the disk in any order.

    python tests/torture/library_power.py        TRIES=4 cuts after each call, EVERY=1; SEED=0

All calls of a command are recorded; for a cut after each of them, what may be left of the folder is put on the disk:
all that was synced, and a random part of what was not. On one kind of disk names are journalled in their order (ext4),
on the other each is sure only when its folder was synced, and they come in any order. The library must then hold every
commit that had returned, and be sound; or say that it is damaged, and be repaired.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rig.disk import Call, Disk, calls_in
from rig.pictures import PixelEncoder, make_files, setting
from rig.shim import Shim, shim

from twinpix.pipeline.library import add, forget, generations
from twinpix.pipeline.library.errors import LibraryDamagedError
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.log import LogFault
from twinpix.pipeline.library.place import NAME
from twinpix.pipeline.library.schema import TABLES
from twinpix.pipeline.library.store import open_to_read

FILES = 300
EMPTY = "nothing"


@dataclass(frozen=True)
class Operation:
    """What is done, to what, and what must be there at the end of it."""

    name: str
    start: Callable[[Library], object]
    run: Callable[[Library], object]
    heal: Callable[[Library], object]


@dataclass
class Figures:
    """What is counted, of one operation."""

    calls: int = 0
    cuts: int = 0
    loud: int = 0
    faults: tuple[str, ...] = ()


def digest(connection: sqlite3.Connection) -> str:
    """Of all that a library holds."""
    found = hashlib.blake2b(digest_size=8)
    for table in TABLES:
        for row in sorted(connection.execute(f"SELECT * FROM {table}")):
            found.update(repr((table, row)).encode())
    return found.hexdigest()


def digest_of(library: Path) -> str:
    """The same of a folder; EMPTY where there is no library, or no row in it."""
    if not (library / NAME).exists():
        return EMPTY
    with closing(open_to_read(library)) as connection:
        rows = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]
        return digest(connection) if any(rows) else EMPTY


def recorded(run: Callable[[], object], room: Path, disk: Shim) -> tuple[list[Call], list[str]]:
    """All calls of it, and the state after each commit; its number stands among the calls once it is kept."""
    tape, states = room.with_name("tape"), room.with_name("states")
    if (child := os.fork()) == 0:
        code = 1
        try:
            with open(states, "w", buffering=1) as lines:
                _mark_commits(lambda state: lines.write(f"{state}\n"), disk)
                file = os.open(tape, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                disk.arm(room)
                disk.record(file)
                run()
                disk.record(-1)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0, "the command failed while it was recorded"
    return list(calls_in(tape.read_bytes())), states.read_text().split()


def _mark_commits(note: Callable[[str], object], disk: Shim) -> None:
    real, count = vars(add)["transaction"], 0

    @contextmanager
    def transaction(connection: sqlite3.Connection) -> Iterator[None]:
        nonlocal count
        with real(connection):
            yield
        disk.mark(count)
        note(digest(connection))
        count += 1

    for module in (add, forget, generations):
        vars(module)["transaction"] = transaction


def judge(room: Path, promised: int, states: list[str], old: str, operation: Operation, new: str) -> tuple[str, bool]:
    """What is wrong with the library that a cut left (nothing: ""), and whether it said so itself."""
    library, loud = Library(room / "lib", PixelEncoder()), False
    try:
        state = digest_of(library.path)
        problems = [problem.message for problem in library.check()] if state != EMPTY else []
        loud = problems not in ([], [LogFault.LAST_TRANSACTION.value])
    except (LibraryDamagedError, sqlite3.DatabaseError):
        state, loud = "", True
    allowed = states[promised:] if promised >= 0 else [old, *states, new]
    if loud and operation.name != "repair":
        library.repair()
    elif state not in (*allowed, old) or (state == old and promised >= 0 and old not in allowed):
        return f"{len(allowed)} states were allowed, and it is none of them" + " (it is empty)" * (state == EMPTY), loud
    operation.heal(library)
    if library.check() or digest_of(library.path) != new:
        return "the command, once more, does not bring about its outcome", loud
    return "", loud


def torture(operation: Operation, room: Path, disk: Shim, every: int, dice: np.random.Generator) -> Figures:
    """A cut after each call, or each one of `every`."""
    figures, start, faults, tries = Figures(), room.with_name("start"), list[str](), setting("TRIES", 4)
    for folder in (room, start):
        shutil.rmtree(folder, ignore_errors=True)
    room.mkdir()
    operation.start(Library(room / "lib", PixelEncoder()))
    shutil.copytree(room, start)
    library = Library(room / "lib", PixelEncoder())
    calls, states = recorded(lambda: operation.run(library), room, disk)
    new, old = digest_of(room / "lib"), _state_of_copy(start, room)
    figures.calls = len(calls)
    for is_strict in (False, True):
        shutil.rmtree(room)
        shutil.copytree(start, room)
        model = Disk.of(room, is_strict)
        for number, call in enumerate(calls, 1):
            model.do(call)
            for _ in range(tries if call.kind in "WSTNUDO" and number % every == 0 else 0):
                shutil.rmtree(room)
                model.after_a_cut(room, dice)
                wrong, loud = judge(room, model.marks, states, old, operation, new)
                figures.cuts += 1
                figures.loud += loud
                if wrong:
                    kind = "strict" if is_strict else "journalled"
                    faults.append(f"{operation.name}: cut after call {number} ({call.kind}), names {kind}: {wrong}")
    figures.faults = tuple(faults)
    return figures


def _state_of_copy(start: Path, room: Path) -> str:
    copy = room.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(start, copy)
    try:
        return digest_of(copy / "lib")
    except sqlite3.DatabaseError:
        return "damaged"


def operations(files: Path) -> tuple[Operation, ...]:
    """All of them; `files` has one folder, 000, and one file more, 001/000500.png."""
    first, more = files / "000", files / "001"

    def known(library: Library) -> None:
        library.add(first)

    def damaged(library: Library) -> None:
        library.add(first)
        library.compact()
        data = bytearray((library.path / NAME).read_bytes())
        data[data.find(b"corrupt")] ^= 4
        (library.path / NAME).write_bytes(data)

    def removed(library: Library) -> None:
        library.add(first, more)
        library.remove(first)

    def mended(library: Library) -> None:
        library.repair()

    return (
        Operation("add to a new library", lambda library: None, known, known),
        Operation("add to a library", lambda library: library.add(more), known, known),
        Operation("remove", known, lambda library: library.remove(first), lambda library: library.remove(first)),
        Operation("compact", removed, Library.compact, lambda library: library.compact()),
        Operation("repair", damaged, mended, mended),
    )


def main() -> int:
    """Print the figures; 1 where a bar is missed."""
    disk, dice = shim(), np.random.default_rng(setting("SEED", 0))
    add.BATCH_IMAGES = 64  # several commits
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        files, room = Path(place) / "files", Path(place) / "now"
        make_files(files, 501)
        for path in sorted((files / "000").glob("*.png"))[FILES:]:
            path.unlink()
        time.sleep(2.1)
        for operation in operations(files):
            begun = time.monotonic()
            found = torture(operation, room, disk, setting("EVERY", 1), dice)
            print(f"{operation.name}: {found.calls} calls, {found.cuts} power cuts; said to be damaged {found.loud}; "
                  f"wrong {len(found.faults)} ({time.monotonic() - begun:.0f} s)", flush=True)  # fmt: skip
            missed += found.faults
    for line in missed[:30]:
        print(line)
    print("MISSED" if missed else "met")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
