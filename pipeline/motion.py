"""What moved between two aligned pictures: nothing in a copy, a little of everything in a second shot.

Local features place a picture to about a pixel. The levels themselves (Lucas & Kanade 1981) place it to a
twentieth, and then tell an edited copy, where all of it fits, from a second shot, where things at different
depths can't fit all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.agreement import TILE, Plane, tile_means
from twinpix.pipeline.align import Aligned, Alignment, Matrix, superpose, zoom
from twinpix.pipeline.look import Levels, Look, import_cv2

SIGMA = 1.5  # px
CONTRAST_WINDOW, CONTRAST_FLOOR = 25, 3.0  # px, levels: brightness and contrast are evened out over that much
NEIGHBOURS = 3  # tiles, each way: their shifts are estimated together
CORNER = 2e-3  # smaller eigenvalue of the gradients: an edge alone does not say how far along it a tile moved
FARTHEST = 4.0  # px; beyond it the estimate means nothing
FEWEST = 6  # tiles that say where they moved
ROUNDS = 4  # of the reweighted fit: what really moved must not pull at it


@dataclass(frozen=True)
class Motion:
    """Where the tiles of one aligned picture lie in the other.

    Attributes:
        at: float64 (n, 2), (x, y) in px, the middles of n tiles that have corners.
        shift: float64 (n, 2), px.
    """

    at: NDArray[np.float64]
    shift: NDArray[np.float64]


def refine(
    query: Look, reference: Look, alignment: Alignment, tone: int = 0, rounds: int = 2
) -> tuple[Alignment, float]:
    """Move an alignment to where the levels of one tone fit best.

    Returns:
        The better alignment, and how far a tile is still off, in px (median); 0 if too few can tell.
    """
    for _ in range(rounds):
        motion = measure(superpose(query, reference, alignment), tone)
        if len(motion.at) < FEWEST:
            return alignment, 0.0
        alignment = _corrected(alignment, _fit(motion, alignment.is_tilted)[0])
    motion = measure(superpose(query, reference, alignment), tone)
    if len(motion.at) < FEWEST:
        return alignment, 0.0
    return alignment, float(np.median(_fit(motion, alignment.is_tilted)[1]))


def measure(aligned: Aligned, tone: int = 0) -> Motion:
    """Estimate the shift of each tile from one of the tones (see `Look`)."""
    cv2 = import_cv2()
    a, b = (_evened(tones[..., tone]) for tones in (aligned.query, aligned.reference))
    inner = cv2.erode(aligned.inside.astype(np.uint8), np.ones((13, 13), np.uint8), borderValue=1).astype(np.float32)
    mean = (a + b) / 2
    x, y = (cv2.Sobel(mean, cv2.CV_32F, dx, dy, ksize=3) / 8 for dx, dy in ((1, 0), (0, 1)))
    sums = [_around(product * inner) for product in (x * x, x * y, y * y, x * (b - a), y * (b - a))]
    return _solve(sums, tile_means(aligned.inside.astype(np.float32)) > 0.5)


def _evened(levels: Levels) -> Plane:
    cv2, window = import_cv2(), (CONTRAST_WINDOW, CONTRAST_WINDOW)
    plane = cv2.GaussianBlur(levels.astype(np.float32), (0, 0), SIGMA)
    mean = cv2.blur(plane, window)
    deviation = np.sqrt(np.maximum(cv2.blur(plane * plane, window) - mean * mean, 0))
    return np.asarray((plane - mean) / (deviation + CONTRAST_FLOOR))


def _around(plane: Plane) -> NDArray[np.float64]:
    means = tile_means(plane)
    summed = import_cv2().blur(means, (NEIGHBOURS, NEIGHBOURS), borderType=import_cv2().BORDER_CONSTANT)
    return np.asarray(summed, np.float64).reshape(means.shape)


def _solve(sums: list[NDArray[np.float64]], shown: NDArray[np.bool_]) -> Motion:
    xx, xy, yy, xt, yt = sums
    determinant, trace = xx * yy - xy * xy, xx + yy
    smaller = trace / 2 - np.sqrt(np.maximum(trace * trace / 4 - determinant, 0))
    rows, columns = np.nonzero(shown & (smaller > CORNER))
    safe = np.maximum(determinant, 1e-9)
    shift = np.stack([(xy * yt - yy * xt) / safe, (xy * xt - xx * yt) / safe], -1)[rows, columns]
    at = (np.stack([columns, rows], 1).astype(np.float64) + 0.5) * TILE
    return Motion(at, np.asarray(shift.clip(-FARTHEST, FARTHEST), np.float64))


def _fit(motion: Motion, tilted: bool) -> tuple[Matrix, NDArray[np.float64]]:
    # least absolute deviations, nearly, by reweighting; a small change of a perspective is linear in 8 numbers
    scale = motion.at.max()
    terms = _terms(motion.at / scale, tilted)
    target, weight = motion.shift.T.ravel(), np.ones(len(motion.at))
    for _ in range(ROUNDS):
        heavy = np.tile(weight, 2)
        numbers = np.asarray(np.linalg.lstsq(terms * heavy[:, None], target * heavy, rcond=None)[0], np.float64)
        off = np.hypot(*(target - terms @ numbers).reshape(2, -1))
        weight = np.maximum(off, 0.1) ** -0.5
    return _matrix(numbers, scale), off


def _terms(at: NDArray[np.float64], tilted: bool) -> NDArray[np.float64]:
    x, y = at.T
    one, none = np.ones_like(x), np.zeros_like(x)
    across, down = [x, y, one, none, none, none], [none, none, none, x, y, one]
    if tilted:
        across, down = [*across, x * x, x * y], [*down, x * y, y * y]
    return np.concatenate([np.stack(across, 1), np.stack(down, 1)])


def _matrix(numbers: NDArray[np.float64], scale: float) -> Matrix:
    change = np.zeros((3, 3))
    change[:2] = numbers[:6].reshape(2, 3)
    change[:2, :2] /= scale
    if len(numbers) > 6:
        change[2, :2] = -numbers[6:] / scale**2
    return np.eye(3) + change


def _corrected(alignment: Alignment, change: Matrix) -> Alignment:
    # superpose works in the frame of the coarser picture: see there
    before = zoom(alignment.matrix) > 1
    matrix = alignment.matrix @ change if before else change @ alignment.matrix
    return replace(alignment, matrix=matrix / matrix[2, 2])
