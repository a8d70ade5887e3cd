"""The frames of an animated image (GIF, WebP, APNG, AVIF), or the pages of a TIFF: a few, small, evenly spread."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode import ImageLike, as_file, decode, open_image, refuse_bombs, to_rgb
from twinpix.encoder.door import elsewhere
from twinpix.encoder.errors import ImageError
from twinpix.encoder.pages import NEW_SUBFILE_TYPE, has_several_pages, is_page

FRAMES, FRAME_PX = 24, 64  # how many; px, each squeezed to a square
MOST_FRAMES, MOST_PIXELS = 512, 128_000_000  # decoded at most; of a longer animation only the beginning is seen
STILL_MS = 100.0  # of frames that do not say how long they last
_PNG, _PNG_CHUNKS = b"\x89PNG\r\n\x1a\n", 4096


def read_film(source: ImageLike) -> NDArray[np.uint8] | None:
    """The frames of an animated image, uint8 (24, 64, 64, 3), evenly over its time; None for a still one.

    Pages of a TIFF are frames, too: each is shown as long as any other.

    Args:
        source: as in `read_picture`; a Pillow image or an array is a still one.

    Raises:
        ImageError: it can't be used.
    """
    if not may_be_animated(source):
        return None
    file, decoder = as_file(source), elsewhere()
    strip = decode_film(file) if decoder is None else decoder.film(file)
    frames = np.asarray(strip).reshape(-1, FRAME_PX, FRAME_PX, 3)
    return frames if len(frames) > 1 else None


def may_be_animated(source: ImageLike) -> TypeGuard[str | os.PathLike[str] | bytes]:
    """Whether the first bytes allow for more than one frame or page; False for unreadable files, and for pixels."""
    if isinstance(source, (Image.Image, np.ndarray)):
        return False
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
            header = file.read(32)
            if header[:4] == b"RIFF" and header[8:16] == b"WEBPVP8X":
                return bool(header[20] & 2)
            if header[:8] == _PNG:
                return _has_animation_chunk(file)
            if header[:2] in (b"II", b"MM"):
                file.seek(0)
                return has_several_pages(file)
            return header[:4] == b"GIF8" or header[4:12] == b"ftypavis"
    except (OSError, IndexError, OverflowError):
        return False


def _has_animation_chunk(file: IO[bytes]) -> bool:
    # acTL stands before the pixels
    place = len(_PNG)
    for _ in range(_PNG_CHUNKS):
        file.seek(place)
        chunk = file.read(8)
        if len(chunk) < 8 or chunk[4:] in (b"IDAT", b"IEND"):
            return False
        if chunk[4:] == b"acTL":
            return True
        place += 12 + int.from_bytes(chunk[:4], "big")
    return False


def decode_film(source: str | bytes, begun: Callable[[], object] = lambda: None) -> Image.Image:
    """The frames one below the other: RGB, 64 x 24 * 64 px, or 64 x 64 px for a still image.

    Args:
        source, begun: as in `decode`.

    Raises:
        ImageError: as there; an animation that is damaged later on is seen as far as it goes.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
            begun()
            with open_image(file) as image:
                refuse_bombs(image)
                return _strip(*_frames(image))
    except ImageError:
        raise
    except Exception:  # it says why, file and all
        decode(source if isinstance(source, bytes) else Path(source))
        raise ImageError("corrupt", "the image: damaged or truncated animation") from None


def _frames(image: Image.Image) -> tuple[list[Image.Image], list[float]]:
    # all that are looked at, small, and when each begins, ms
    count = min(MOST_FRAMES, max(1, MOST_PIXELS // (image.width * image.height)))
    frames, begins, now = [], [], 0.0
    for number in range(count):
        try:
            image.seek(number)
            if number and not is_page(getattr(image, "tag_v2", {}).get(NEW_SUBFILE_TYPE, 0)):
                continue  # a smaller copy of the page before it, or its mask
            image.load()
        except EOFError:
            break
        except Exception:  # damage; Pillow's plugins raise whatever a broken file makes them stumble on
            if number == 0 or image.format == "TIFF":  # of a page that nobody can see, nobody knows what it shows
                raise
            break
        frames.append(to_rgb(image).resize((FRAME_PX, FRAME_PX), Image.Resampling.BOX))
        begins.append(now)
        now += float(image.info.get("duration") or STILL_MS)
    return frames, [*begins, now]


def _strip(frames: list[Image.Image], begins: list[float]) -> Image.Image:
    if len(frames) == 1:
        return frames[0]
    strip = Image.new("RGB", (FRAME_PX, FRAMES * FRAME_PX))
    moments = (np.arange(FRAMES) + 0.5) / FRAMES * begins[-1]
    moments[-1] = begins[-2]  # the last frame, however short
    for place, number in enumerate((np.searchsorted(begins[:-1], moments, "right") - 1).tolist()):
        strip.paste(frames[number], (0, place * FRAME_PX))
    return strip
