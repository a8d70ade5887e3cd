"""Who decodes the files that a thread reads: itself, or somebody whom a scan has put in its place."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from twinpix.encoder.header import Header
    from twinpix.encoder.preprocess import Preprocess


class Decoder(Protocol):
    """Decodes files, given as a path or as their bytes. Raises ImageError."""

    @property
    def is_closed(self) -> bool:
        """Whether the scan has ended: nothing is waited for any more."""

    def decode(self, source: str | bytes, at_least: int | None, jpeg_at_least: int | None = None) -> Image.Image:
        """Upright RGB, as `twinpix.encoder.decode.decode`."""

    def prepare(self, source: str | bytes, preprocess: Preprocess) -> NDArray[np.uint8]:
        """The same, preprocessed: uint8 (3, height, width)."""

    def film(self, source: str | bytes) -> Image.Image:
        """The frames of an animated image, as `twinpix.encoder.film.decode_film`."""

    def header(self, source: str | bytes) -> Header:
        """Format and size, as `twinpix.encoder.header.read_header`."""


_decoder: ContextVar[Decoder | None] = ContextVar("decoder", default=None)


def decode_in(decoder: Decoder) -> None:
    """From now on, files that this thread reads are decoded there (`twinpix.encoder.contained`)."""
    _decoder.set(decoder)


def elsewhere() -> Decoder | None:
    """Who decodes in place of this thread; None where it does so itself."""
    return _decoder.get()
