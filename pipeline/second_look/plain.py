"""Pictures with too little in them to be told apart (blank, dark, tiny, a gradient) match by their pixels alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.look import Look, import_cv2

MEAN, MOST = 1.35, 3.0  # levels of a channel, px of 32: within these, plain pictures have the same pixels
GRAIN_SIGMA, GRAIN, SAME_GRAIN = 2.0, 1.0, 0.4  # px of 256, levels; correlation from which grain is the same one
SHAPE = 0.05  # relative difference of aspect ratios


def has_same_pixels(query: Look, reference: Look) -> bool:
    """Whether two pictures have the same pixels but for compression, once they are small, and the same grain."""
    (width, height), (wide, high) = query.size, reference.size
    if abs(width * high - wide * height) > SHAPE * width * high:
        return False
    gap = np.abs(query.thumb - reference.thumb)
    return bool(gap.mean((0, 1)).max() <= MEAN and gap.max() <= MOST) and _has_same_grain(query, reference)


def _has_same_grain(query: Look, reference: Look) -> bool:
    a, b = query.page, reference.page
    if a.shape != b.shape:
        b = import_cv2().resize(b, a.shape[::-1], interpolation=import_cv2().INTER_AREA)
    one, other = _grain(a), _grain(b)
    strength = float(one.std()), float(other.std())
    return min(strength) < GRAIN or bool((one * other).mean() >= SAME_GRAIN * strength[0] * strength[1])


def _grain(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    plane = luma.astype(np.float32)
    return np.asarray(plane - import_cv2().GaussianBlur(plane, (0, 0), GRAIN_SIGMA))
