"""What stands out where one of two aligned pictures lies on the other: something on it, or something that has moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.in_place import correlation_of
from twinpix.pipeline.second_look.look import Levels, import_cv2
from twinpix.pipeline.second_look.tiles import Plane

BIN, FEW = 8, 8  # levels that are mapped together; px that say nothing
SOFT, REACH = 1.0, 7  # px: sigma that both get; how far off a level may lie
STANDS_OUT = 20.0  # levels
APART = 13  # px between two things
# of a thing that may have moved: how many are sought, px, px around it, levels of structure in it
MOST, SMALLEST, RIM, STRUCTURE = 6, 40, 5, 12.0
# the share of it that lies on another thing, and the correlation there. Of 24 things that were moved 22 reach .82, of
# 102 copies with stickers and captions none .70
ON_ANOTHER, FOUND_AGAIN = 0.5, 0.78


def apart(aligned: Aligned, tones: Sequence[int], sigma: float = SOFT) -> Levels:
    """Where the two differ for good, uint8 (h, w), 0 or 1.

    What is only moved a little, or blurred, does not count: a level may lie a few px away in the other picture. Nor
    does what is at other levels, or was clipped: either is mapped to the levels of the other, and both must differ.

    Args:
        tones: in all of which they must differ (see `Look`).
        sigma: px; both are blurred by it first.
    """
    wrong = import_cv2().erode(aligned.inside.astype(np.uint8), np.ones((REACH, REACH), np.uint8), borderValue=0)
    for gap in _gaps(aligned, tones, sigma):
        wrong &= gap > STANDS_OUT
        if not wrong.any():  # as in most copies after the first
            break
    return np.asarray(wrong)


def single(differing: Levels) -> list[NDArray[np.bool_]]:
    """The things in `apart`, bool (h, w) each: what lies near together is one."""
    cv2, near = import_cv2(), np.ones((APART, APART), np.uint8)
    if not differing.any():
        return []
    count, label = cv2.connectedComponents(cv2.dilate(differing, near), connectivity=8)
    return [(label == number) & (differing > 0) for number in range(1, count)]


def have_moved(aligned: Aligned) -> bool:
    """Whether what stands out in one place of one picture stands out in another place of the other.

    Then it has moved, before a camera that has not. Stickers and captions hide what is nowhere else.
    """
    cv2, tones = import_cv2(), range(aligned.query.shape[2])  # a turned hue changes the luma alone
    large = sorted((one for one in single(apart(aligned, tones)) if one.sum() >= SMALLEST), key=np.sum, reverse=True)[
        :MOST
    ]
    if len(large) < 2:
        return False
    things = [_thing(cv2.dilate(one.astype(np.uint8), np.ones((RIM, RIM), np.uint8))) for one in large]
    query = np.ascontiguousarray(aligned.query[..., 0])
    levelled = level_out(np.ascontiguousarray(aligned.reference[..., 0]), query, aligned.inside)
    a, b = (cv2.GaussianBlur(plane, (0, 0), SOFT) for plane in (query.astype(np.float32), levelled))
    pairs = [(one, other) for one in things for other in things if one is not other]
    return any(_is_again(x, y, *pair) for pair in pairs for x, y in ((a, b), (b, a)))


@dataclass(frozen=True)
class _Thing:
    where: Levels  # of the whole picture
    top: int
    bottom: int
    left: int
    right: int


def _thing(where: Levels) -> _Thing:
    rows, columns = np.nonzero(where)
    return _Thing(where, int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1)


def _is_again(a: Plane, b: Plane, one: _Thing, other: _Thing) -> bool:
    # whether what one picture has at one place is what the other has at the other place
    cv2, box = import_cv2(), np.s_[one.top : one.bottom, one.left : one.right]
    wanted, shape = a[box], one.where[box]
    high, wide = shape.shape
    if wanted[shape > 0].std() < STRUCTURE:  # a piece of sky is found anywhere
        return False
    top, left = max(0, other.top - high // 2), max(0, other.left - wide // 2)
    around = np.s_[top : other.bottom + high // 2 + 1, left : other.right + wide // 2 + 1]
    if b[around].shape[0] < high or b[around].shape[1] < wide:
        return False
    away = cv2.matchTemplate(b[around], wanted, cv2.TM_SQDIFF, mask=shape.astype(np.float32))
    down, across = np.unravel_index(int(away.argmin()), away.shape)
    there = np.s_[down : down + high, across : across + wide]
    lies_on = other.where[around][there][shape > 0].mean()
    found, sought = b[around][there][shape > 0], wanted[shape > 0]
    return bool(lies_on >= ON_ANOTHER and correlation_of(found, sought) >= FOUND_AGAIN)


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
