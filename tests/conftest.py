"""Pictures made on the spot, and the shipped encoder. No test depends on how good that encoder is."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import twinpix
from twinpix.encoder.onnx import OnnxEncoder

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def no_calibration_of_ones_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's data folder is neither read nor written by any test."""
    monkeypatch.setenv("TWINPIX_DATA", str(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="session")
def encoder() -> OnnxEncoder:
    """The shipped encoder."""
    return twinpix.load_encoder()


@pytest.fixture(scope="session")
def paint() -> Paint:
    """`paint(seed, width, height)`: a smooth random RGB picture; other seeds are unrelated pictures."""

    def make(seed: int = 0, width: int = 320, height: int = 240, cells: int = 12) -> Image.Image:
        dice = np.random.default_rng(seed)
        blobs = dice.integers(0, 256, (cells * 3 // 4, cells, 3), dtype=np.uint8)
        return Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture(scope="session")
def hearing() -> list[str]:
    """Words before a command that make it hear SIGINT, to which a shell's background jobs are deaf.

    Not a `preexec_fn`: that forks this process, and gRPC's or Ray's threads may then keep the child from starting.
    """
    said = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", said]


@pytest.fixture(scope="session")
def pack() -> Pack:
    """`pack(picture, format, **options)`: the bytes of a file."""

    def make(picture: Image.Image, kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        return buffer.getvalue()

    return make


@pytest.fixture
def album(tmp_path: Path, paint: Paint) -> Path:
    """Three unrelated pictures (a, b, sub/c), a byte copy of a, the same picture as WebP, and a text file."""
    folder = tmp_path / "album"
    (folder / "sub").mkdir(parents=True)
    for seed, name in enumerate(("a.png", "b.png", "sub/c.png")):
        paint(seed).save(folder / name)
    (folder / "sub" / "a copy.png").write_bytes((folder / "a.png").read_bytes())
    paint(0).save(folder / "a.webp", lossless=True)
    (folder / "notes.txt").write_text("no picture\n")
    return folder


@pytest.fixture(scope="session")
def command() -> Command:
    """`command("find-duplicates", DIR, ...)`: run an installed script; stdout and stderr as text."""

    def run(
        name: str, *args: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).parent / name, *args],
            capture_output=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=120,
            check=False,
        )

    return run
