"""Pictures cut into square tiles, and how the tiles of two pictures correlate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.look import import_cv2

TILE = 16  # px
NOISE = 2.0  # levels; keeps the correlation of nearly flat tiles low

Plane = NDArray[np.float32]


def tile_means(planes: Plane, tile: int = TILE) -> Plane:
    """(h, w[, k]) -> (h // tile, w // tile[, k]); what is left over at the right and the bottom is not looked at."""
    down, across = planes.shape[0] // tile, planes.shape[1] // tile
    cut = planes[: down * tile, : across * tile]
    return np.asarray(import_cv2().resize(cut, (across, down), interpolation=import_cv2().INTER_AREA))


def correlate(a: Plane, b: Plane, tile: int = TILE) -> tuple[Plane, Plane]:
    """How tiles of two pictures correlate, -1..1, and how much structure the richer one of each two has, levels.

    Args:
        a, b: float32 (h, w[, k]), levels.
    """
    means, squares = (tile_means(a, tile), tile_means(b, tile)), (tile_means(a * a, tile), tile_means(b * b, tile))
    deviation = [np.sqrt(np.maximum(s - m * m, 0)) for s, m in zip(squares, means, strict=True)]
    covariance = tile_means(a * b, tile) - means[0] * means[1]
    correlation = np.asarray(covariance / (deviation[0] * deviation[1] + NOISE), np.float32)
    return correlation, np.maximum(*deviation)
