"""Local features of a picture, and those of its mirror image: where they are found, and how they look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import MissingPackageError
from twinpix.pipeline.index import places_among_equals

FEATURES, GRID = 600, 6  # kept, evenly; cells each way
_CORNERS, _PYRAMID, _LEVELS, _CONTRAST = 5000, 1.2, 9, 6  # at most; scale between two levels; of grey, of a corner
_PATCH, _EDGE = 31, 12  # px; of ORB, and how near to the edge of a level features are found
_THINNEST = 24  # px; no features in anything thinner, whose last level would vanish

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Features:
    """The local features of a picture.

    Attributes:
        points: float32 (n, 2), (x, y) in px.
        descriptors: uint8 (n, 32), ORB (Rublee et al. 2011).
        angles: float32 (n,), degrees.
        octaves: intp (n,), the level of the pyramid on which each was found.
    """

    points: NDArray[np.float32]
    descriptors: Levels
    angles: NDArray[np.float32]
    octaves: NDArray[np.intp]


NO_FEATURES = Features(
    np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8), np.empty(0, np.float32), np.empty(0, np.intp)
)


def import_cv2() -> Any:
    """The OpenCV module.

    Raises:
        MissingPackageError: it is not installed, or can't be loaded.
    """
    try:
        import cv2
    except ModuleNotFoundError:
        raise MissingPackageError("OpenCV is not installed: pip install 'twinpix[cpu]' (or 'twinpix[gpu]')") from None
    except ImportError as error:  # too little memory (ulimit -v), a library of the system that it needs
        why = " ".join(str(error).split())
        raise MissingPackageError(f"OpenCV is installed, but can't be loaded: {why}") from None
    return cv2


def has_corners(luma: Levels, so_many: int) -> bool:
    """Whether there surely are so many local features, for a twentieth of what it takes to find them."""
    inner = np.ascontiguousarray(luma[_EDGE:-_EDGE, _EDGE:-_EDGE])
    return len(import_cv2().FastFeatureDetector_create(_CONTRAST).detect(inner)) >= 2 * so_many


def find_features(luma: Levels) -> Features:
    """The local features of a luma, uint8 (h, w)."""
    if min(luma.shape) < _THINNEST:
        return NO_FEATURES
    corners = _orb().detect(np.ascontiguousarray(luma), None)
    if len(corners) > FEATURES:
        corners = [corners[k] for k in _spread(corners, luma.shape)]
    return _described(luma, corners)


def mirrored_features(found: Features, mirror_image: Levels) -> Features:
    """The same features in the mirror image (luma, left and right swapped): ORB does not match mirror images."""
    scale = np.asarray(_PYRAMID**found.octaves, np.float64)
    places = found.points - _off_middle(scale)
    across = mirror_image.shape[1] - scale - places[:, 0]  # of the level's pixel that is the mirror image
    turned = (180 - found.angles) % 360
    return _described(mirror_image, _keypoints(across, places[:, 1], turned, scale, found.octaves))


def _orb() -> Any:
    return import_cv2().ORB_create(
        _CORNERS,
        scaleFactor=_PYRAMID,
        nlevels=_LEVELS,
        edgeThreshold=_EDGE,
        fastThreshold=_CONTRAST,
    )


def _described(luma: Levels, keypoints: Sequence[Any]) -> Features:
    if not keypoints:
        return NO_FEATURES
    kept, descriptors = _orb().compute(np.ascontiguousarray(luma), keypoints)
    if descriptors is None:
        return NO_FEATURES
    octaves = np.array([keypoint.octave for keypoint in kept], np.intp)
    angles = np.array([keypoint.angle for keypoint in kept], np.float32)
    points = np.array(import_cv2().KeyPoint.convert(kept), np.float64) + _off_middle(
        np.asarray(_PYRAMID**octaves, np.float64)
    )
    return Features(points.astype(np.float32), descriptors, angles, octaves)


def _off_middle(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    # OpenCV scales a level's coordinates by corners of pixels, not by their middles
    return np.asarray((scale - 1) / 2, np.float64)[:, None]


def _keypoints(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    angles: NDArray[np.float32],
    scale: NDArray[np.float64],
    octaves: NDArray[np.intp],
) -> list[Any]:
    columns = x, y, _PATCH * scale, angles, np.zeros(len(x)), octaves
    make = import_cv2().KeyPoint
    return [make(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _spread(corners: Sequence[Any], shape: tuple[int, ...]) -> list[int]:
    # half of the features are the strongest of all, half the strongest of each cell: letters would eat them all
    strength = np.array([corner.response for corner in corners], np.float32)
    strongest = np.argsort(-strength, kind="stable")
    place = np.array(import_cv2().KeyPoint.convert(corners), np.float64).reshape(-1, 2)
    cell = (place * GRID / shape[::-1]).astype(int) @ (1, GRID)
    by_cell = strongest[np.argsort(cell[strongest].astype(np.int16), kind="stable")]  # of short integers: radix sort
    rank = places_among_equals(cell[by_cell])
    in_turn = by_cell[np.argsort(rank.astype(np.int16), kind="stable")]
    kept = np.zeros(len(cell), bool)
    kept[strongest[: FEATURES // 2]] = True
    kept[in_turn[~kept[in_turn]][: FEATURES - kept.sum()]] = True
    return np.flatnonzero(kept).tolist()
