"""Scores among originals, their thresholds, and recall, on vectors with known answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.pipeline.bench.edits import Edit, Mean
from twinpix.pipeline.bench.folder import Pictures
from twinpix.pipeline.bench.measure import Scores, measure
from twinpix.pipeline.bench.method import Distances, Floats, Method, Plain, Unrelated
from twinpix.pipeline.bench.ordered import Sorted
from twinpix.pipeline.bench.recall import DEFAULT, TOO_FEW, WHOLE, curve, levels, mean_recall, rate_name, recall
from twinpix.pipeline.calibration.tail import fit_tail
from twinpix.pipeline.classic.distances import l2

Flat = Callable[[Sequence[int]], list[Image.Image]]
Encode = Callable[[Sequence[Image.Image]], NDArray[np.float32]]


def lighter(by: int) -> Edit:
    return Edit("lighter", str(by), lambda picture, dice: picture.point(lambda level: level + by))


def as_pictures(originals: list[Image.Image]) -> Pictures:
    n = len(originals)
    names = tuple(f"{i}.png" for i in range(n))
    return Pictures(names, tuple(originals), np.arange(n), np.arange(1), np.arange(1, 3), tuple(originals[:1]), 0)


def scored(levels_: Sequence[int], edits: list[Edit], flat: Flat, encode: Encode, threshold: float = 0) -> Scores:
    method, originals = Method("mean", "mean", encode, threshold), flat(levels_)
    (one,) = measure([Plain(method, encode(originals))], as_pictures(originals), edits)
    return one


def test_recall_at_a_rate(flat: Flat, mean_level: Encode) -> None:
    # 25 pictures, neighbours 10 apart, 300 pairs: one false match is allowed, so the limit is 10
    one = scored(range(0, 250, 10), [lighter(3), lighter(9), lighter(12)], flat, mean_level)
    level = levels(one.contestant, one.unrelated, [1 / 300])[1]
    assert level.limit == 10
    assert {name: recall(found, level) for name, found in one.by_edit.items()} == {
        "lighter 3": 1.0,
        "lighter 9": 1.0,
        "lighter 12": 0.0,
    }
    assert mean_recall(one.by_edit, Mean("some", ("lighter 9", "lighter 12")), level) == 0.5


def test_ties_count_against_the_method(flat: Flat, mean_level: Encode) -> None:
    one = scored(range(0, 200, 10), [lighter(10)], flat, mean_level)
    assert recall(one.by_edit["lighter 10"], levels(one.contestant, one.unrelated, [1 / 190])[1]) == 0


def test_the_default_threshold_includes_what_lies_at_it(flat: Flat, mean_level: Encode) -> None:
    one = scored(range(0, 200, 10), [lighter(10), lighter(11)], flat, mean_level, threshold=10)
    default = levels(one.contestant, one.unrelated, [])[0]
    assert default.name == DEFAULT
    assert [recall(found, default) for found in one.by_edit.values()] == [1, 0]
    assert default.rate == pytest.approx(19 / 190)  # the neighbours


def test_no_default_and_too_few_pictures_are_named(flat: Flat, mean_level: Encode) -> None:
    contestant = Plain(Method("mean", "mean", mean_level, None), mean_level(flat(range(20))))
    found = levels(contestant, contestant.unrelated(), [1e-2, 1e-4])
    assert [level.missing for level in found] == ["none", "", TOO_FEW, WHOLE]
    assert recall(np.zeros(3, np.float32), found[0]) is None


def test_all_pairs_are_seen_once() -> None:
    vectors = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)  # more than one block
    unrelated = Plain(Method("v", "v", lambda pictures: vectors, None), vectors).unrelated()
    i, j = np.triu_indices(600, 1)
    found = [unrelated.scores.at(rank) for rank in range(len(unrelated.scores))]
    assert np.allclose(found, np.sort(np.linalg.norm(vectors[i] - vectors[j], axis=1)), atol=1e-5)
    nearest = np.sort(l2(vectors, vectors), axis=1)[:, 1]
    assert unrelated.extrapolate is not None
    expected = fit_tail(nearest, np.full(600, 1 / (600 * 599))).distance(1e-7)
    assert unrelated.extrapolate(1e-7) == pytest.approx(expected, rel=1e-4)
    assert unrelated.reaches(1e-7)
    assert not unrelated.reaches(1e-8)


def test_whole_numbers_of_bits_are_not_extrapolated() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (60, 64)).astype(np.float32)
    assert Plain(Method("v", "v", lambda pictures: bits, None), bits).unrelated().extrapolate is None


def test_pairs_that_are_never_compared_count_as_pairs() -> None:
    def learn(originals: Floats) -> Distances:
        def distances(a: Floats, b: Floats) -> Floats:
            found = l2(a, b)
            found[np.sign(a) != np.sign(b).T] = np.inf
            return found

        return distances

    vectors = np.array([[-2], [-1], [1], [2.5]], np.float32)
    unrelated = Plain(Method("v", "v", lambda pictures: vectors, None, learn=learn), vectors).unrelated()
    assert [unrelated.scores.at(rank) for rank in range(len(unrelated.scores))] == [1, 1.5]
    assert unrelated.pairs == 6
    assert unrelated.limit(1 / 6) == 1.5
    assert unrelated.limit(2 / 6) == np.inf


def test_the_curve_is_what_the_levels_say() -> None:
    unrelated = Unrelated(Sorted(np.arange(1, 1001, dtype=np.float32)), 1000)
    copies = np.array([0.5, 1, 10.5, np.inf], np.float32)
    rates, found = curve(unrelated, copies)
    assert rates[0] == pytest.approx(1e-3)
    assert found[0] == 0.5  # below 2, the first that is too many
    assert found[-1] == 0.75
    assert found == sorted(found)


def test_names_of_rates() -> None:
    assert [rate_name(rate) for rate in (1e-6, 1e-4, 0.1, 2.5e-5)] == ["1e-6", "1e-4", "0.1", "2.5e-5"]
    assert "extrapolated" in rate_name(1e-8)
