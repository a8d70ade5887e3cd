"""µAP and recall at 1 on scores with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.pipeline.bench.ranking import NO_MATCH, average_precision, recall_at_1


def scores(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


MATCH = np.array([0, 1, NO_MATCH])


def test_a_perfect_ranking() -> None:
    found = scores([0.1, 0.9, 0.8], [0.9, 0.2, 0.9], [0.5, 0.6, 0.7])
    assert average_precision(found, MATCH) == 1
    assert recall_at_1(found, MATCH) == 1


def test_a_query_without_a_match_costs_precision() -> None:
    # ranked: right .1, wrong .15 (of the query without a match), right .2
    found = scores([0.1, 0.9, 0.8], [0.9, 0.2, 0.9], [0.15, 0.6, 0.7])
    assert average_precision(found, MATCH) == pytest.approx((1 + 2 / 3) / 2)
    assert recall_at_1(found, MATCH) == 1


def test_ties_count_against_the_method() -> None:
    found = scores([0.1, 0.1, 0.8], [0.9, 0.2, 0.9], [0.5, 0.6, 0.7])
    assert average_precision(found, MATCH) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert recall_at_1(found, MATCH) == 0.5
    same = np.zeros((3, 3), np.float32)
    assert average_precision(same, MATCH) == pytest.approx((1 / 8 + 2 / 9) / 2)
    assert recall_at_1(same, MATCH) == 0


def test_what_is_never_compared_is_not_found() -> None:
    found = np.full((3, 3), np.inf, np.float32)
    assert average_precision(found, MATCH) == recall_at_1(found, MATCH) == 0
    found[0, 0] = 1.9
    assert average_precision(found, MATCH) == recall_at_1(found, MATCH) == 0.5


def test_nothing_to_find() -> None:
    nothing = np.array([NO_MATCH, NO_MATCH])
    assert average_precision(np.zeros((2, 2), np.float32), nothing) == 0
    assert recall_at_1(np.zeros((2, 2), np.float32), nothing) == 0


@pytest.mark.parametrize("seed", range(5))
def test_against_the_definition(seed: int) -> None:
    dice = np.random.default_rng(seed)
    found = dice.integers(0, 6, (7, 9)).astype(np.float32)
    match = np.array([*dice.integers(0, 9, 4), NO_MATCH, NO_MATCH, NO_MATCH])
    ranked = sorted((found[q, r], match[q] == r) for q in range(7) for r in range(9))
    hits, total = 0, 0.0
    for place, (_, right) in enumerate(ranked, 1):
        hits += right
        total += right * hits / place
    assert average_precision(found, match) == pytest.approx(total / 4)
