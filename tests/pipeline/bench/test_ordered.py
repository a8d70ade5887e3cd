"""Counted scores beside the same scores in one sorted array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.pipeline.bench.ordered import (
    Floats,
    Sorted,
    Tally,
    places_of,
    places_of_ranks,
    times_of,
    told_apart,
)

RANKS = [0, 1, 7, 2_000, 19_999]
DRAWS: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "even": lambda dice: dice.random(20_000),
    "bits": lambda dice: np.sqrt(dice.integers(0, 64, 20_000)),  # many ties, zeros
    "wide": lambda dice: 10.0 ** dice.uniform(-30, 30, 20_000),
    "one value": lambda dice: np.ones(20_000),
}


def drawn(name: str) -> Floats:
    return np.asarray(DRAWS[name](np.random.default_rng(0)), np.float32)


def tally(scores: Floats, ranks: list[int], limit: float) -> Tally:
    times = times_of(scores)
    places = np.unique(np.concatenate([places_of_ranks(times, ranks), places_of(np.array([limit], np.float32))]))
    return told_apart(times, places, np.array_split(scores, 7))


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("limit", [0.0, 0.5 + 1e-5, 1.0, 3.00001])
def test_exact_where_it_matters(name: str, limit: float) -> None:
    scores = drawn(name)
    known, found = Sorted(np.sort(scores)), tally(scores, RANKS, limit)
    assert len(found) == len(known) == 20_000
    assert [found.at(rank) for rank in RANKS] == [known.at(rank) for rank in RANKS]
    for at in (limit, float("inf"), *(known.at(rank) for rank in RANKS)):
        assert found.below(at) == known.below(at)


@pytest.mark.parametrize("name", DRAWS)
def test_near_everywhere_else(name: str) -> None:
    scores = drawn(name)
    known, found = Sorted(np.sort(scores)), tally(scores, [], 0)
    for rank in range(0, 20_000, 97):
        assert found.at(rank) == pytest.approx(known.at(rank), rel=1 / 4096, abs=1e-30)


def test_only_finite_scores_count_and_a_zero_has_no_sign() -> None:
    found = tally(np.array([np.inf, 0.0, -0.0, np.nan, 2], np.float32), [2, 3, 9], 0)
    assert (len(found), found.at(0), found.at(2), found.below(0), found.below(2)) == (3, 0, 2, 0, 2)


def test_no_score() -> None:
    found = tally(np.empty(0, np.float32), [0, 5], 1)
    assert (len(found), found.below(float("inf"))) == (0, 0)
