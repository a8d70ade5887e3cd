"""A tiny encoder that counts its work, an album of tiny pictures, and a library of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.errors import ModelError
from twinpix.pipeline.library import read
from twinpix.pipeline.library.library import Library

Shelf = Callable[..., Library]


class TinyEncoder:
    """8 x 8 pixels, of norm 1.

    Attributes:
        encoded: how many pictures it has seen.
        hook: called before each picture is decoded.
        numberless: the picture, as `prepare` gives it, of which it makes no numbers.
    """

    name, dim, max_distance, is_calibrated = "tiny", 192, 2.0, False

    def __init__(self, fingerprint: str = "tiny", hook: Callable[[], object] = lambda: None) -> None:
        self.fingerprint, self.hook, self.encoded = fingerprint, hook, 0
        self.numberless: NDArray[Any] | None = None

    @property
    def calibration(self) -> Calibration:
        """It has none."""
        raise ModelError("not calibrated")

    def prepare(self, source: ImageLike) -> NDArray[Any]:
        """uint8 (8, 8, 3)."""
        self.hook()
        return np.asarray(read_picture(source).resize((8, 8)))

    def encode(self, pictures: NDArray[Any]) -> NDArray[np.float32]:
        """float32 (n, 192)."""
        self.encoded += len(pictures)
        rows = pictures.reshape(len(pictures), -1).astype(np.float32) + 1
        norms: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        vectors = rows / norms
        if self.numberless is not None:
            vectors[(pictures == self.numberless).all(axis=(1, 2, 3))] = np.nan
        return vectors


@pytest.fixture
def tiny() -> type[TinyEncoder]:
    """The class of the tiny encoder."""
    return TinyEncoder


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """`shelf(name="library", fingerprint="tiny")`: the library of that name, with a tiny encoder of its own."""

    def open_library(name: str = "library", fingerprint: str = "tiny") -> Library:
        return Library(tmp_path / name, TinyEncoder(fingerprint))

    return open_library


@pytest.fixture
def fine_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk whose file times are exact, so that files made a moment ago are trusted."""
    monkeypatch.setattr(read, "CLOCK", 0)


@pytest.fixture
def coarse_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk whose file times are so coarse that all that happens has one of them."""
    real, moment = read.stamp_of, time.time_ns()
    monkeypatch.setattr(read, "stamp_of", lambda stat: real(stat)._replace(mtime_ns=moment, ctime_ns=moment))
    monkeypatch.setattr(read, "CLOCK", 1 << 62)


def tiny_picture(seed: int) -> Image.Image:
    """16 x 16 random pixels."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve different pictures in two folders, a copy, a damaged one, and a text file."""
    folder = tmp_path / "photos"
    for i in range(12):
        place = folder / ("old" if i < 6 else "new")
        place.mkdir(parents=True, exist_ok=True)
        tiny_picture(i).save(place / f"{i:02}.png")
    (folder / "copy.png").write_bytes((folder / "old" / "00.png").read_bytes())
    (folder / "cut.png").write_bytes((folder / "old" / "01.png").read_bytes()[:-400])
    (folder / "notes.txt").write_text("no picture\n")
    return folder
