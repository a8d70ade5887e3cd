"""Which of the surest pairs need a second look all the same.

Pages, screens, blank pictures and animations lie near one another whatever they show; and so do pictures that differ
in one spot: a word on a meme, a tile of a game.
"""

from __future__ import annotations

import filecmp
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinpix.encoder.decode import ImageLike
from twinpix.pipeline.second_look.features import Levels
from twinpix.pipeline.second_look.look import glimpse, import_cv2

SMALL_PX, BLUR = 96, 0.7  # px of a side of the square that spots are sought in; px, what other sizes do to an edge
SPOT, USUAL, BEYOND = 8.0, 90, 6.0  # levels; percent of the picture that differ less; so many times that


@dataclass(frozen=True)
class Glance:
    """What is kept of a picture to know whether a sure pair needs a look.

    Attributes:
        is_delicate: whether it is a document, a screenshot, animated, or has little or no detail.
        small: its luma, uint8 (SMALL_PX, SMALL_PX).
    """

    is_delicate: bool
    small: Levels


def glance_at(picture: ImageLike) -> Glance:
    """Raises ImageError where it can't be read."""
    seen = glimpse(picture)
    is_delicate = seen.is_on_ground or seen.has_little or seen.is_animated or not seen.is_detailed
    size = (SMALL_PX, SMALL_PX)
    return Glance(is_delicate, import_cv2().resize(seen.tones[..., 0], size, interpolation=import_cv2().INTER_AREA))


def need_a_look(a: Glance, b: Glance) -> bool:
    """Whether a pair that is sure by its distance needs a look."""
    return a.is_delicate or b.is_delicate or _differ_in_a_spot(a.small, b.small)


def _differ_in_a_spot(a: Levels, b: Levels) -> bool:
    # beyond what brightness and contrast explain, and what happened to all of the picture
    one, other = (import_cv2().GaussianBlur(side.astype(np.float32), (0, 0), BLUR) for side in (a, b))
    gain, shift = np.polyfit(one.ravel(), other.ravel(), 1) if one.std() else (1.0, 0.0)
    gap = np.abs(gain * one + shift - other)
    return bool(gap.max() > max(SPOT, BEYOND * float(np.percentile(gap, USUAL))))


def have_same_bytes(a: ImageLike, b: ImageLike) -> bool:
    """Whether two files are copies, byte by byte; False for pictures in memory, and what can't be read."""
    if isinstance(a, bytes) and isinstance(b, bytes):
        return a == b
    if not (isinstance(a, (str, os.PathLike)) and isinstance(b, (str, os.PathLike))):
        return False
    try:
        return Path(a).stat().st_size == Path(b).stat().st_size and filecmp.cmp(a, b, shallow=False)
    except OSError:
        return False
