"""What files say of two pictures: sizes and formats from their headers, and whether bytes or pixels are the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from twinpix.encoder.decode import ImageLike, as_file, read_picture
from twinpix.encoder.door import elsewhere
from twinpix.encoder.errors import ImageError
from twinpix.encoder.film import may_be_animated
from twinpix.encoder.header import read_header
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
    file, decoder = as_file(source), elsewhere()
    try:
        size = len(file) if isinstance(file, bytes) else Path(file).stat().st_size
    except OSError as error:
        raise ImageError("vanished", f"{os.fsdecode(file)}: {error.strerror}") from None
    told = read_header(file) if decoder is None else decoder.header(file)
    return Facts(told.width, told.height, told.format, size, told.pictures, told.bits, told.coarseness)


def have_same_pixels(a: ImageLike, b: ImageLike) -> bool:
    """Whether two still pictures are the same, pixel by pixel, once decoded whole.

    Of animations, and of files of several pages, this is never said.
    """
    if may_be_animated(a) or may_be_animated(b):
        return False
    try:
        one, other = read_picture(a), read_picture(b)
    except ImageError:
        return False
    return one.size == other.size and bool(np.array_equal(np.asarray(one), np.asarray(other)))
