"""What moved between two aligned pictures: nothing in a copy, a little of everything in a second shot.

Local features place a picture to about a pixel. The levels themselves (Lucas & Kanade 1981) place it to a
twentieth, and then tell an edited copy, where all of it fits, from a second shot, where things at different
depths can't fit all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.align import Aligned, Alignment, Matrix, superpose, zoom
from twinpix.pipeline.second_look.look import Levels, Look, import_cv2
from twinpix.pipeline.second_look.tiles import TILE, Plane, tile_means

SIGMA, DRIFT_SIGMA = 1.5, 3.0  # px
CONTRAST_WINDOW, CONTRAST_FLOOR = 25, 3.0  # px, levels: brightness and contrast are evened out over that much
NEIGHBOURS = 3  # tiles, each way: their shifts are estimated together
CORNER = 2e-3  # smaller eigenvalue of the gradients: an edge alone does not say how far along it a tile moved
FARTHEST = 4.0  # px; beyond it the estimate means nothing
FEWEST = 6  # tiles that say where they moved
PATCH, REACH, SOUGHT = 24, 64, 40  # px, px; how many patches are sought at most
PATCH_TEXTURE, SEEN_AGAIN, TOGETHER = 6.0, 0.8, 3.0  # levels; correlation; px
FEWEST_TOGETHER = 3  # patches; two that are seen again side by side may be chance, in grass or on a brick wall
APART = 1.5  # px; tiles that lie so far from where they should be come no nearer
SETTLED = 0.02  # px; a correction that moves no tile farther changes nothing
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
    query, reference = _only(query, tone), _only(reference, tone)
    for left in reversed(range(rounds + 1)):
        motion = measure(superpose(query, reference, alignment))
        if len(motion.at) < FEWEST:
            break
        change, still_off = _fit(motion, alignment.is_tilted)
        so_far = float(np.median(still_off))
        if left == 0 or so_far > APART or _is_settled(change, motion.at):
            return alignment, so_far
        alignment = _corrected(alignment, change)
    return alignment, 0.0


def fit(query: Look, reference: Look, alignment: Alignment, rounds: int = 1) -> Alignment:
    """The better alignment alone, by the first tone, however little it gets better."""
    for _ in range(rounds):
        motion = measure(superpose(query, reference, alignment))
        if len(motion.at) < FEWEST:
            break
        alignment = _corrected(alignment, _fit(motion, alignment.is_tilted)[0])
    return alignment


def _is_settled(change: Matrix, at: NDArray[np.float64]) -> bool:
    places = np.c_[at, np.ones(len(at))]
    there = places @ change.T
    return bool(np.abs(there[:, :2] / there[:, 2:] - at).max() <= SETTLED)


def _only(look: Look, tone: int) -> Look:
    # of the others, nothing need be moved
    return Look(np.ascontiguousarray(look.tones[..., tone : tone + 1]), speckled=look.speckled)


def off(aligned: Aligned, tone: int = 0, tilted: bool = False) -> float | None:
    """How far a tile is from where the whole fits best, in px (median); None if too few can tell."""
    motion = measure(aligned, tone)
    return float(np.median(_fit(motion, tilted)[1])) if len(motion.at) >= FEWEST else None


def drift(aligned: Aligned) -> float | None:
    """How far a tile is from where it should be, in px (median), by coarse structure; None if too few can tell."""
    query, reference = (
        import_cv2().GaussianBlur(tones, (0, 0), DRIFT_SIGMA) for tones in (aligned.query, aligned.reference)
    )
    motion = measure(Aligned(query, reference, aligned.inside))
    return float(np.median(np.hypot(*motion.shift.T))) if len(motion.at) >= FEWEST else None


def wandered(aligned: Aligned, covered: NDArray[np.bool_]) -> float:
    """How much of what these tiles show in one picture lies elsewhere, but not far, in the other; 0..1.

    A thing that moved before a camera on a tripod is found again there; what a sticker hides is not.

    Args:
        covered: bool (down, across).
    """
    a, b = (
        import_cv2().GaussianBlur(tones[..., 0].astype(np.float32), (0, 0), SIGMA)
        for tones in (aligned.query, aligned.reference)
    )
    places = TILE * np.argwhere(covered)
    places = places[np.unique(np.linspace(0, len(places) - 1, SOUGHT).astype(int))]
    return max(_found_again(a, b, places), _found_again(b, a, places))


def _found_again(a: Plane, b: Plane, places: NDArray[np.intp]) -> float:
    shifts = [shift for row, column in places.tolist() if (shift := _shift_of(a, b, row, column)) is not None]
    if not shifts:
        return 0.0
    apart = np.hypot(*(np.array(shifts)[:, None] - np.array(shifts)[None]).transpose(2, 0, 1))
    together = int((apart <= TOGETHER).sum(1).max())
    return together / len(places) if together >= FEWEST_TOGETHER else 0.0


def _shift_of(a: Plane, b: Plane, row: int, column: int) -> tuple[int, int] | None:
    # of the patch of one picture in the other; None where it is not seen, or where it was
    patch = a[row : row + PATCH, column : column + PATCH]
    top, left = max(0, row - REACH), max(0, column - REACH)
    window = b[top : row + PATCH + REACH, left : column + PATCH + REACH]
    if patch.shape != (PATCH, PATCH) or patch.std() < PATCH_TEXTURE:
        return None
    match = import_cv2().matchTemplate(window, patch, import_cv2().TM_CCOEFF_NORMED)
    down, across = np.unravel_index(int(match.argmax()), match.shape)
    shift = int(down) + top - row, int(across) + left - column
    return shift if match.max() >= SEEN_AGAIN and np.hypot(*shift) > TOGETHER else None


def measure(aligned: Aligned, tone: int = 0) -> Motion:
    """Estimate the shift of each tile from one of the tones (see `Look`)."""
    cv2 = import_cv2()
    a, b = (_evened(tones[..., tone]) for tones in (aligned.query, aligned.reference))
    inner = cv2.erode(aligned.inside.astype(np.uint8), np.ones((13, 13), np.uint8), borderValue=1).astype(np.float32)
    mean, gap = cv2.addWeighted(a, 0.5, b, 0.5, 0), cv2.subtract(b, a)
    x, y = (cv2.Sobel(mean, cv2.CV_32F, dx, dy, ksize=3, scale=1 / 8) for dx, dy in ((1, 0), (0, 1)))
    inner_x, inner_y = x * inner, y * inner
    sums = [_around(product) for product in (inner_x * x, inner_x * y, inner_y * y, inner_x * gap, inner_y * gap)]
    return _solve(sums, tile_means(aligned.inside.astype(np.float32)) > 0.5)


def _evened(levels: Levels) -> Plane:
    cv2, window = import_cv2(), (CONTRAST_WINDOW, CONTRAST_WINDOW)
    plane = cv2.GaussianBlur(levels.astype(np.float32), (0, 0), SIGMA)
    mean, deviation = cv2.blur(plane, window), cv2.blur(plane * plane, window)
    deviation -= mean * mean  # in place: new arrays for all of it would take twice as long
    np.sqrt(np.maximum(deviation, 0, out=deviation), out=deviation)
    deviation += CONTRAST_FLOOR
    plane -= mean
    plane /= deviation
    return np.asarray(plane)


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
