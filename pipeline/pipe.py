"""The callable pipeline: image in, embedding out, and two images are duplicates when the L2 norm of the difference
is at most the threshold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.calibration.calibrations import in_force
from twinpix.pipeline.limits import check_threshold


@dataclass(frozen=True)
class ImageEncoding:
    """`pipe("a.jpg")` -> embedding, whatever the encoder: the shipped one, a classic hash, any ONNX model.

    Attributes:
        encoder: what makes the embeddings.
        own_threshold: L2, in place of the calibrated one.
    """

    encoder: Encoder
    own_threshold: float | None = None

    def __call__(self, images: ImageLike | Sequence[ImageLike]) -> Vectors:
        """One image (path, bytes, Pillow image, uint8 array) -> float32 (dim,); a list of n -> float32 (n, dim).

        Raises:
            ImageError: an image can't be used.
        """
        if isinstance(images, (list, tuple)):
            return self.batch(images)
        vector: Vectors = self.batch([cast(ImageLike, images)])[0]
        return vector

    def batch(self, images: Sequence[ImageLike]) -> Vectors:
        """n images -> float32 (n, dim).

        Raises:
            ImageError: one of them can't be used.
        """
        if len(images) == 0:
            return np.empty((0, self.encoder.dim), np.float32)
        return self.encoder.encode(np.stack([self.encoder.prepare(image) for image in images]))

    @property
    def threshold(self) -> float:
        """L2: by default where one in a million pairs of different pictures lies.

        Raises:
            ModelError: the encoder is not calibrated, and no threshold was given.
        """
        if self.own_threshold is not None:
            return self.own_threshold
        return in_force(self.encoder).calibration.pair_threshold

    def distance(self, query: ImageLike, reference: ImageLike) -> float:
        """L2 norm of the difference of two embeddings."""
        a, b = self.batch([query, reference])
        return float(np.linalg.norm(a - b))

    def is_duplicate(self, query: ImageLike, reference: ImageLike) -> bool:
        """Whether they lie within the threshold. `twinpix.compare` takes a second look besides, and finds more."""
        threshold = self.threshold  # first: without one there is nothing to encode for
        return self.distance(query, reference) <= threshold


def image_encoding(
    encoder: Encoder | str | os.PathLike[str] | None = None, threshold: float | None = None
) -> ImageEncoding:
    """A callable that turns images into embeddings.

    Args:
        encoder: an encoder, or an ONNX file; the shipped one by default.
        threshold: L2; by default the encoder's calibrated one.

    Raises:
        ModelError, MissingPackageError: the encoder can't be loaded.
        InputError: the threshold is no distance.
    """
    if threshold is not None:
        check_threshold(threshold, np.inf)  # an encoder of your own may have longer vectors
    if encoder is None or isinstance(encoder, (str, os.PathLike)):
        encoder = load_encoder(encoder)
    return ImageEncoding(encoder, threshold)
