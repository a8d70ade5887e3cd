"""Which of the surest pairs need a second look all the same.

Pages, screens, blank pictures and animations lie near one another whatever they show.
"""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.second_look.look import glimpse


def is_delicate(picture: ImageLike) -> bool:
    """Whether it is a document, a screenshot, animated, or has little or no detail; False if it can't be read."""
    try:
        return seems_delicate(picture)
    except ImageError:
        return False


def seems_delicate(picture: ImageLike) -> bool:
    """The same. Raises ImageError where it can't be read."""
    seen = glimpse(picture)
    return seen.is_on_ground or seen.has_little or seen.is_animated or not seen.is_detailed


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
