"""RELIABILITY bar 17: two at once. The second ends with exit code 11 within 5 s; a dead process's lock clears.

    python tests/torture/library_lock.py        STARTS=10

A writer that is stopped in the middle holds the library's lock. Commands with that library named end with 11; the ones
to which it is only a cache go on without it; readers read. Then the writer is killed, and the next one goes on at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rig.pictures import PixelEncoder, make_files, setting

from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.place import LOCK

LONGEST, BUSY = 5.0, 11
TWINPIX = Path(sys.executable).with_name("twinpix")


def stopped_writer(library: Path, files: Path) -> int:
    """A process that adds files, and stops once it holds the lock; its number."""
    (library / LOCK).unlink(missing_ok=True)
    if (child := os.fork()) == 0:
        try:
            stop = PixelEncoder(on_encode=lambda count: os.kill(os.getpid(), signal.SIGSTOP))
            Library(library, stop).add(files)
        finally:
            os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    return child


def run(*words: str | Path) -> tuple[int, float, str]:
    """Exit code, seconds, stderr."""
    begun = time.perf_counter()
    done = subprocess.run([TWINPIX, *words], capture_output=True, text=True, check=False)
    return done.returncode, time.perf_counter() - begun, done.stderr


def main() -> int:
    """Print the figures; 1 where a bar is missed."""
    starts, faults, slowest, slowest_start = setting("STARTS", 10), list[str](), 0.0, 0.0
    with tempfile.TemporaryDirectory() as place:
        room, files = Path(place), Path(place) / "files"
        os.environ["TWINPIX_DATA"] = str(room / "data")
        library = room / "data" / "library"
        make_files(files, 40)
        Library(library, PixelEncoder()).add(files / "000" / "000000.png")
        for start in range(starts):
            child = stopped_writer(library, files)
            named = ("--library", library)
            for words, expected in (
                (("library", "add", files, *named), BUSY),
                (("library", "compact", *named), BUSY),
                (("library", "repair", *named), BUSY),
                (("encode-images", files, "-o", room / "out.npz", *named), BUSY),
                (("encode-images", files, "-o", room / "out.npz"), 3),  # some are damaged
                (("library", "status", *named), 0),
            ):
                code, seconds, said = run(*words)
                if expected == BUSY:
                    _, bare, _ = run("--version")
                    slowest, slowest_start = max(slowest, seconds - bare), max(slowest_start, bare)
                if code != expected or (expected == BUSY and f"(process {child})" not in said):
                    faults.append(f"{' '.join(map(str, words))}: exit code {code}, {said.strip()}")
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            code, _, said = run("library", "add", files, *named) if start == starts - 1 else run("library", "compact")
            if code not in (0, 3):
                faults.append(f"after the writer's death: exit code {code}, {said.strip()}")
    print(f"{starts} stopped writers: the slowest refusal took {slowest:.2f} s more than `twinpix --version` at that "
          f"moment, which took up to {slowest_start:.2f} s")  # fmt: skip
    for fault in faults:
        print(fault)
    failed = bool(faults) or slowest > LONGEST
    print("MISSED" if failed else "met")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
