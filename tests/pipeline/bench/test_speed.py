"""Measuring speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from twinpix.encoder.errors import InputError
from twinpix.pipeline.bench.speed import _peak_mb, speed


def test_rates_are_printed(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speed(album, images=8) == 0
    lines = capsys.readouterr().out.splitlines()
    one = ["Pillow alone, reduced-scale decode", "encode", "CPU ms an image"]
    assert [line.split(":")[0].strip() for line in lines] == ["as they are", *one, "at 500 px", *one]
    for line in lines[3::4]:
        stages = dict(part.split() for part in line.split(": ")[1].split(", "))
        assert list(stages) == ["read", "decode", "resize", "transfer", "inference", "write"]
        assert all(float(ms) >= 0 for ms in stages.values())
        assert float(stages["inference"]) > 0


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no readable image"):
        speed(tmp_path)


def test_what_the_parent_held_is_not_the_peak_of_its_child(album: Path, tmp_path: Path) -> None:
    held = np.ones(700_000_000, np.uint8)
    assert 50 < _peak_mb(album, tmp_path / "out.npz") < held.nbytes / 2**20


def test_the_package_runs_as_a_module(album: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "twinpix.pipeline",
        "is-duplicate",
        album / "a.png",
        album / "a.webp",
    ]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
