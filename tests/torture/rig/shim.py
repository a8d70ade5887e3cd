"""A disk that fails on demand, or that remembers all that is done to it: shim.c, loaded before the C library."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
BUILT = "TWINPIX_RIG_SHIM"


@dataclass(frozen=True)
class Shim:
    """The shim inside this process.

    Attributes:
        library: its functions.
    """

    library: ctypes.CDLL

    def arm(self, folder: Path, call: int = 0, error: int = 0, forever: bool = False, cut: bool = False) -> None:
        """Count calls under `folder` from now on; the `call`-th fails with `error`, or (`forever`) all that need room.

        Args:
            call: from 1; 0: none fails.
            cut: where that is a write, half of it is done.
        """
        self.library.rig_arm(os.fsencode(folder), ctypes.c_long(call), error, int(forever), int(cut))

    def record(self, file: int) -> None:
        """Write every call to this file descriptor; -1: to none."""
        self.library.rig_record(file)

    def mark(self, number: int) -> None:
        """Put a number among the calls that are recorded."""
        self.library.rig_mark(ctypes.c_long(number))

    @property
    def kinds(self) -> str:
        """One letter for each call since `arm`.

        o open to read, O open to write, C create, R read, W write, S sync, T truncate, N rename, U unlink, D mkdir.
        """
        return str(self.library.rig_kinds().decode())


def shim() -> Shim:
    """The shim; where this process runs without it, it is built, and the process starts again with it.

    Raises:
        SystemExit: there is no C compiler, or this is not Linux: the torture is left out, and says so.
    """
    built = os.environ.get(BUILT)
    if built is None:
        built = _build()
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, BUILT: built, "LD_PRELOAD": built}
        )  # the same script once more
    library = ctypes.CDLL(built)
    library.rig_kinds.restype = ctypes.c_char_p
    shutil.rmtree(Path(built).parent, ignore_errors=True)
    return Shim(library)


def _build() -> str:
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        print("LEFT OUT: faults of the disk are made by a shim that needs Linux and a C compiler")
        sys.exit(0)
    target = Path(tempfile.mkdtemp(prefix="twinpix-shim-")) / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", target, SOURCE, "-ldl", "-lpthread"], check=True)
    return str(target)
