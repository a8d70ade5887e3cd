"""Thousands of small files, and an encoder that costs nothing: what is tortured is how embeddings are kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.decode import ImageLike, as_file, decode
from twinpix.encoder.errors import ModelError

PER_FOLDER = 500
COPY_EVERY, DAMAGED_EVERY, TEXT_EVERY = 50, 97, 211
COARSE = 2.1  # s; files younger than that are read again, for their times prove nothing yet


class PixelEncoder:
    """4 x 4 pixels, of norm 1.

    Attributes:
        on_encode: called with the number of pictures, when they have been encoded.
    """

    name, dim, max_distance, is_calibrated = "pixels", 48, 2.0, False

    def __init__(self, fingerprint: str = "pixels", on_encode: Callable[[int], object] = lambda n: None) -> None:
        self.fingerprint, self.on_encode = fingerprint, on_encode

    @property
    def calibration(self) -> Calibration:
        """It has none."""
        raise ModelError("not calibrated")

    def prepare(self, source: ImageLike) -> NDArray[Any]:
        """uint8 (4, 4, 3); decoded here, not in a process of its own, which would cost more than all the rest."""
        assert not isinstance(source, (Image.Image, np.ndarray))
        return np.asarray(decode(as_file(source)).resize((4, 4)))

    def encode(self, pictures: NDArray[Any]) -> NDArray[np.float32]:
        """float32 (n, 48)."""
        rows = pictures.reshape(len(pictures), -1).astype(np.float32) + 1
        norms: NDArray[np.float32] = np.linalg.norm(rows, axis=1, keepdims=True)
        self.on_encode(len(pictures))
        return rows / norms


def make_files(folder: Path, count: int, seed: int = 0) -> None:
    """`count` files in folders of 500: pictures of 12 x 12 px, and among them copies, damaged files and texts."""
    dice, last = np.random.default_rng(seed), b""
    for i in range(count):
        path = folder / f"{i // PER_FOLDER:03}" / f"{i:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i % TEXT_EVERY == 3:
            path.write_text("no picture\n")
        elif i % COPY_EVERY == 7 and last:
            path.write_bytes(last)
        else:
            Image.fromarray(dice.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
            if i % DAMAGED_EVERY == 5:
                path.write_bytes(path.read_bytes()[:-40])
            else:
                last = path.read_bytes()
    time.sleep(COARSE)


def setting(name: str, default: int) -> int:
    """A number that the environment may scale: `make torture KILLS=50`."""
    return int(os.environ.get(name) or default)
