"""Measuring speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from twinpix.encoder.errors import InputError
from twinpix.pipeline.bench.speed import speed


def test_rates_are_printed(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speed(album, images=20) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].split(" of ")[0] for line in lines] == [
        "best",
        "Pillow alone, reduced-scale decode",
        "encode",
    ]


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no readable image"):
        speed(tmp_path)


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
