"""A folder of different pictures, and pictures whose vectors are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.onnx import MODELS

Paint = Callable[..., Image.Image]
Floats = NDArray[np.float32]


@pytest.fixture
def rows(tmp_path: Path, paint: Paint) -> Path:
    """Thirty different pictures."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for seed in range(30):
        paint(seed, 96, 72).save(folder / f"{seed:02}.png")
    return folder


@pytest.fixture(scope="session")
def flat() -> Callable[[Sequence[int]], list[Image.Image]]:
    """`flat(levels)`: a plain grey picture of each level."""
    return lambda levels: [Image.new("RGB", (8, 8), (level, level, level)) for level in levels]


@pytest.fixture(scope="session")
def mean_level() -> Callable[[Sequence[Image.Image]], Floats]:
    """An encoder with known answers: the mean level."""
    return lambda pictures: np.array([[np.asarray(picture).mean()] for picture in pictures], np.float32)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another encoder than the shipped one: its file with one bit of one weight changed."""
    path, model = tmp_path / "mine.onnx", bytearray((MODELS / "twinpix.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    path.write_bytes(model)
    return path
