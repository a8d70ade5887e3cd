"""An encoder that keeps the pictures it encodes: a coarse look then sees what it saw, and reads no file again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.encoder.pairs import PREPROCESS
from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.limits import takes_second_look
from twinpix.pipeline.report import Embeddings

KEPT = 4000  # pictures, 27 kB each
TICK = 20_000_000  # ns; file systems tell the time by a coarser clock


class Keeping:
    """Encodes as `encoder` does, and is that encoder in all else. Safe to share between threads.

    It keeps what a pair model would prepare in the same way: an encoder of one's own may prepare anything.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._begun = encoder, time.time_ns()
        self._fits = type(encoder) is OnnxEncoder and encoder.preprocess == PREPROCESS
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

    def kept(self, file: Path, vector: Vectors) -> NDArray[np.uint8] | None:
        """The picture in this file, as a pair model prepares it; None if it was not kept, or the file is another now.

        Args:
            vector: its embedding, float32 (dim,).
        """
        picture = self._pictures.get(vector.tobytes())
        return picture if picture is not None and self._is_older(file) else None

    def _is_older(self, file: Path) -> bool:
        # what is concluded from a picture is remembered of the file
        try:
            found = file.stat()
        except OSError:
            return False
        return max(found.st_mtime_ns, found.st_ctime_ns) < self._begun - TICK


def keeping(encoder: Encoder, threshold: float | None = None, verify: bool | None = None) -> Encoder:
    """See `Keeping`; the encoder itself where no second look follows.

    Args:
        threshold, verify: as in `find_duplicates`.
    """
    return cast(Encoder, Keeping(encoder)) if takes_second_look(threshold, verify) else encoder


def kept_by(encoder: Encoder, embedded: Embeddings) -> Callable[[int], NDArray[np.uint8] | None]:
    """`Keeping.kept` by the row of an image; None of an encoder that keeps nothing."""
    if not isinstance(encoder, Keeping):
        return lambda row: None
    return lambda row: encoder.kept(embedded.paths[row], embedded.vectors[row])
