"""What the header of an image file says: its format and its size. No pixel is decoded."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from PIL import Image

from twinpix.encoder.decode import open_image
from twinpix.encoder.errors import ImageError
from twinpix.encoder.pages import NEW_SUBFILE_TYPE, REDUCED

ORIENTATION, IMAGE_WIDTH, BITS = 0x0112, 0x0100, 0x0102  # EXIF, TIFF
SUB_IFDS = 0x014A  # TIFF
FINEST = 20  # of 64 quantization steps
# `PixelInformationProperty` (ISO/IEC 23008-12), near the beginning of an AVIF: version, flags, channels, bits of each
PIXEL_BITS, HEAD = re.compile(rb"pixi\0{4}[\1-\4]([\1-\40]{1,4})", re.S), 1 << 16


@dataclass(frozen=True)
class Header:
    """What is known of an image without its pixels.

    Attributes:
        format: by content, in capitals.
        width, height: px, upright.
        pictures: in a JPEG or HEIC of some cameras there are more: a gain map, a depth map, a preview, what the other
            eye sees;
            in a TIFF of some, a preview comes first, and is what is decoded.
        bits: of each channel as it is stored, 8 or more (up to 32); it is compared by 8.
        coarseness: of a JPEG, how coarsely it is quantized: root mean square of the 20 finest steps of brightness,
            levels of a coefficient (3.5 at quality 90, 18 at 50, 45 at 20); 0 of other formats.
    """

    format: str
    width: int
    height: int
    pictures: int = 1
    bits: int = 8
    coarseness: float = 0.0


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
        bits = _bits(image)  # first: to ask a PNG for its EXIF decodes it
        width, height = upright_size(image)
        return Header(
            "JPEG" if image.format == "MPO" else str(image.format),
            width,
            height,
            _pictures(image),
            bits,
            _coarseness(image),
        )


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an image that was opened, px, as its EXIF orientation has it."""
    width, height = image.size
    try:
        turned = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)
    except Exception:  # damaged EXIF does not make the picture unreadable
        turned = False
    stored = getattr(image, "tag_v2", {}).get(IMAGE_WIDTH, width)  # Pillow tells the size of a TIFF upright already
    return (height, width) if turned and width == stored else (width, height)


def is_lossless(image: Image.Image) -> bool:
    """Whether an image that was opened is stored without loss, as far as its header says."""
    if image.format == "TIFF":
        return image.info.get("compression") not in ("jpeg", "tiff_jpeg", "webp")
    if image.format == "WEBP":
        return _has_chunk(image.fp, b"VP8L")  # type: ignore[attr-defined]
    return image.format in ("PNG", "BMP")


def _has_chunk(file: IO[bytes] | None, wanted: bytes) -> bool:
    # of RIFF, in front of the picture itself
    if file is None:
        return False
    file.seek(12)
    while len(head := file.read(8)) == 8:
        if head[:4] in (wanted, b"VP8 ", b"ANMF"):
            return head[:4] == wanted
        size = int.from_bytes(head[4:], "little")
        file.seek(size + size % 2, io.SEEK_CUR)
    return False


def _pictures(image: Image.Image) -> int:
    tags = getattr(image, "tag_v2", {})
    if SUB_IFDS in tags or tags.get(NEW_SUBFILE_TYPE, 0) & REDUCED:
        return 2  # or more: what is decoded is the smaller one
    if image.format not in ("MPO", "HEIF"):
        return 1
    beside = image.info.get("aux") or {}  # of HEIC, by kind: gain maps, mattes
    depths = image.info.get("depth_images") or ()
    return int(getattr(image, "n_frames", 1)) + sum(len(some) for some in beside.values()) + len(depths)


def _coarseness(image: Image.Image) -> float:
    tables = getattr(image, "quantization", None)
    if not isinstance(tables, dict) or not tables.get(0):
        return 0.0
    finest = sorted(tables[0])[:FINEST]
    return math.sqrt(sum(step * step for step in finest) / len(finest))


def _bits(image: Image.Image) -> int:
    # Pillow reads some files of 16 bits a channel as 8; how it will unpack them says so, until it has
    if image.mode in ("I", "F"):
        return 32
    if deep := int(image.info.get("bit_depth", 0)) or _bits_of_avif(image):  # of HEIC
        return max(8, deep)
    if stored := getattr(image, "tag_v2", {}).get(BITS):  # of TIFF
        return max(8, *(int(bits) for bits in (stored if isinstance(stored, tuple) else (stored,))))
    unpacked = " ".join(str(part) for tile in getattr(image, "tile", ()) for part in tile)
    return 16 if ";16" in unpacked or image.mode.startswith("I;16") else 8


def _bits_of_avif(image: Image.Image) -> int:
    # Pillow decodes it to 8 and does not tell; 0 of other files
    if image.format != "AVIF" or (file := getattr(image, "fp", None)) is None:
        return 0
    file.seek(0)
    described = PIXEL_BITS.search(file.read(HEAD))
    return max(described.group(1)) if described else 0


def _reason(error: OSError) -> str:
    return "vanished" if isinstance(error, FileNotFoundError) else "corrupt"
