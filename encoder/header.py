"""What the header of an image file says: its format and its size. No pixel is decoded."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from twinpix.encoder.decode import open_image
from twinpix.encoder.errors import ImageError

ORIENTATION = 0x0112  # EXIF


@dataclass(frozen=True)
class Header:
    """What is known of an image without its pixels.

    Attributes:
        format: by content, in capitals.
        width, height: px, upright.
    """

    format: str
    width: int
    height: int


def read_header(source: str | bytes, begun: Callable[[], object] = lambda: None) -> Header:
    """Read the header of a file, given as a path or as its bytes.

    Args:
        begun: called before anything of it is interpreted.

    Raises:
        ImageError: it has none that can be read.
    """
    name = "the image" if isinstance(source, bytes) else source
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
            begun()
            return _header(file)
    except ImageError as error:
        raise ImageError(error.reason, f"{name}: no readable header ({error})") from None
    except OSError as error:
        raise ImageError(_reason(error), f"{name}: no readable header ({error})") from None
    except Exception as error:  # Pillow's plugins raise whatever a broken file makes them stumble on
        raise ImageError("corrupt", f"{name}: no readable header ({error})") from None


def _header(file: IO[bytes]) -> Header:
    with open_image(file) as image:
        width, height = image.size
        try:
            turned = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)
        except Exception:  # damaged EXIF does not make the picture unreadable
            turned = False
        if turned:
            width, height = height, width
        return Header("JPEG" if image.format == "MPO" else str(image.format), width, height)


def _reason(error: OSError) -> str:
    return "vanished" if isinstance(error, FileNotFoundError) else "corrupt"
