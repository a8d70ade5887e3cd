"""Pages and screens, compared in all detail: a few other digits, another row selected, and it is another page.

What a photo calls an overlay is what a page says. So two aligned pages are laid on one another at a higher
resolution, one is made as sharp and as bright as the other, and then no spot may hold other ink.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.second_look.agreement import CLIPPED
from twinpix.pipeline.second_look.align import Aligned, Alignment, alignments, between, superpose
from twinpix.pipeline.second_look.in_place import lay_upon
from twinpix.pipeline.second_look.look import LEGIBLE, Look, import_cv2
from twinpix.pipeline.second_look.motion import fit
from twinpix.pipeline.second_look.recoloured import has_other_hues
from twinpix.pipeline.second_look.tiles import Plane, correlate, tile_means

WINDOW, MARGIN = 7, 8  # px: in which ink is compared; at the edges, where nothing is
NOISE = 8.0  # levels; what compression may do to a window without ink
SHARPNESS = 0.8  # px; sigma that both sides get before they are compared
OTHER, SPOT = 0.7, 5  # energy of what differs to that of the ink; px, so many such windows are no accident
# of a page so small (px, the shorter side) a word differs less, but stands out: other ink (variance) hardly does
SMALL_PAGE = 480
STANDS_OUT, LEAST_OTHER, PERCENT, INK = 4.0, 0.08, 99, 100.0
# where hardly any window differs at all, a digit need not be all other ink: 8 for 6, of 13 px. Of 985 copies of pages
# that are so clean (JPEG, WebP, other sizes, blurred, sharpened, brightened) the fifth window differs by .13 at most
CLEAN, CLEAN_OTHER = 0.02, 0.2
OVERLAP = 0.3  # share of the frame in which both must be
LEVELS, FLAT, FAINTEST = 8, 25.0, 10.0  # levels; variance of an even area; a gap that brightness explains
GLANCE_TILE, INKED, STRONG = 8, 4.0, 8.0  # px, levels, levels
TEMPLATE, SAME_TILE = 12, 0.95  # so many tiles that agree so well, a letterhead: the two lie on one another
# the same at the size of a look, which costs a tenth: copies have 4 such windows, other states of a program 90
LOOK_OTHER, LOOK_SPOT = 0.85, 20
COARSE_OTHER, COARSE_SPOT = 0.85, 40  # and at half that size: copies have 24, other things on white a thousand
SPREAD = 0.5  # of the height and of the width that they lie apart
WHOLE_TEMPLATE = 0.7  # share of tiles; nearly all that there is: then a single other one is enough
OTHER_TILE, OTHER_TILES = 0.6, 3  # correlation; so many such tiles hold something else
TURNED_SAME = 0.9  # share of the tiles of a page that agree with those of its mirror image, a px or so beside them
ROUNDS = 2  # of fitting one to the other, at each size
NUDGE = 3.0  # px of a look; alignments that are no farther apart are one
SHAPE = 0.03  # relative difference of aspect ratios


def is_printed(query: Look, reference: Look) -> bool:
    """Whether both may be documents or screenshots; a photo that an edit made half white is none, nor is its copy."""
    legible = min(query.shorter_side, reference.shorter_side) >= LEGIBLE
    return legible and query.is_on_ground and reference.is_on_ground


def is_small_print(query: Look, reference: Look) -> bool:
    """Whether both are written pages, and one of them is too small to be read: other ink shows in the mass of it."""
    small = min(query.shorter_side, reference.shorter_side) < LEGIBLE
    return small and query.is_written and reference.is_written


def differs_in_small_print(query: Look, reference: Look, alignment: Alignment) -> bool:
    """Whether two such pages hold other ink, laid on one another as two photos of one scene would be.

    Of 79 pairs of receipts of one shop, 192 px wide, all do; of 823 edited copies 80, half of them with something
    pasted on, the others with the strongest noise, blur and JPEG.
    """
    laid = fit(query.grey, reference.grey, alignment, rounds=ROUNDS)
    aligned = superpose(query.grey, reference.grey, laid)
    inside = _inner(aligned.inside)
    return bool((_unlike(aligned, inside)[0][inside] > LOOK_OTHER).sum() >= LOOK_SPOT) if inside.any() else False


def differs_at_a_glance(query: Look, reference: Look) -> bool:
    """Whether two pages of one shape lie on one another as they are, by what both hold, and differ elsewhere.

    It costs a thirtieth of aligning them, and of the pages of one template hardly any pass.
    """
    a, b = query.page, reference.page
    if abs(a.shape[0] * b.shape[1] - a.shape[1] * b.shape[0]) > SHAPE * a.size or min(a.shape) < 4 * GLANCE_TILE:
        return False
    if a.shape != b.shape:
        b = import_cv2().resize(b, a.shape[::-1], interpolation=import_cv2().INTER_AREA)
    one, other = (_blurred(page.astype(np.float32), SHARPNESS) for page in (a, b))
    correlation, structure = correlate(one, other, GLANCE_TILE)
    inked = structure > INKED
    if not (query.is_written and reference.is_written):  # what was brightened may have clipped
        inked &= ~(_clipped(one) | _clipped(other))
    same, others = inked & (correlation >= SAME_TILE), inked & (structure > STRONG) & (correlation < OTHER_TILE)
    if same.sum() < TEMPLATE or not _is_spread(same):
        return False
    differs = others.sum() >= (1 if same.sum() >= WHOLE_TEMPLATE * inked.sum() else OTHER_TILES)
    return bool(differs and not any(_has_same_tiles(one, turned) for turned in _turned(other)))


def _turned(page: Plane) -> Iterator[Plane]:
    # mirrored, upside down, and if it is a square, on its sides: many pages are symmetrical, but for what they say
    for flipped in (page, page[:, ::-1]):
        for quarters in range(4):
            turned = np.rot90(flipped, quarters)
            if turned.shape == page.shape and (quarters or flipped is not page):
                yield np.ascontiguousarray(turned)


def _has_same_tiles(one: Plane, other: Plane) -> bool:
    correlation, structure = correlate(one, other, GLANCE_TILE)
    inked = structure > STRONG
    return bool((correlation[inked] >= OTHER_TILE).mean() >= TURNED_SAME) if inked.any() else False


def _clipped(page: Plane) -> NDArray[np.bool_]:
    # tiles that are black or white, mostly
    low, high = CLIPPED
    return np.asarray(tile_means(((page < low) | (page > high)).astype(np.float32), GLANCE_TILE) > 0.5)


def _is_spread(same: NDArray[np.bool_]) -> bool:
    # a copy that lost its margins agrees in the middle alone
    rows, columns = np.nonzero(same)
    return bool(np.ptp(rows) >= SPREAD * same.shape[0] and np.ptp(columns) >= SPREAD * same.shape[1])


def readable(query: Look, reference: Look) -> Iterator[tuple[Alignment | None, Alignment]]:
    """The alignments (None: as they are) under which two pages have the same ink as far as their looks show it.

    To find one costs a tenth of being sure. Beside each, how the grey looks lie on one another then.
    """
    tried: list[tuple[bool, NDArray[np.float64]]] = []
    for alignment in chain(alignments(query, reference), (None,)):
        start = alignment or Alignment(lay_upon(query, reference), False, 0, 0)
        corners = _corners(query, start.matrix)
        if any(start.mirrored == other and np.abs(corners - those).max() <= NUDGE for other, those in tried):
            continue
        tried.append((start.mirrored, corners))
        looks, small = (query, reference), (query.coarse, reference.coarse)
        laid, differing = _closer(start, looks, small, COARSE_OTHER)
        if differing < COARSE_SPOT:
            laid, differing = _closer(laid, small, (query.grey, reference.grey), LOOK_OTHER)
            if differing < LOOK_SPOT:
                yield alignment, laid


def has_same_ink(query: Look, reference: Look, laid: Alignment) -> bool:
    """Whether no spot of two pages, or of any two pictures, holds other ink; False where one can't be read any more.

    Args:
        laid: from the query's grey look to the reference's, as of `readable`.
    """
    looks = query.grey, reference.grey
    try:
        fine = query.fine, reference.fine
        better, differing = _closer(laid, looks, fine, OTHER)
        if differing < SPOT:
            return not is_printed(query, reference) or (
                not has_other_hues(query, reference, laid) and _same_in_whole(query, reference, better)
            )
        a, b = query.healed, reference.healed
        if (a is None) == (b is None):  # or one of them is a noisy copy
            return False
        return _closer(laid, looks, (a or query.fine, b or reference.fine), OTHER)[1] < SPOT
    except ImageError:
        return False


def is_same_throughout(query: Look, reference: Look) -> bool:
    """Whether two pictures of any kind, laid on one another as they are, differ in no spot; False where one is gone."""
    looks = query.grey, reference.grey
    laid, differing = _closer(Alignment(lay_upon(*looks), False, 0, 0), looks, looks, LOOK_OTHER)
    return differing < LOOK_SPOT and has_same_ink(query, reference, laid)


def _same_in_whole(query: Look, reference: Look, laid: Alignment) -> bool:
    # a page number of 20 px on a page of 1,754 is gone at 1,024
    fine, whole = (query.fine, reference.fine), (query.whole, reference.whole)
    if any(larger.size == smaller.size for larger, smaller in zip(whole, fine, strict=True)):
        return True
    return _closer(laid, fine, whole, OTHER)[1] < SPOT


def _closer(
    laid: Alignment, looks: tuple[Look, Look], larger: tuple[Look, Look], other: float
) -> tuple[Alignment, int]:
    # how two pages lie on one another by looks of another size, and in how many windows they differ
    better = fit(*larger, between(laid, looks, larger), rounds=ROUNDS)
    return better, _differ_in(*larger, better, other)


def _corners(query: Look, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    wide, high = query.size
    there = matrix @ np.array([[0, wide, 0, wide], [0, 0, high, high], [1, 1, 1, 1]])
    return np.asarray(there[:2] / there[2])


def _differ_in(query: Look, reference: Look, laid: Alignment, other: float) -> int:
    # so many windows; all of them where the two hardly overlap
    aligned = superpose(query, reference, laid)
    inside = _inner(aligned.inside)
    if inside.mean() < OVERLAP:
        return inside.size
    unlike, ink = _unlike(aligned, inside)
    differing = int((unlike[inside] > other).sum())
    inked = unlike[inside & (ink > INK)]
    if other > OTHER or not len(inked):
        return differing
    usual = float(np.percentile(inked, PERCENT))
    is_small = min(inside.shape) < SMALL_PAGE
    if not is_small and usual > CLEAN:
        return differing
    stands_out = max(LEAST_OTHER, STANDS_OUT * usual) if is_small else CLEAN_OTHER
    return max(differing, int((inked > stands_out).sum()))


def _inner(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    cv2, reach = import_cv2(), np.ones((2 * MARGIN + 1,) * 2, np.uint8)
    shown = cv2.erode(inside.astype(np.uint8), reach, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(shown > 0)


def _unlike(aligned: Aligned, inside: NDArray[np.bool_]) -> tuple[Plane, Plane]:
    # of each window, the energy of what differs over that of its ink; and its ink
    a, b = (_blurred(tones[..., 0].astype(np.float32), SHARPNESS) for tones in (aligned.query, aligned.reference))
    ways = ((a, _made_like(b, a, inside)), (b, _made_like(a, b, inside)))
    a, b = min(ways, key=lambda way: float(np.abs(way[0] - way[1])[inside].mean()))
    ink = np.maximum(_variance(a), _variance(b))
    gap = a - b - _tone_gap(a, b, inside & (ink < FLAT))
    return np.asarray(_window_mean(gap * gap) / (ink + NOISE**2), np.float32), ink


def _made_like(plane: Plane, other: Plane, inside: NDArray[np.bool_]) -> Plane:
    # brighter, of more contrast, sharper or more blurred: whatever comes nearest, by least squares
    terms = [plane, _blurred(plane, 1.0), _blurred(plane, 2.0)]
    some = np.flatnonzero(inside)[::5]
    seen = np.stack([*(term.ravel()[some] for term in terms), np.ones(len(some))], 1).astype(np.float64)
    *weights, shift = np.linalg.lstsq(seen.T @ seen, seen.T @ other.ravel()[some], rcond=None)[0].astype(np.float32)
    made = np.full_like(plane, shift)
    for weight, term in zip(weights, terms, strict=True):
        made += weight * term
    return made


def _tone_gap(a: Plane, b: Plane, even: NDArray[np.bool_]) -> Plane:
    # by how much each tone is brighter in the one, where there is no ink: a curve of levels, not a spot
    some = np.flatnonzero(even)[::5]
    gap, tone = a.ravel()[some] - b.ravel()[some], (b.ravel()[some].clip(0, 255) / LEVELS).astype(int)
    curve = np.zeros(256 // LEVELS + 1, np.float32)
    for step in np.unique(tone).tolist():
        curve[step] = np.median(gap[tone == step])
    return np.asarray(curve.clip(-FAINTEST, FAINTEST)[(b.clip(0, 255) / LEVELS).astype(int)], np.float32)


def _variance(plane: Plane) -> Plane:
    return _window_mean(plane * plane) - _window_mean(plane) ** 2


def _window_mean(plane: Plane) -> Plane:
    return np.asarray(import_cv2().blur(plane, (WINDOW, WINDOW)))


def _blurred(plane: Plane, sigma: float) -> Plane:
    return np.asarray(import_cv2().GaussianBlur(plane, (0, 0), sigma))
