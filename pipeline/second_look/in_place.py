"""One picture laid on another as it is: many copies were neither cropped nor turned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.look import Look, import_cv2
from twinpix.pipeline.second_look.tiles import correlate

ALIKE = 0.8  # correlation of the whole from which it is worth a closer look,
TILE, TEXTURE, AGREEING, SHARE = 8, 4.0, 0.6, 0.3  # or of so many tiles (px, levels, correlation)


def lay_upon(query: Look, reference: Look) -> NDArray[np.float64]:
    """The map, float64 (3, 3), that lays the whole of one picture on the whole of the other."""
    (width, height), (wide, high) = query.size, reference.size
    across, down = wide / width, high / height
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def seems_in_place(query: Look, reference: Look) -> bool:
    """Whether two small lumas, laid on one another, are alike as a whole or in many of their tiles.

    One pair of look-alikes in a hundred is; of copies that were neither cropped nor turned, nearly all.
    """
    cv2, size = import_cv2(), query.small.shape[::-1]
    if min(size) < TILE:
        return False
    laid = cv2.resize(reference.small, size, interpolation=cv2.INTER_AREA)
    a, b = query.small.astype(np.float32), laid.astype(np.float32)
    correlation, structure = correlate(a, b, TILE)
    seen = correlation[structure > TEXTURE]
    return bool(len(seen) and (seen > AGREEING).mean() >= SHARE) or correlation_of(a, b) >= ALIKE


def correlation_of(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """How two sets of levels of one shape correlate, -1..1."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-6))
