"""Making the curve from distance to false-match rate, without labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import CANDIDATE_RATE, Calibration, SecondLook, pairs
from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import InputError
from twinpix.pipeline.calibration.negatives import Negatives, Rows, closest_pairs
from twinpix.pipeline.calibration.tail import Tail
from twinpix.pipeline.index import Pairs, select
from twinpix.pipeline.second_look.look_again import look_again
from twinpix.pipeline.second_look.outcome import Outcome

HIGHEST_RATE = CANDIDATE_RATE
POINTS_PER_DECADE = 5
DECADES_BEYOND = 2.0  # never extrapolate farther than two decades below what was seen
SMALLEST_SET = 200  # fewer pictures than this say nothing about rare events
SMALLEST_KIND = 30  # to be shown beside the others: 435 pairs, rates down to 7e-3 seen
PAIRS_OF_A_KIND = 100  # nearest ones; with fewer, some samples of the bootstrap have none to fit a tail to
LOOKED_AT = 20_000  # closest pairs that get a second look, at most
RESAMPLES, BAND = 200, (5, 95)  # bootstrap: how many, and percentiles
_TIE = 1e-5  # L2; how far below a distance that is too near the threshold lies

Labels = NDArray[np.str_]


@dataclass(frozen=True)
class Measured:
    """A calibration and the pairs it rests on; all rows are those of the vectors that were passed.

    Attributes:
        calibration: the curve.
        rows: int (k,), the pictures that are different.
        closest: pairs of those, closest first.
        outcomes: what the second look said of the first of them.
        confirmed: pairs that a second look takes for one picture: left out.
    """

    calibration: Calibration
    rows: Rows
    closest: Pairs
    outcomes: tuple[Outcome, ...]
    confirmed: Pairs


def calibrate(
    vectors: NDArray[np.float32],
    source: str,
    pictures: Sequence[ImageLike] | None = None,
    sets: Rows | None = None,
    labels: Labels | None = None,
) -> Calibration:
    """Measure the false-match rate of an encoder on pictures that are all different.

    The measured part counts pairs. Below it a tail (`twinpix.pipeline.calibration.tail`) reaches at most two decades
    further.

    Args:
        vectors: float32 (n, dim), n pictures without near twins, not trained on.
        source: what they are, for people.
        pictures: the n pictures themselves; the nearest of their pairs then get a second look, and where it finds
            one picture twice, one of the two is left out.
        sets: int (n,), the photo set that each is from, -1 to leave it out (`twinpix.pipeline.calibration.negatives`).
        labels: str (n,), the kind of each picture; kinds of 30 pictures or more get a curve of their own.

    Raises:
        InputError: fewer than 200 different pictures.
    """
    return measure(vectors, source, pictures, sets, labels).calibration


def measure(
    vectors: NDArray[np.float32],
    source: str,
    pictures: Sequence[ImageLike] | None = None,
    sets: Rows | None = None,
    labels: Labels | None = None,
    apart: Collection[tuple[int, int]] = (),
) -> Measured:
    """`calibrate`, with the pairs that the curve rests on.

    Args:
        apart: rows i < j that are different pictures whatever a second look says: a person has said so.
    """
    sets = np.zeros(len(vectors), np.intp) if sets is None else sets
    rows = np.flatnonzero(sets >= 0)
    check_enough(len(rows))
    looked, outcomes = _look(vectors, rows, pictures)
    named = zip(looked[0].tolist(), looked[1].tolist(), outcomes, strict=True)
    confirmed = select(looked, np.array([o is Outcome.CONFIRMED and (i, j) not in apart for i, j, o in named], bool))
    rows = one_of_each_pair(rows, confirmed)
    negatives = Negatives(closest_pairs(vectors[rows], HIGHEST_RATE), sets[rows])
    i, j, distance = negatives.closest
    closest = rows[i], rows[j], distance
    known = dict(zip(zip(looked[0].tolist(), looked[1].tolist(), strict=True), outcomes, strict=True))
    seen = _first_known([known.get(pair) for pair in zip(closest[0].tolist(), closest[1].tolist(), strict=True)])
    curve = replace(
        draw_curve(negatives, source),
        second_look=None if pictures is None else _count(seen, closest[2]),
        told_apart=_without_confirmed(negatives, source, seen),
        classes=() if labels is None else _class_curves(vectors[rows], sets[rows], labels[rows]),
    )
    return Measured(curve, rows, closest, seen, confirmed)


def check_enough(pictures: int) -> None:
    """Raises InputError if there are too few different pictures to calibrate on."""
    if pictures < SMALLEST_SET:
        raise InputError(f"calibration needs at least {SMALLEST_SET} different pictures, not {pictures}")


def _look(
    vectors: NDArray[np.float32], rows: Rows, pictures: Sequence[ImageLike] | None
) -> tuple[Pairs, tuple[Outcome | None, ...]]:
    if pictures is None:
        return (np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)), ()
    i, j, distance = closest_pairs(vectors[rows], HIGHEST_RATE)
    i, j, distance = i[:LOOKED_AT], j[:LOOKED_AT], distance[:LOOKED_AT]
    near = select((rows[i], rows[j], distance), np.lexsort((j, i)))  # by file, so that they are read less often
    return near, look_again(pictures, near)


def one_of_each_pair(rows: Rows, same: Pairs) -> Rows:
    """The rows without the second of each pair that shows one picture, unless its first has gone already."""
    gone: set[int] = set()
    for i, j in sorted(zip(same[0].tolist(), same[1].tolist(), strict=True)):
        if i not in gone:
            gone.add(j)
    return np.array([row for row in rows.tolist() if row not in gone], np.intp)


def _first_known(outcomes: list[Outcome | None]) -> tuple[Outcome, ...]:
    known = []
    for outcome in outcomes:
        if outcome is None:
            break
        known.append(outcome)
    return tuple(known)


def _count(outcomes: tuple[Outcome, ...], distance: NDArray[np.float32]) -> SecondLook:
    wrong = tuple(distance[_confirmed(outcomes)].tolist())
    unclear, likely = outcomes.count(Outcome.UNCLEAR), outcomes.count(Outcome.LIKELY)
    return SecondLook(len(outcomes), len(wrong), unclear, likely, wrong)


def _without_confirmed(negatives: Negatives, source: str, outcomes: tuple[Outcome, ...]) -> Calibration | None:
    wrong = _confirmed(outcomes)
    left = np.delete(np.arange(len(negatives.closest[2])), wrong)
    return draw_curve(replace(negatives, closest=select(negatives.closest, left)), source) if len(wrong) else None


def _confirmed(outcomes: tuple[Outcome, ...]) -> Rows:
    return np.flatnonzero(np.array([outcome is Outcome.CONFIRMED for outcome in outcomes], bool))


def _class_curves(vectors: NDArray[np.float32], sets: Rows, labels: Labels) -> tuple[Calibration, ...]:
    names, sizes = np.unique(labels, return_counts=True)
    curves = []
    for name in names[sizes >= SMALLEST_KIND].tolist():
        mine = labels == name
        near = closest_pairs(vectors[mine], max(HIGHEST_RATE, PAIRS_OF_A_KIND / pairs(int(mine.sum()))))
        curves.append(draw_curve(Negatives(near, sets[mine]), name))
    return tuple(curves)


def draw_curve(negatives: Negatives, source: str) -> Calibration:
    """The curve of these pairs, with a band from a bootstrap over pictures (Efron 1979), 5th to 95th percentile."""
    once = np.ones(len(negatives.sets), np.int64)
    weights = negatives.weights(once)
    reached, tail = np.cumsum(weights), negatives.tail(weights)
    measured_from = float(reached[2])  # three pairs: fewer say next to nothing about a rate
    rates = _rate_grid(measured_from, min(HIGHEST_RATE, float(reached[-1])))
    near = negatives.closest[2]
    distances = [_quantile(near, reached, r) if r >= measured_from else tail.distance(r) for r in rates]
    ascending = np.minimum.accumulate(np.array(distances)[::-1])[::-1].clip(0)  # the two parts may not cross
    low, high = _band(negatives, ascending, rates, measured_from, tail)
    return Calibration(
        distances=tuple(ascending.tolist()),
        rates=tuple(rates.tolist()),
        measured_from=measured_from,
        pictures=len(negatives.sets),
        source=source,
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )


def _rate_grid(measured_from: float, highest: float) -> NDArray[np.float64]:
    lowest = np.log10(measured_from) - DECADES_BEYOND
    points = int(np.ceil((np.log10(highest) - lowest) * POINTS_PER_DECADE)) + 1
    return np.unique(np.append(np.logspace(lowest, np.log10(highest), points), measured_from))


def _quantile(distance: NDArray[np.float32], reached: NDArray[np.float64], rate: float) -> float:
    # the distance within which at most `rate` of all pairs lie; where distances are few (Hamming), that of the
    # last pair allowed may be that of many others, too
    over = int(np.searchsorted(reached, rate * (1 + 1e-9), side="right"))
    between = float(np.interp(rate, reached, distance))
    return min(between, float(distance[over]) - _TIE) if over < len(distance) else between


def _band(
    negatives: Negatives, distances: NDArray[np.float64], rates: NDArray[np.float64], measured_from: float, tail: Tail
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    dice, n, near = np.random.default_rng(0), len(negatives.sets), negatives.closest[2]
    members = [np.flatnonzero(negatives.sets == one) for one in np.unique(negatives.sets)]
    within = np.searchsorted(near, distances, side="right")
    drawn = np.empty((RESAMPLES, len(rates)))
    for sample in drawn:
        rows = np.concatenate([dice.choice(mine, len(mine)) for mine in members])
        counts = np.bincount(rows, minlength=n)
        weights = negatives.weights(counts)
        reached = np.cumsum(np.append(0, weights))
        # where one picture is in all of the closest pairs, a sample without it has no tail of its own
        own = negatives.tail(weights) if weights.any() else tail
        sample[:] = np.where(rates >= measured_from, reached[within], _tail_rates(own, distances))
    low, high = np.percentile(drawn, BAND, axis=0)
    return np.minimum(low, rates), np.maximum(high, rates)


def _tail_rates(tail: Tail, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([tail.rate(distance) for distance in distances.tolist()])
