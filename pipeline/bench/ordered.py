"""Scores in ascending order: all of them, or counted where there are more than memory holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bits = NDArray[np.int32]
Times = NDArray[np.int64]

# Scores from 0 on ascend as their bits do. Those that agree in all but the lower bits share a place: 2048 places an
# octave, so that a place's middle is at most 1/4096 from each of its scores.
LOWER = 12
PLACES = 1 << (31 - LOWER)
MIDDLE, MASK = 1 << (LOWER - 1), (1 << LOWER) - 1


class Ordered(Protocol):
    """Finite scores, ascending."""

    def __len__(self) -> int: ...
    def at(self, rank: int) -> float:
        """The score of a rank; 0 is the smallest."""

    def below(self, limit: float) -> int:
        """How many scores lie below `limit`, not at it."""


@dataclass(frozen=True)
class Sorted:
    """All scores.

    Attributes:
        values: float32, finite, ascending.
    """

    values: Floats

    def __len__(self) -> int:
        return len(self.values)

    def at(self, rank: int) -> float:
        """See `Ordered`."""
        return float(self.values[rank])

    def below(self, limit: float) -> int:
        """See `Ordered`."""
        return int(np.searchsorted(self.values, limit))


@dataclass(frozen=True)
class Tally:
    """Scores by how often they occur: exact in the places that `told_apart` was given, elsewhere a place's middle.

    Attributes:
        values: float32, finite, ascending, each once.
        times: how often each occurs.
    """

    values: Floats
    times: Times

    @cached_property
    def _before(self) -> Times:
        return np.concatenate([[0], np.cumsum(self.times)])

    def __len__(self) -> int:
        return int(self._before[-1])

    def at(self, rank: int) -> float:
        """See `Ordered`."""
        return float(self.values[np.searchsorted(self._before, rank, side="right") - 1])

    def below(self, limit: float) -> int:
        """See `Ordered`."""
        return int(self._before[np.searchsorted(self.values, limit)])


def places_of(scores: Floats) -> Bits:
    """The place of each finite score, 0 to `PLACES` - 1."""
    return _bits(scores) >> LOWER


def times_of(scores: Floats) -> Times:
    """How many finite scores are in each of the `PLACES`."""
    return np.bincount(places_of(scores), minlength=PLACES)


def places_of_ranks(times: Times, ranks: Iterable[int]) -> Bits:
    """The places that the scores of these ranks are in; a rank that no score has gives none."""
    found = np.searchsorted(np.cumsum(times), np.array(list(ranks), np.int64), side="right")
    return found[found < PLACES].astype(np.int32)


def told_apart(times: Times, places: Bits, parts: Iterable[Floats]) -> Tally:
    """A tally that is exact in some places.

    Args:
        times: of all scores, by place.
        places: which ones are exact, ascending, each once.
        parts: the same scores once more.
    """
    within, rest = np.zeros(len(places) << LOWER, np.int64), times.copy()
    rest[places] = 0
    for scores in parts:
        within += _times_within(places, scores)
    seen, left = np.flatnonzero(within), np.flatnonzero(rest)
    bits = np.concatenate([(places[seen >> LOWER] << LOWER) | (seen & MASK), (left << LOWER) + MIDDLE])
    order = np.argsort(bits)
    return Tally(bits[order].astype(np.int32).view(np.float32), np.concatenate([within[seen], rest[left]])[order])


def _times_within(places: Bits, scores: Floats) -> Times:
    # of each score in these places, by the number of its place in `places` and its lower bits
    number = np.full(PLACES, -1, np.int32)
    number[places] = np.arange(len(places))
    bits = _bits(scores)
    numbers = number[bits >> LOWER]
    mine = numbers >= 0
    return np.bincount((numbers[mine] << LOWER) | (bits[mine] & MASK), minlength=len(places) << LOWER)


def _bits(scores: Floats) -> Bits:
    # + 0: a zero has no sign
    return (scores[np.isfinite(scores)] + np.float32(0)).view(np.int32)
