"""What every method of comparing pictures has in common, so that all of them go through the same doors."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.decode import ImageLike

Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Pictures -> vectors whose plain L2 distance says how alike the pictures are. Safe to share between threads.

    The shipped network, any other ONNX model, classic hashes (bits as 0 and 1: the squared distance is the Hamming
    distance) and pixels are all encoders.

    Attributes:
        name: short, for tables.
        dim: length of a vector.
        fingerprint: changes with anything that changes a vector; embeddings of two fingerprints can't be compared.
        max_distance: L2; no two vectors lie farther apart.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def max_distance(self) -> float: ...
    @property
    def is_calibrated(self) -> bool:
        """Whether `calibration` says what its distances mean."""

    @property
    def calibration(self) -> Calibration:
        """False-match rate by distance.

        Raises:
            ModelError: it was never measured.
        """

    def prepare(self, source: ImageLike) -> NDArray[Any]:
        """Decode and preprocess one image; the outcomes of several can be stacked.

        Raises:
            ImageError: the image can't be used; `.reason` says why.
        """

    def encode(self, pictures: NDArray[Any]) -> Vectors:
        """n prepared images, stacked -> float32 (n, dim)."""
