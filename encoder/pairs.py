"""The shipped pair model in ONNX Runtime: the parts of pictures, and whether the parts of two show one picture.

An embedding says how alike two pictures are as wholes. This compares them part by part, at a small share of what
aligning them costs, and so tells most look-alikes from copies (`encoder/pair_network.py` says how).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.onnx import MODELS, prepare
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.session import open_session

PARTS, GLANCE, PAIRS = "parts.onnx", "glance.onnx", "pairs.onnx"
PREPROCESS = Preprocess(size=96, despeckle=True, reducing_gap=1.4)  # as the encoder's
Parts = NDArray[np.float16]


class PairModel:
    """Compares pictures part by part. Safe to share between threads.

    Args:
        folder: of `parts.onnx`, `glance.onnx` and `pairs.onnx`, which `twinpix train-pairs` writes.

    Raises:
        ModelError: one of them is not there, or damaged.
        MissingPackageError: neither onnxruntime nor onnxruntime-gpu is installed.
    """

    def __init__(self, folder: Path = MODELS) -> None:
        self._parts, self._glance, self._pairs = (open_session(folder / name) for name in (PARTS, GLANCE, PAIRS))

    def prepare(self, source: ImageLike) -> NDArray[np.uint8]:
        """Decode and preprocess one image -> uint8 (3, 96, 96).

        Raises:
            ImageError: the image can't be used.
        """
        return prepare(source, PREPROCESS)

    def parts(self, pictures: NDArray[np.uint8]) -> Parts:
        """Local descriptors of prepared pictures, uint8 (n, 3, 96, 96) -> float16 (n, 144, 112), 32 kB each."""
        found: Parts = self._parts.run(None, {"images": pictures})[0]
        return found

    def glance(self, queries: Parts, references: Parts) -> NDArray[np.float32]:
        """As `logits`, less surely, in a fifth of the time: most pictures that have nothing in common differ by it."""
        found: NDArray[np.float32] = self._glance.run(None, {"first": queries, "second": references})[0]
        return found

    def logits(self, queries: Parts, references: Parts) -> NDArray[np.float32]:
        """The logarithm of the odds that two pictures are one, edited, as the training views had them.

        Args:
            queries, references: of `parts`, n each.

        Returns:
            float32 (n,); the order of the two changes nothing but rounding.
        """
        found: NDArray[np.float32] = self._pairs.run(None, {"first": queries, "second": references})[0]
        return found


@cache
def shipped_pairs() -> PairModel:
    """The pair model that comes with twinpix, opened at the first call."""
    return PairModel()
