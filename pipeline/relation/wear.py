"""What lies on one of two aligned pictures and not on the other, what is noisier, and what is blurred."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.agreement import sharper_by
from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.look import Levels, import_cv2
from twinpix.pipeline.second_look.tiles import TILE, Plane, tile_means

BIN = 8  # levels that are mapped together
SOFT, REACH = 1.5, 7  # px: sigma that both get; how far a level may lie in the other one
STANDS_OUT, SPECK = 20.0, 14  # levels; px of a thing that lies on a picture
APART = 13  # px between two things
MOST, COVERED = 6, 0.6  # things; share of the picture: beyond, it is a change of the whole
PAD = 3  # px
FINE = 1.2  # px; sigma: what is finer is noise or detail
CALM = 25  # percentile of tiles, by how much they show
HEADROOM = 0.9


@dataclass(frozen=True)
class Noise:
    """Fine deviation in the calm tiles of either picture, and of what differs between them; levels."""

    query: float
    reference: float
    between: float


def level_out(aligned: Aligned) -> tuple[Plane, Plane]:
    """The two lumas, float32, the reference's levels mapped to the query's: each level to the median of what is there."""
    query, reference = aligned.query[..., 0], aligned.reference[..., 0]
    curve = _curve(reference[::2, ::2][aligned.inside[::2, ::2]], query[::2, ::2][aligned.inside[::2, ::2]])
    return query.astype(np.float32), curve[reference]


def _curve(levels: Levels, like: Levels) -> Plane:
    # float32 (256,)
    steps = levels // BIN
    order = np.argsort(steps, kind="stable")
    counts = np.bincount(steps, minlength=256 // BIN)
    seen = np.flatnonzero(counts > 8)
    if len(seen) < 2:
        return np.arange(256, dtype=np.float32)
    parts = np.split(like[order], np.cumsum(counts)[:-1])
    medians = np.maximum.accumulate([float(np.median(parts[step])) for step in seen])
    own = [float(np.median(levels[steps == step])) for step in seen]
    curve = np.interp(np.arange(256), own, medians)
    return curve.astype(np.float32)


def things_on(query: Plane, reference: Plane, inside: NDArray[np.bool_]) -> tuple[tuple[int, int, int, int], ...] | None:
    """Boxes (left, top, right, bottom), px, in which the two differ for good; None if that is nearly everywhere.

    What is only moved a little, or blurred, does not count: a level may lie a few px away in the other picture.
    """
    cv2 = import_cv2()
    a, b = (cv2.GaussianBlur(plane, (0, 0), SOFT) for plane in (query, reference))
    gap = np.maximum(_beyond(a, b), _beyond(b, a))
    gap[~cv2.erode(inside.astype(np.uint8), np.ones((REACH, REACH), np.uint8), borderValue=0).astype(bool)] = 0
    wrong = (gap > STANDS_OUT).astype(np.uint8)
    count, label = cv2.connectedComponents(cv2.dilate(wrong, np.ones((APART, APART), np.uint8)), connectivity=8)
    boxes = [box for number in range(1, count) if (box := _box((label == number) & (wrong > 0))) is not None]
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    return None if len(boxes) > MOST or area > COVERED * inside.sum() else tuple(boxes)


def _beyond(a: Plane, b: Plane) -> Plane:
    # how far a lies outside the levels that b has around there
    cv2, reach = import_cv2(), np.ones((REACH, REACH), np.uint8)
    return np.asarray(np.maximum(0, np.maximum(a - cv2.dilate(b, reach), cv2.erode(b, reach) - a)))


def _box(where: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    rows, columns = np.nonzero(where)
    if len(rows) < SPECK:
        return None
    left, right = int(columns.min()) - PAD, int(columns.max()) + 1 + PAD
    return left, int(rows.min()) - PAD, right, int(rows.max()) + 1 + PAD


def noise_of(query: Plane, reference: Plane, inside: NDArray[np.bool_]) -> Noise | None:
    """How noisy both are where they show least; None if nothing overlaps."""
    shown = tile_means(inside.astype(np.float32)) > 1 - 1e-6
    if not shown.any():
        return None
    fine = [_fine(plane) for plane in (query, reference, query - reference)]
    busy = np.minimum(*(_deviation(plane - rest) for plane, rest in zip((query, reference), fine, strict=False)))[shown]
    calm = busy <= np.percentile(busy, CALM)
    return Noise(*(float(np.median(_deviation(plane)[shown][calm])) for plane in fine))


def _fine(plane: Plane) -> Plane:
    return np.asarray(plane - import_cv2().GaussianBlur(plane, (0, 0), FINE))


def _deviation(plane: Plane) -> Plane:
    mean = tile_means(plane)
    return np.sqrt(np.maximum(tile_means(plane * plane) - mean * mean, 0))


def sharpness_gap(aligned: Aligned, density: float) -> float:
    """Doublings of fine detail that the query has more, of what the px of both can show.

    Args:
        density: px of the coarser file per px of the frame in which both lie.
    """
    shrink = min(1.0, HEADROOM * density)
    high, wide = (max(2 * TILE, round(side * shrink)) for side in aligned.inside.shape)
    cv2 = import_cv2()
    a, b = (cv2.resize(tones, (wide, high), interpolation=cv2.INTER_AREA)
            for tones in (aligned.query, aligned.reference))  # fmt: skip
    inside = cv2.resize(aligned.inside.astype(np.uint8), (wide, high), interpolation=cv2.INTER_NEAREST).astype(bool)
    return sharper_by(replace(aligned, query=a, reference=b, inside=inside))
