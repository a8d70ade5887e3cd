"""What lies on one of two aligned pictures and not on the other, what is noisier, and what is blurred."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.look import Levels, import_cv2
from twinpix.pipeline.second_look.tiles import TILE, Plane, tile_means

BIN, FEW = 8, 8  # levels that are mapped together; px that say nothing
SOFT, BLUNT, REACH = 1.0, 4.0, 7  # px: sigma that both get, and if one is blurred; how far off a level may lie
STANDS_OUT, SPECK = 20.0, 14  # levels; px of a thing that lies on a picture
APART = 13  # px between two things
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


def level_out(mapped: Levels, like: Levels, inside: NDArray[np.bool_]) -> Plane:
    """A luma at the levels of another, float32: each level becomes the median of what lies there in that one."""
    every = inside[::2, ::2]
    return _curve(mapped[::2, ::2][every], like[::2, ::2][every])[mapped]


def _curve(levels: Levels, like: Levels) -> Plane:
    # float32 (256,): the middle of a bin -> the median of what lies there, ascending
    steps = levels.astype(np.intp) // BIN
    counted = np.bincount(steps * 256 + like, minlength=256 // BIN * 256).reshape(-1, 256)
    counts = counted.sum(1)
    seen = np.flatnonzero(counts > FEW)
    if len(seen) < 2:
        return np.arange(256, dtype=np.float32)
    medians = (counted[seen].cumsum(1) * 2 >= counts[seen, None]).argmax(1)
    middles = np.bincount(steps, weights=levels, minlength=256 // BIN)[seen] / counts[seen]
    return np.interp(np.arange(256), middles, _ascending(medians, counts[seen])).astype(np.float32)


def _ascending(values: NDArray[np.intp], weights: NDArray[np.intp]) -> list[float]:
    # the nearest that never falls (isotonic regression, by pooling neighbours): a black caption on white has little say
    pools: list[tuple[float, float, int]] = []  # mean, weight, values
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, wa, na), (b, wb, nb) = pools[-2:]
            pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    return [mean for mean, _, count in pools for _ in range(count)]


def things_on(aligned: Aligned, tones: Sequence[int], blurred: bool) -> tuple[Edges, ...] | None:
    """Boxes (left, top, right, bottom), px, in which the two differ for good; None if that is nearly everywhere.

    What is only moved a little, or blurred, does not count: a level may lie a few px away in the other picture. Nor
    does what is at other levels, or was clipped: either is mapped to the levels of the other, and both must differ.

    Args:
        tones: in all of which they must differ (see `Look`).
        blurred: whether one of the two is.
    """
    cv2, inside = import_cv2(), aligned.inside
    wrong = cv2.erode(inside.astype(np.uint8), np.ones((REACH, REACH), np.uint8), borderValue=0)
    for gap in _gaps(aligned, tones, BLUNT if blurred else SOFT):
        wrong &= gap > STANDS_OUT
        if not wrong.any():  # as in most copies after the first
            return ()
    count, label = cv2.connectedComponents(cv2.dilate(wrong, np.ones((APART, APART), np.uint8)), connectivity=8)
    boxes = [box for number in range(1, count) if (box := _box((label == number) & (wrong > 0))) is not None]
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    return None if len(boxes) > MOST or area > COVERED * inside.sum() else tuple(boxes)


def _gaps(aligned: Aligned, tones: Sequence[int], sigma: float) -> Iterator[Plane]:
    # of each tone, at the levels of the query and at those of the reference
    for tone in tones:
        a, b = (np.ascontiguousarray(side[..., tone]) for side in (aligned.query, aligned.reference))
        yield _gap(a.astype(np.float32), level_out(b, a, aligned.inside), sigma)
        yield _gap(level_out(a, b, aligned.inside), b.astype(np.float32), sigma)


def _gap(query: Plane, reference: Plane, sigma: float) -> Plane:
    a, b = (import_cv2().GaussianBlur(plane, (0, 0), sigma) for plane in (query, reference))
    return np.maximum(_beyond(a, b), _beyond(b, a))


def _beyond(a: Plane, b: Plane) -> Plane:
    # how far a lies outside the levels that b has around there
    cv2, reach = import_cv2(), np.ones((REACH, REACH), np.uint8)
    return np.asarray(np.maximum(0, np.maximum(a - cv2.dilate(b, reach), cv2.erode(b, reach) - a)))


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
    a, b = query.astype(np.float32), level_out(reference, query, inside)
    first, second, between = (_deviation(_fine(plane))[shown] for plane in (a, b, a - b))
    rank = np.argsort(np.maximum(first, second), kind="stable")
    calm, busy = rank[: max(1, len(rank) // CALMEST)], rank[len(rank) // 2 :]
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
