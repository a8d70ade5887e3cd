"""What would be gone with a file although its picture stays: transparency, colours, a video behind it, sharpness."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageCms

from twinpix.encoder.decode import open_image, refuse_bombs
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.act.partners import is_raw
from twinpix.pipeline.relation.kinds import Facts

COARSER, SMALLER = 1.3, 0.8  # times as coarse, and share of the pixels, that what stays may be, at most and at least
ENLARGED = 2.0  # times the pixels from which coarseness says nothing: each step is one of less
APPENDED = 1024  # bytes behind the end of a JPEG; cameras pad with fewer
END = 0xD9
MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # of JPEG, not those within a scan


@dataclass(frozen=True)
class Extras:
    """What a file holds beside the levels that are compared.

    Attributes:
        has_alpha: whether parts of it are, or may be, transparent.
        is_cmyk: whether it is made for print.
        profile: hash of its colour profile; empty if it has none, or sRGB.
        appended: bytes behind the picture of a JPEG.
    """

    has_alpha: bool
    is_cmyk: bool
    profile: str
    appended: int


def loss_of_levels(path: Path, goes: Facts, stays: Facts) -> str:
    """What of the picture itself is lost where a file goes, and another that shows it stays; empty if nothing is known.

    Args:
        path: of the one that goes.
    """
    if is_raw(path):
        return "it is a RAW file, of which a preview was compared"
    if goes.pictures > 1:
        return (
            f"it holds {goes.pictures} pictures (a gain map, a preview, what the other eye sees), and one was compared"
        )
    if goes.bits > stays.bits:
        return f"it has {goes.bits} bits a channel, and what stays {stays.bits}"
    if stays.pixels < SMALLER * goes.pixels:
        return f"it has {goes.width}x{goes.height} px, and what stays {stays.width}x{stays.height}"
    if 0 < goes.coarseness * COARSER < stays.coarseness and stays.pixels < ENLARGED * goes.pixels:
        return "what stays is compressed more coarsely"
    return ""


def loss_of_extras(goes: Extras, stays: Extras) -> str:
    """The same of what lies beside it."""
    if goes.has_alpha and not stays.has_alpha:
        return "it may be transparent in places, and what stays is not"
    if stays.is_cmyk and not goes.is_cmyk:
        return "what stays is in CMYK, for print"
    if goes.profile and goes.profile != stays.profile:
        return "it has a colour profile that what stays has not: the same levels are other colours"
    if goes.appended > APPENDED > stays.appended:
        return f"{goes.appended} bytes lie behind its picture (a video, a gain map)"
    return ""


def extras_of(path: Path) -> Extras:
    """Read from the file itself.

    Raises:
        ImageError, OSError: it can't be read.
    """
    data = path.read_bytes()
    with open_image(io.BytesIO(data)) as image:
        try:
            return Extras(_is_transparent(image), image.mode == "CMYK", _profile(image), _behind(data))
        except (OSError, ValueError, SyntaxError) as error:
            raise ImageError("corrupt", f"{path}: no readable header ({error})") from None


def _is_transparent(image: Image.Image) -> bool:
    # screenshots often have an alpha channel that hides nothing
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La"):
        return "transparency" in image.info
    refuse_bombs(image)
    opaque = image.getchannel("A" if image.mode.endswith("A") else "a").histogram()[255]
    return opaque < image.width * image.height


def _profile(image: Image.Image) -> str:
    data = image.info.get("icc_profile")
    if not data:
        return ""
    try:
        said = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(data)))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        said = ""
    return "" if "srgb" in said.lower() else hashlib.blake2b(data, digest_size=16).hexdigest()


def _behind(data: bytes) -> int:
    # how many bytes follow the end of a JPEG; 0 of other files, and of one that has no end
    place = 2
    if not data.startswith(b"\xff\xd8\xff"):
        return 0
    while (found := MARKER.search(data, place)) is not None:
        kind = found.group(1)[0]
        if kind == END:
            return len(data) - found.end()
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return 0
