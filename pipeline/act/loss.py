"""What would be gone with a file although its picture stays: transparency, colours, a video behind it, its date."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode import open_image, refuse_bombs
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.act.beside import beside
from twinpix.pipeline.act.colours import profile_of
from twinpix.pipeline.act.labels import labels_of
from twinpix.pipeline.act.notes import Notes, notes_of, untold
from twinpix.pipeline.act.partners import is_raw
from twinpix.pipeline.explore.where import Photo
from twinpix.pipeline.relation.kinds import Facts

COARSER, SMALLER = 1.3, 0.8  # times as coarse, and share of the pixels, that what stays may be, at most and at least
ENLARGED = 2.0  # times the pixels from which coarseness says nothing: each step is one of less
# coarseness of what is no JPEG, for all that is known; and times the bytes of what stays where that tells none, either
UNTOLD, LARGER = 3.5, 6
LOSSY = ("HEIF", "AVIF", "WEBP")
APPENDED = 1024  # bytes behind the end of a picture; cameras pad with fewer
EXTRA_SAMPLES = 338  # TIFF
CELLS, HIDDEN, ONE_TONE = 64, 16, 1  # px; levels that what is hidden may differ by; and beyond which it is a picture


@dataclass(frozen=True)
class Extras:
    """What a file holds beside the levels that are compared.

    Attributes:
        has_alpha: whether parts of it are, or may be, transparent.
        is_cmyk: whether it is made for print.
        profile: see `profile_of`.
        appended: what lies behind the picture, or beside it: bytes, and their hash: see `beside`.
        notes: what it tells of the picture, and the file system of it: see `notes_of`, `labels_of`.
        layers: of one with transparent parts, its colours and its opacity at 64 x 64 px, levels, float32 (64, 64, 4).
    """

    has_alpha: bool
    is_cmyk: bool
    profile: str
    appended: tuple[int, str]
    notes: frozenset[tuple[str, str]]
    layers: NDArray[np.float32] | None = None


def loss_of_levels(path: Path, goes: Facts, stays: Facts) -> str:
    """What of the picture itself is lost where a file goes, and another that shows it stays; empty if nothing is known.

    Args:
        path: of the one that goes.
    """
    if is_raw(path):
        return "it is a RAW file, of which a preview was compared"
    if goes.pictures > 1:
        others = "a gain or depth map, a preview, what the other eye sees"
        return f"it holds {goes.pictures} pictures ({others}), and one was compared"
    if goes.bits > stays.bits:
        return f"it has {goes.bits} bits a channel, and what stays {stays.bits}"
    if stays.pixels < SMALLER * goes.pixels:
        return f"it has {goes.width}x{goes.height} px, and what stays {stays.width}x{stays.height}"
    if stays.pixels < ENLARGED * goes.pixels and _may_be_coarser(path, goes, stays):
        return "what stays is, or may be, compressed more coarsely"
    return ""


def _may_be_coarser(path: Path, goes: Facts, stays: Facts) -> bool:
    if stays.coarseness:
        return (goes.coarseness or UNTOLD) * COARSER < stays.coarseness
    if stays.format not in LOSSY or goes.format == stays.format:
        return False
    return Photo(path).is_lossless or goes.bytes > LARGER * stays.bytes


def loss_of_extras(goes: Extras, stays: Extras) -> str:
    """The same of what lies beside it."""
    if goes.has_alpha and not stays.has_alpha:
        return "it may be transparent in places, and what stays is not"
    if goes.layers is not None and stays.layers is not None and _hides_more(goes.layers, stays.layers):
        return "its transparent parts hide what those of what stays do not"
    if stays.is_cmyk != goes.is_cmyk:
        return "one of the two is in CMYK, for print"
    if goes.profile and goes.profile != stays.profile:  # one that lost its profile is the worse one
        return "it has a colour profile that what stays has not: the same levels are other colours"
    if goes.appended[0] > APPENDED and goes.appended != stays.appended:
        return f"{goes.appended[0]} bytes lie behind its picture or beside it (a video, a depth map, layers)"
    return loss_of_labels(goes.notes, stays.notes)


def loss_of_labels(goes: Notes, stays: Notes) -> str:
    """The same of what it tells alone, in it or in the file system."""
    missing = untold(goes, stays)
    return f"it tells {', '.join(missing)}, and what stays does not, or others" if missing else ""


def extras_of(path: Path) -> Extras:
    """Read from the file itself.

    Raises:
        ImageError, OSError: it can't be read.
    """
    data = path.read_bytes()
    with open_image(io.BytesIO(data)) as image:
        refuse_bombs(image)
        try:
            more = _behind(data, getattr(image, "tag_v2", {}))
            layers = _layers(image) if (has_alpha := _is_transparent(image)) else None
            return Extras(
                has_alpha,
                image.mode == "CMYK",
                profile_of(image, data),
                more,
                notes_of(image) | labels_of(path),
                layers,
            )
        except (OSError, ValueError, SyntaxError) as error:
            raise ImageError("corrupt", f"{path}: no readable header ({error})") from None


def _is_transparent(image: Image.Image) -> bool:
    if EXTRA_SAMPLES in getattr(image, "tag_v2", {}) and image.mode == "RGB":
        return True  # a selection that somebody has saved
    # screenshots often have an alpha channel that hides nothing
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La"):
        return "transparency" in image.info
    opaque = image.getchannel("A" if image.mode.endswith("A") else "a").histogram()[255]
    return opaque < image.width * image.height


def _layers(image: Image.Image) -> NDArray[np.float32]:
    # each channel shrunk by itself: colours shrunk with their opacity would lose what it hides
    bands = (band.resize((CELLS, CELLS), Image.Resampling.BOX) for band in image.convert("RGBA").split())
    levels = np.stack([np.asarray(band, np.float32) for band in bands], -1)
    if image.format == "WEBP":  # what is clear was made up by its encoder
        levels[levels[..., 3] < 1] = 0
    return levels


def _hides_more(goes: NDArray[np.float32], stays: NDArray[np.float32]) -> bool:
    clear = goes[..., 3] < 1
    hidden, other = goes[clear, :3], stays[clear, :3]
    is_picture = clear.any() and hidden.std(0).max() > ONE_TONE
    return bool(is_picture and np.abs(hidden - other).max() > HIDDEN)


def _behind(data: bytes, tags: Mapping[int, Any] = MappingProxyType({})) -> tuple[int, str]:
    rest = beside(data, tags)
    return len(rest), hashlib.blake2b(rest, digest_size=16).hexdigest()
