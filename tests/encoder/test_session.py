"""Opening ONNX Runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_nothing_is_gathered_about_the_user(tmp_path: Path) -> None:
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "TMPDIR")}
    given = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    program = "import twinpix; twinpix.load_encoder()"
    subprocess.run([sys.executable, "-c", program], env=given | home, check=True)
    assert list(tmp_path.rglob("*")) == []  # ONNX Runtime left to itself leaves a device id and a queue of events there
