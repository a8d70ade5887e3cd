"""The tortures of `make torture`, in small: they run, and meet their bars."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TORTURES = Path(__file__).parents[2] / "torture"
SMALL = {
    "library_kill.py": {"KILLS": "4", "IMAGES": "300"},
    "library_disk.py": {"EVERY": "80"},
    "library_power.py": {"EVERY": "60", "TRIES": "1"},
    "library_flips.py": {"FLIPS": "1"},
    "library_names.py": {"NAMES": "30"},
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the tortures fork")
@pytest.mark.parametrize("name", SMALL)
def test_in_small(name: str) -> None:
    if name == "library_names.py":
        pytest.importorskip("pyarrow")
    environment = {**os.environ, **SMALL[name]}
    done = subprocess.run(
        [sys.executable, TORTURES / name], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "met" or "LEFT OUT" in done.stdout
