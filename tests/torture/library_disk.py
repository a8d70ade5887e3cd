"""RELIABILITY bar 6: the disk fails at the n-th call, for every n: old state or new, and an exit code that says so.

    python tests/torture/library_disk.py        EVERY=1: every n; EVERY=10: every tenth; ONLY=repair,export: only those

ENOSPC, EDQUOT, EIO, EROFS, EACCES, EMFILE, as they fit the call (open, create, read, write, sync, truncate, rename,
unlink, mkdir), once; and a disk that is full from there on, its last write cut in half. Each trial runs the command
itself. After it, the library must hold what it held before, or all that the command should have brought about; the exit
code is one of success only in the second case; there is one line on stderr and no traceback; and the same command on a
healed disk gets everything done. Commands that use the library as a cache must succeed, with the outcome of a scan
without one, unless what a person has decided can't be read.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from rig.pictures import PixelEncoder, make_files, setting
from rig.shim import Shim, shim

from twinpix.encoder import onnx
from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import TwinpixError
from twinpix.pipeline import cli
from twinpix.pipeline.calibration.calibrations import keep_calibration, read_own
from twinpix.pipeline.library import library as library_module
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.log import LogFault, log_fault
from twinpix.pipeline.library.looks_file import LOOKS_FILE
from twinpix.pipeline.library.place import NAME
from twinpix.pipeline.library.store import open_to_read

FULL = (errno.ENOSPC, True, True)  # error, from there on, the first one cut in half
ERRORS = {
    "o": (errno.EMFILE, errno.EACCES, errno.EIO),
    "O": (errno.EMFILE, errno.EACCES, errno.EROFS),
    "C": (errno.ENOSPC, errno.EMFILE, errno.EACCES, errno.EROFS),
    "R": (errno.EIO,),
    "W": (errno.ENOSPC, errno.EDQUOT, errno.EIO),
    "S": (errno.EIO, errno.ENOSPC),
    "T": (errno.EIO, errno.ENOSPC),
    "N": (errno.ENOSPC, errno.EIO, errno.EACCES),
    "U": (errno.EIO, errno.EACCES),
    "D": (errno.ENOSPC, errno.EACCES, errno.EROFS),
}
UNREAD = "decisions.jsonl: your decisions can't be read"
TABLES = ("files", "vectors", "failures")
State = object


@dataclass(frozen=True)
class Operation:
    """A command, and what it works on.

    Attributes:
        name: for people.
        run: does it, and returns the exit code; the argument is the folder in which everything lies.
        start: makes the state before.
        state: what counts afterwards.
        is_cache: it needs the library only as a cache.
    """

    name: str
    run: Callable[[Path], int]
    start: Callable[[Path], object]
    state: Callable[[Path], State]
    is_cache: bool = False


@dataclass
class Figures:
    """What is counted, of one operation.

    Attributes:
        calls: how many calls there are without a fault.
        trials: with one.
        codes: exit codes.
        faults: what must not be.
    """

    calls: int = 0
    trials: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def command(*words: str | Path) -> int:
    """Run a twinpix command in this process."""
    try:
        cli.app([str(word) for word in words], standalone_mode=True)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def rows(library: Path) -> State:
    """All that a library knows of files and their contents; None where there is none."""
    if not (library / NAME).exists() or not (library / NAME).stat().st_size:
        return None
    with closing(open_to_read(library)) as file:
        found = {table: sorted(file.execute(f"SELECT * FROM {table}")) for table in TABLES}
    return found if any(found.values()) else None


def state_of(room: Path) -> State:
    """Of the library `room/lib`: its rows, and whether it is sound."""
    library = room / "lib"
    if (known := rows(library)) is None:
        return None
    problems = [problem.place for problem in Library(library).check()]
    if log_fault(library) is LogFault.LAST_TRANSACTION:  # never committed: a healthy library says so, and goes on
        problems.remove("log")
    return known, tuple(problems)


def damaged_state(room: Path) -> State:
    """The same of a library that is being repaired."""
    return tuple(problem.place for problem in Library(room / "lib").check()) or state_of(room)


def operations(files: Path) -> tuple[Operation, ...]:
    """All of them; `files` has folders 000, 001 and 002."""
    first, second = files / "000", files / "001"

    def known(room: Path) -> None:
        Library(room / "lib", PixelEncoder()).add(first)

    def with_a_log(room: Path) -> None:
        known(room / "made")
        with closing(open_to_read(room / "made" / "lib")):  # a reader keeps the log
            Library(room / "made" / "lib", PixelEncoder()).add(second / "part")
            shutil.copytree(room / "made" / "lib", room / "lib", ignore=shutil.ignore_patterns("*-shm"))
        shutil.rmtree(room / "made")
        assert (room / "lib" / f"{NAME}-wal").stat().st_size

    def with_losses(room: Path) -> None:
        copy = room / "gone"
        shutil.copytree(first, copy)
        Library(room / "lib", PixelEncoder()).add(first, copy)
        shutil.rmtree(copy)

    def removed(room: Path) -> None:
        Library(room / "lib", PixelEncoder()).add(first, second)
        Library(room / "lib", PixelEncoder()).remove(first)

    def damaged(room: Path) -> None:
        known(room)
        Library(room / "lib").compact()
        path = room / "lib" / NAME
        data = bytearray(path.read_bytes())
        at = data.find(b"corrupt")
        data[at] ^= 4
        path.write_bytes(data)

    def adding(*folders: Path) -> Callable[[Path], int]:
        return lambda room: command("library", "add", *folders, "--library", room / "lib")

    def on(name: str, *words: str | Path) -> Callable[[Path], int]:
        return lambda room: command("library", name, *words, "--library", room / "lib")

    def export(room: Path) -> int:
        return command("library", "export", "-o", room / "out.npz", "--library", room / "lib")

    def cached(room: Path) -> int:
        os.environ["TWINPIX_DATA"] = str(room / "data")
        return command("encode-images", second, "-o", room.with_name("out.jsonl"))

    def cached_outcome(room: Path) -> State:
        return room.with_name("out.jsonl").read_bytes()

    def searched(room: Path) -> int:
        os.environ["TWINPIX_DATA"] = str(room / "data")
        return command("find-duplicates", second, "--threshold", "0.7", "--verify", "-o", room.with_name("out.jsonl"))

    def searched_before(room: Path) -> None:
        if (child := os.fork()) == 0:  # threads that a search leaves behind would not outlive the forks of the trials
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os._exit(searched(room))
        assert os.waitpid(child, 0)[1] == 0
        assert len(LOOKS_FILE.read(room / "data" / "library").ours)

    def old_export(room: Path) -> None:
        known(room)
        (room / "out.npz").write_bytes(b"an older export")

    def exported(room: Path) -> State:
        return (room / "out.npz").read_bytes(), sorted(room.glob("[!.]*")), state_of(room)

    def calibrated(room: Path) -> None:
        os.environ["TWINPIX_DATA"] = str(room / "data")
        keep_calibration(PixelEncoder(), calibration(1))

    def calibrate(room: Path) -> int:
        os.environ["TWINPIX_DATA"] = str(room / "data")
        try:
            keep_calibration(PixelEncoder(), calibration(2))
        except TwinpixError as error:
            print(error, file=sys.stderr)
            return 2
        return 0

    def calibration_kept(room: Path) -> State:
        os.environ["TWINPIX_DATA"] = str(room / "data")
        return read_own("pixels"), sorted((room / "data" / "calibrations").glob("[!.]*"))

    return (
        Operation("add to a new library", adding(first), lambda room: None, state_of),
        Operation("add to a library", adding(first, second), known, state_of),
        Operation("add over the log of a dead writer", adding(first, second), with_a_log, state_of),
        Operation("remove", on("remove", first / "part"), known, state_of),
        Operation("forget-missing", on("forget-missing"), with_losses, state_of),
        Operation("compact", on("compact"), removed, state_of),
        Operation("repair", on("repair"), damaged, damaged_state),
        Operation("export", export, old_export, exported),
        Operation("keep a calibration", calibrate, calibrated, calibration_kept),
        Operation("encode-images, the library as a cache", cached, lambda room: None, cached_outcome, True),
        Operation("find-duplicates, the library as a cache", searched, lambda room: None, cached_outcome, True),
        Operation("find-duplicates once more", searched, searched_before, cached_outcome, True),
    )


def calibration(number: int) -> Calibration:
    """Any calibration; different numbers are different ones."""
    return Calibration((0.1 * number, 1.0, 2.0), (1e-6, 1e-3, 1.0), 1e-5, 300, f"pictures {number}")


def trial(operation: Operation, room: Path, disk: Shim, fault: tuple[int, int, bool, bool]) -> tuple[int, str, str]:
    """Run it in a process of its own: exit code, what it said on stderr, the kinds of its calls."""
    said, told = room.with_name("stderr"), room.with_name("kinds")
    if (child := os.fork()) == 0:
        code = 99
        try:
            out, nowhere = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(out, 2)
            disk.arm(room, *fault)
            code = operation.run(room)
            told.write_text(disk.kinds)
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(), told.read_text()


def faults(kinds: str, every: int, first: int) -> Iterator[tuple[int, int, bool, bool]]:
    """(call, error, forever, cut), of a command that makes calls of these kinds."""
    for call in range(1 + first % every, len(kinds) + 1, every):
        kind = kinds[call - 1]
        yield from ((call, error, False, False) for error in ERRORS[kind])
        if kind in "WSTC":
            yield call, *FULL


def torture(operation: Operation, room: Path, disk: Shim, every: int) -> Figures:
    """One operation with a fault at every n-th call."""
    figures, start = Figures(), room.with_name("start")
    shutil.rmtree(start, ignore_errors=True)

    def reset() -> None:
        shutil.rmtree(room, ignore_errors=True)
        shutil.copytree(start, room)

    room.mkdir()
    operation.start(room)
    room.rename(start)
    reset()
    old = None if operation.is_cache else operation.state(room)
    reset()  # reading a library changes the files beside it
    fine, said, kinds = trial(operation, room, disk, (0, 0, False, False))
    new, figures.calls = operation.state(room), len(kinds)
    assert fine in (0, 3), said
    assert old != new or operation.name == "compact", operation.name
    for fault in faults(kinds, every, len(operation.name)):
        reset()
        code, said, _ = trial(operation, room, disk, fault)
        figures.trials += 1
        figures.codes[code] += 1
        wrong = _wrong(operation, room, code, fine, said, old, new)
        if not wrong and not operation.is_cache:
            code, said, _ = trial(operation, room, disk, (0, 0, False, False))
            if code not in (0, fine) or operation.state(room) != new:
                wrong = f"on a healed disk: exit code {code}, {said.strip()!r}"
        if wrong:
            call, error, forever, _ = fault
            at = f"{errno.errorcode[error]} at call {call} ({kinds[call - 1]}){' and from there on' * forever}"
            figures.faults.append(f"{operation.name}: {at}: {wrong}")
    return figures


def _wrong(operation: Operation, room: Path, code: int, fine: int, said: str, old: State, new: State) -> str:
    state = operation.state(room)
    if "Traceback" in said or "a bug in twinpix" in said:
        return f"not a named error: {said.strip()!r}"
    if operation.is_cache:
        if code == 2 and UNREAD in said and said.count("\n") == 1:
            return ""  # a person's word is no cache: without it, pairs that they called different would be back
        return "" if (code, state) == (fine, new) else f"exit code {code}, another outcome: {said.strip()!r}"
    if state not in (old, new):
        return f"neither the old state nor the new one (exit code {code}: {said.strip()!r})"
    if code == fine:
        return "" if state == new else "exit code of success, and the old state"
    return "" if code in (2, 11) and said.count("\n") == 1 else f"exit code {code}, stderr {said.strip()!r}"


def main() -> int:
    """Print the figures; 1 where a bar is missed."""
    disk, every, missed = shim(), setting("EVERY", 1), list[str]()
    onnx.load_encoder = lambda *_, **__: PixelEncoder()  # type: ignore[assignment]
    library_module.load_encoder = onnx.load_encoder  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as place:
        files, room = Path(place) / "files", Path(place) / "now"
        make_files(files, 1020)
        for folder in ("000", "001"):
            shrink(files / folder)
        time.sleep(2.1)
        only = tuple(filter(None, os.environ.get("ONLY", "").split(",")))
        for operation in operations(files):
            if only and not operation.name.startswith(only):
                continue
            begun = time.monotonic()
            found = torture(operation, room, disk, every)
            shutil.rmtree(room)
            codes = ", ".join(f"{count} times {code}" for code, count in sorted(found.codes.items()))
            print(f"{operation.name}: {found.calls} calls, {found.trials} faults, exit code {codes}; "
                  f"wrong {len(found.faults)} ({time.monotonic() - begun:.0f} s)", flush=True)  # fmt: skip
            missed += found.faults
    for line in missed[:30]:
        print(line)
    print("MISSED" if missed else "met")
    return int(bool(missed))


def shrink(folder: Path) -> None:
    """Fourteen files are enough; three of them lie in a folder of their own."""
    (folder / "part").mkdir()
    for number, path in enumerate(sorted(folder.glob("*.png"))):
        if number >= 14:
            path.unlink()
        elif number >= 11:
            path.rename(folder / "part" / path.name)


if __name__ == "__main__":
    sys.exit(main())
