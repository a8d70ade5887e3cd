"""What files say of two pictures: sizes and formats from their headers, and whether bytes or pixels are the same."""

from __future__ import annotations

import io
import os
from typing import IO

import numpy as np
from PIL import Image

from twinpix.encoder.decode import ImageLike, open_image, read_picture
from twinpix.encoder.errors import ImageError
from twinpix.encoder.film import may_be_animated
from twinpix.pipeline.explore.where import ORIENTATION
from twinpix.pipeline.relation.kinds import Facts


def facts_of(source: ImageLike) -> Facts:
    """Size and format of a picture; of a file, only the header is read.

    Raises:
        ImageError: there is no readable header.
    """
    if isinstance(source, Image.Image):
        return Facts(*source.size)
    if isinstance(source, np.ndarray):
        return Facts(source.shape[1], source.shape[0])
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _header(io.BytesIO(source), len(source), "the image")
    try:
        with open(source, "rb") as file:
            return _header(file, os.fstat(file.fileno()).st_size, str(source))
    except OSError as error:
        raise ImageError("vanished", f"{source}: {error.strerror}") from None


def _header(file: IO[bytes], size: int, name: str) -> Facts:
    try:
        with open_image(file) as image:
            width, height = image.size
            if image.getexif().get(ORIENTATION) in (5, 6, 7, 8):
                width, height = height, width
            return Facts(width, height, "JPEG" if image.format == "MPO" else str(image.format), size)
    except Exception as error:  # Pillow's plugins raise whatever a broken file makes them stumble on
        raise ImageError("corrupt", f"{name}: no readable header ({error})") from None


def have_same_pixels(a: ImageLike, b: ImageLike) -> bool:
    """Whether two still pictures are the same, pixel by pixel, once decoded whole; of animations this is never said."""
    if may_be_animated(a) or may_be_animated(b):
        return False
    try:
        one, other = read_picture(a), read_picture(b)
    except ImageError:
        return False
    return one.size == other.size and bool(np.array_equal(np.asarray(one), np.asarray(other)))
