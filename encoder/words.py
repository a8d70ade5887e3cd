"""The shipped word model in ONNX Runtime: where on a picture words are. It can't read them.

A photo with a caption is that photo, edited; two photos with two captions say two things (memes, subtitles). To tell
the one from the other takes no more than where both have letters (`encoder/word_network.py` says how they are found).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.onnx import MODELS
from twinpix.encoder.session import open_session

WORDS = "words.onnx"
SIDE, CELL = 384, 8  # px: of what the model takes, and of a cell


class WordModel:
    """Finds words on pictures. Safe to share between threads.

    Args:
        folder: of `words.onnx`, which `twinpix train-words` writes.

    Raises:
        ModelError: it is not there, or damaged.
        MissingPackageError: neither onnxruntime nor onnxruntime-gpu is installed.
    """

    def __init__(self, folder: Path = MODELS) -> None:
        self._session = open_session(folder / WORDS)

    def where(self, luma: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The logarithm of the odds that there are words, of each cell of 8 x 8 px.

        Args:
            luma: uint8 (h, w), at most 384 px each; letters from 8 px to 60 px high are found.

        Returns:
            float32 (h // 8, w // 8); what is left over at the right and the bottom is not told.
        """
        high, wide = luma.shape
        whole = np.pad(luma, ((0, SIDE - high), (0, SIDE - wide)), mode="edge")
        found: NDArray[np.float32] = self._session.run(None, {"luma": whole[None]})[0][0]
        return found[: high // CELL, : wide // CELL]


@cache
def shipped_words() -> WordModel:
    """The word model that comes with twinpix, opened at the first call."""
    return WordModel()
