"""The one preprocessing: training, calibration and running all go through `Preprocess`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.errors import ImageError
from twinpix.encoder.specks import is_speckled, without_specks

LARGEST = 2048  # px
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "box": Image.Resampling.BOX}


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes the network's input. Travels inside the model file.

    Attributes:
        size: px; the picture is squeezed to a `size` x `size` square, all of it, whatever its shape.
        interpolation: Pillow's antialiased filter: `bilinear`, `bicubic` or `box`.
        despeckle: whether salt-and-pepper noise is taken out first, at the size the picture was decoded at: averaged
            into its surroundings, nothing could tell it from them any more.
        reducing_gap: before it filters, Pillow averages plainly as far as that leaves so many times `size`, and so
            does a JPEG's decoder: the smaller, the faster. Other formats are despeckled as they are.

    Levels stay 0..255: standardising them is the network's first layer.
    """

    size: int = 128
    interpolation: str = "bilinear"
    despeckle: bool = False
    reducing_gap: float = 2.0

    def __post_init__(self) -> None:
        """Raises ValueError for values that a damaged model file may hold."""
        if self.interpolation not in FILTERS or not 1 <= self.size <= LARGEST or not 1 <= self.reducing_gap < math.inf:
            raise ValueError(f"unknown preprocessing: {self.to_dict()}")

    def __call__(self, picture: Image.Image) -> NDArray[np.uint8]:
        """RGB picture -> uint8 (3, size, size)."""
        if self.despeckle and is_speckled(np.asarray(picture.getchannel("G"))):  # most need not become an array
            picture = Image.fromarray(without_specks(np.asarray(picture)))
        side, how = (self.size, self.size), FILTERS[self.interpolation]
        squeezed = picture.resize(side, how, reducing_gap=self.reducing_gap)
        return np.ascontiguousarray(np.asarray(squeezed).transpose(2, 0, 1))

    @property
    def jpeg_at_least(self) -> int:
        """What to decode a JPEG at, px: see `decode`, which keeps twice as many."""
        return math.ceil(self.size * min(self.reducing_gap, 2.0) / 2)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return dict(vars(self))


def prepared(picture: Image.Image, preprocess: Callable[[Image.Image], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The picture, preprocessed.

    Raises:
        ImageError: `out_of_memory`: squeezing a picture of millions of rows takes gigabytes.
    """
    try:
        return preprocess(picture)
    except MemoryError:
        raise ImageError(
            "out_of_memory", f"{picture.width}x{picture.height} px: not enough memory to resize it"
        ) from None
