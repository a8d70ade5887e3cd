"""An encoder that keeps the pictures it encodes: a coarse look then sees what it saw, and reads no file again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.pairs import PREPROCESS
from twinpix.encoder.protocol import Encoder, Vectors

KEPT = 4000  # pictures, 27 kB each


class Keeping:
    """Encodes as `encoder` does, and is that encoder in all else. Safe to share between threads."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._fits = getattr(encoder, "preprocess", None) == PREPROCESS
        self._pictures: dict[bytes, NDArray[np.uint8]] = {}  # by their vector: a library encodes contents, not files

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, pictures: NDArray[Any]) -> Vectors:
        """As the encoder's."""
        vectors = self._encoder.encode(pictures)
        if self._fits and len(self._pictures) < KEPT:
            self._pictures.update(
                (vector.tobytes(), picture) for vector, picture in zip(vectors, pictures, strict=True)
            )
        return vectors

    def kept(self, vector: Vectors) -> NDArray[np.uint8] | None:
        """The picture with this embedding, as a pair model prepares it; None if it was not kept.

        Args:
            vector: float32 (dim,).
        """
        return self._pictures.get(vector.tobytes())


def keeping(encoder: Encoder) -> Encoder:
    """See `Keeping`."""
    return cast(Encoder, Keeping(encoder))


def kept_by(encoder: Encoder, vectors: Vectors) -> Callable[[int], NDArray[np.uint8] | None]:
    """`Keeping.kept` by the row of `vectors`; None of an encoder that keeps nothing."""
    return (lambda row: encoder.kept(vectors[row])) if isinstance(encoder, Keeping) else lambda row: None
