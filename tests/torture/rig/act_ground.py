"""Where the worlds are made: in memory if possible, and mounted a second time where that is allowed."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def ground() -> Iterator[tuple[Path, Path]]:
    """A folder for the worlds, and the same mounted a second time; without the right to mount, twice the same.

    Where mounting is allowed, it is a volume of its own, so that nothing is put at the top of another.
    """
    memory = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(prefix="act_plans", dir=memory if os.access(memory, os.W_OK) else None)).resolve()
    private = os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).unshare(0x00020000) == 0  # mounts of our own
    worlds, alias = base / "worlds", base / "alias"
    mounted = private and _run("mount", "--make-rprivate", "/") and _run("mount", "-t", "tmpfs", "tmpfs", base)
    for folder in (worlds, alias):
        folder.mkdir()
    twice = mounted and _run("mount", "--bind", worlds, alias)
    try:
        yield worlds, alias if twice else worlds
    finally:
        for target in (alias,) * twice + (base,) * mounted:
            _run("umount", target)
        shutil.rmtree(base, ignore_errors=True)


def _run(*command: str | Path) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
