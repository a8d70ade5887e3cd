"""What lies on one of two aligned pictures and not on the other, what is noisier, and what is blurred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.look import Levels, import_cv2
from twinpix.pipeline.second_look.things import SOFT, apart, level_out, single
from twinpix.pipeline.second_look.tiles import TILE, Plane, tile_means

BLUNT = 4.0  # px: sigma that both get if one is blurred
SPECK = 14  # px of a thing that lies on a picture
MOST, COVERED = 6, 0.6  # things; share of the picture: beyond, it is a change of the whole
PAD = 3  # px
FINER, COARSER = 0.8, 2.0  # px; sigmas: between them lie noise and fine detail, below them interpolation matters
CALMEST, FEWEST_TILES = 4, 8  # every fourth tile; tiles
SOFTEST, SOME = 0.5, 1.5  # levels: less is no detail; so much is needed to call anything sharp
COMPRESSED = 0.15  # of the fine texture that compression changes
HEADROOM = 0.9

Edges = tuple[int, int, int, int]  # left, top, right, bottom; px


@dataclass(frozen=True)
class Fineness:
    """How the fine detail of two aligned pictures compares.

    Attributes:
        noisier: levels that the reference has more (below 0: the query has) where either shows least.
        between: levels of it that the two don't share, and that compression does not explain, there.
        sharper: doublings that the query has more where there is most; 0 where there is none.
    """

    noisier: float
    between: float
    sharper: float


def things_on(aligned: Aligned, tones: Sequence[int], blurred: bool) -> tuple[Edges, ...] | None:
    """Boxes (left, top, right, bottom), px, in which the two differ for good; None if that is nearly everywhere.

    What is only moved a little, or blurred, does not count: a level may lie a few px away in the other picture. Nor
    does what is at other levels, or was clipped: either is mapped to the levels of the other, and both must differ.

    Args:
        tones: in all of which they must differ (see `Look`).
        blurred: whether one of the two is.
    """
    differing = apart(aligned, tones, BLUNT if blurred else SOFT)
    boxes = [box for one in single(differing) if (box := _box(one)) is not None]
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    return None if len(boxes) > MOST or area > COVERED * aligned.inside.sum() else tuple(boxes)


def _box(where: NDArray[np.bool_]) -> Edges | None:
    rows, columns = np.nonzero(where)
    if len(rows) < SPECK:
        return None
    left, right = int(columns.min()) - PAD, int(columns.max()) + 1 + PAD
    return left, int(rows.min()) - PAD, right, int(rows.max()) + 1 + PAD


def fineness(aligned: Aligned, density: float) -> Fineness | None:
    """How the fine detail of the two compares, of what the px of both can show; None if too little overlaps.

    Args:
        density: px of the coarser file per px of the frame in which both lie.
    """
    query, reference, inside = _at_density(aligned, density)
    shown = tile_means(inside.astype(np.float32)) > 1 - 1e-6
    if shown.sum() < FEWEST_TILES:
        return None
    # noise on an even ground becomes one level where it is mapped to the levels of a clean picture, so either is mapped
    contrast = [max(float(side[inside].std()), 1.0) for side in (query, reference)]
    of_query, of_reference = (min(contrast) / own for own in contrast)
    ways = (
        _compared(query.astype(np.float32), level_out(reference, query, inside), shown, of_query),
        _compared(level_out(query, reference, inside), reference.astype(np.float32), shown, of_reference),
    )
    return max(ways, key=lambda way: abs(way.noisier))


def _compared(a: Plane, b: Plane, shown: NDArray[np.bool_], gain: float) -> Fineness:
    # gain: to the levels of the one that has less contrast; in brighter ones there is more of everything
    first, second, between = (gain * _deviation(_fine(plane))[shown] for plane in (a, b, a - b))
    rank = np.argsort(np.maximum(first, second), kind="stable")
    calm, busy = rank[: max(1, len(rank) // CALMEST)], rank[len(rank) // 2 :]
    drawn = busy[np.minimum(first, second)[busy] > SOFTEST]
    busy = drawn if len(drawn) >= FEWEST_TILES else busy  # noise on an even ground makes nothing sharper
    detail = float(np.median(np.maximum(first, second)[busy]))
    textured = float(np.median(np.minimum(first, second)[calm]))
    return Fineness(
        noisier=float(np.median((second - first)[calm])),
        between=float(np.median(between[calm])) - COMPRESSED * textured,
        sharper=float(np.median(np.log2((first[busy] + SOFTEST) / (second[busy] + SOFTEST)))) if detail > SOME else 0.0,
    )


def _at_density(aligned: Aligned, density: float) -> tuple[Levels, Levels, NDArray[np.bool_]]:
    cv2, shrink = import_cv2(), min(1.0, HEADROOM * density)
    size = tuple(max(2 * TILE, round(side * shrink)) for side in aligned.inside.shape[::-1])
    a, b = (cv2.resize(np.ascontiguousarray(tones[..., 0]), size, interpolation=cv2.INTER_AREA)
            for tones in (aligned.query, aligned.reference))  # fmt: skip
    inside = cv2.resize(aligned.inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return a, b, inside.astype(bool)


def _fine(plane: Plane) -> Plane:
    finer, coarser = (import_cv2().GaussianBlur(plane, (0, 0), sigma) for sigma in (FINER, COARSER))
    return np.asarray(finer - coarser)


def _deviation(plane: Plane) -> Plane:
    mean = tile_means(plane)
    return np.sqrt(np.maximum(tile_means(plane * plane) - mean * mean, 0))
