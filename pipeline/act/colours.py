"""By which colours the levels of a file are meant: its profile, or what a PNG says instead."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from itertools import product

import numpy as np
from PIL import Image, ImageCms

# levels that a profile may move the colours below by, and be sRGB all the same, whatever it is called; colours that lie
# well within it
MOVED, COLOURS = 6, tuple(product((50, 90, 130, 170, 210), repeat=3))
CICP, SRGB_CICP = b"\0\0\0\4cICP", bytes((1, 13, 0, 1))  # of a PNG: length and name; primaries, curve, matrix, range
GAMMA, PRIMARIES = 1 / 2.2, (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # of sRGB; white, red, green, blue
ABOUT = 0.003


def profile_of(image: Image.Image, data: bytes) -> str:
    """Hash of the colour profile of an image that was opened, or of what stands for it; empty of none and of sRGB.

    Args:
        data: of the whole file.
    """
    if image.format == "PNG" and (place := data.find(CICP, 0, data.find(b"IDAT"))) > 0:  # it takes precedence
        said = data[place + len(CICP) : place + len(CICP) + len(SRGB_CICP)]
        return "" if said == SRGB_CICP else _hashed(said)
    if profile := image.info.get("icc_profile"):
        return "" if _is_srgb(profile) else _hashed(profile)
    return "" if "srgb" in image.info else _of_chunks(image.info.get("gamma"), image.info.get("chromaticity"))


def _of_chunks(gamma: float | None, primaries: tuple[float, ...] | None) -> str:
    same = gamma is None or abs(gamma - GAMMA) < ABOUT
    same &= primaries is None or np.allclose(primaries, PRIMARIES, atol=ABOUT)
    return "" if same else _hashed(repr((gamma, primaries)).encode())


@lru_cache(256)
def _is_srgb(profile: bytes) -> bool:
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        grey = own.profile.xcolor_space.strip() == "GRAY"
        colours = np.array([COLOURS], np.uint8)[:, :: 31 if grey else 1]
        levels = Image.fromarray(colours[..., 0] if grey else colours)
        shown = ImageCms.profileToProfile(levels, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    told = np.asarray(levels.convert("RGB"), np.int16)
    return shown is not None and int(np.abs(np.asarray(shown, np.int16) - told).max()) <= MOVED


def _hashed(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
