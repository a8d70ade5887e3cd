"""The OpenAPI document is true: schemathesis sends what it allows, and what it does not, and reads every answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RIG = Path(__file__).parents[2] / "torture"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="needs schemathesis")
def test_schemathesis_finds_nothing(served: Any, tmp_path: Path) -> None:
    own = os.environ | {"PYTHONPATH": str(RIG), "SCHEMATHESIS_HOOKS": "rig.schema_pictures"}
    words = [str(SCHEMATHESIS), "run", f"{served.address}/openapi.json", "--max-examples", "3", "--no-color"]
    words += ["--seed", "1", "--generation-deterministic"]  # at random: tests/torture/service_schema.py
    done = subprocess.run(
        [*words, "--max-time", "20"], cwd=tmp_path, env=own, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout and "Tested: 6" in done.stdout
