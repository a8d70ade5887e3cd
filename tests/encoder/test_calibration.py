"""Thresholds read from the curve."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from twinpix.encoder.calibration import CANDIDATE_RATE, PAIR_RATE, Calibration, SecondLook, pairs, read_calibration
from twinpix.encoder.errors import InputError, ModelError
from twinpix.encoder.onnx import OnnxEncoder

CURVE = Calibration((0.2, 0.4, 0.5, 0.8), (1e-8, 1e-6, 1e-5, 1e-2), 1e-6, 3000, "made up")


def test_pairs() -> None:
    assert [pairs(n) for n in (0, 1, 2, 3, 1000)] == [0, 0, 1, 3, 499_500]


def test_known_points() -> None:
    for distance, rate in zip(CURVE.distances, CURVE.rates, strict=True):
        assert CURVE.threshold(rate) == pytest.approx(distance)
        assert CURVE.rate(distance) == pytest.approx(rate)


def test_between_points_the_logarithm_is_linear() -> None:
    assert CURVE.threshold(1e-7) == pytest.approx(0.3)
    assert CURVE.rate(0.3) == pytest.approx(1e-7)


def test_clamped_at_both_ends() -> None:
    assert CURVE.threshold(1e-12) == 0.2
    assert CURVE.threshold(0.5) == 0.8
    assert CURVE.rate(0.0) == pytest.approx(1e-8)
    assert CURVE.rate(2.0) == pytest.approx(1e-2)


@pytest.mark.parametrize("rate", [0, -1, 1.5, float("nan"), float("inf")])
def test_a_rate_lies_between_0_and_1(rate: float) -> None:
    with pytest.raises(InputError):
        CURVE.threshold(rate)


def test_pair_threshold() -> None:
    assert CURVE.pair_threshold == CURVE.threshold(1e-6)
    assert PAIR_RATE == 1e-6


def test_library_threshold_falls_with_size_and_never_exceeds_the_pair_threshold() -> None:
    limits = [CURVE.library_threshold(n) for n in (0, 1, 2, 100, 1415, 2000, 5000, 14_000, 20_000, 10**9)]
    assert limits[:4] == [CURVE.pair_threshold] * 4
    assert limits == sorted(limits, reverse=True)
    assert limits[-1] == limits[-2] == 0.2


@pytest.mark.parametrize("images", [2000, 5000, 14_000])
def test_about_one_false_pair_where_the_curve_reaches(images: int) -> None:
    assert CURVE.false_pairs(CURVE.library_threshold(images), images) == pytest.approx(1, rel=1e-6)
    assert not CURVE.is_clamped(images)


def test_beyond_the_curve_the_expected_number_says_so() -> None:
    assert CURVE.is_clamped(20_000)
    assert CURVE.false_pairs(CURVE.library_threshold(20_000), 20_000) == pytest.approx(1e-8 * pairs(20_000))


def test_a_second_look_is_affordable_for_so_many_pairs() -> None:
    assert CURVE.candidate_threshold(2) == CURVE.threshold(CANDIDATE_RATE)
    for images in (2000, 500_000):
        expected = CURVE.false_pairs(CURVE.candidate_threshold(images), images)
        assert expected == pytest.approx(max(10_000, images / 20), rel=1e-6)
    thresholds = [CURVE.candidate_threshold(n) for n in (2, 100, 1000, 10_000, 10**6, 10**9)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] == CURVE.library_threshold(10**9)


def test_false_pairs_after_a_second_look() -> None:
    seen = replace(CURVE, second_look=SecondLook(pairs=1000, confirmed=5, unclear=200))
    expected = (1e-2 * 0.005 + 1e-6 * 0.2) * pairs(500)
    assert seen.verified_false_pairs(0.8, 0.6, 0.4, 500) == pytest.approx(expected)
    assert CURVE.verified_false_pairs(0.8, 0.6, 0.4, 500) == pytest.approx(1e-2 * pairs(500))


def test_seeing_no_false_pair_is_no_proof_of_none() -> None:
    look = SecondLook(pairs=300, confirmed=0, unclear=1)
    assert (look.confirmed_share, look.unclear_share) == (0.01, 0.01)
    assert SecondLook(0, 0, 0).confirmed_share == 1


def test_worn_copies_are_accepted_as_far_as_different_pictures_seldom_seem_so() -> None:
    plain = CURVE.library_threshold(100)
    assert CURVE.likely_threshold(100) == plain, "not measured"
    seldom = replace(CURVE, second_look=SecondLook(10_000, 0, 50, 0))
    often = replace(CURVE, second_look=SecondLook(10_000, 0, 50, 5_000))
    assert plain < often.likely_threshold(100) < seldom.likely_threshold(100) <= seldom.candidate_threshold(100)
    rate = min(PAIR_RATE, 1 / pairs(100)) / seldom.second_look.likely_share  # type: ignore[union-attr]
    assert seldom.likely_threshold(100) == min(CURVE.threshold(rate), CURVE.candidate_threshold(100))
    more = seldom.verified_false_pairs(0.8, 0.6, 0.4, 500) - replace(
        CURVE, second_look=SecondLook(10_000, 0, 50)
    ).verified_false_pairs(0.8, 0.6, 0.4, 500)
    assert more == pytest.approx(CURVE.false_pairs(0.6, 500) * 3 / 10_000)


@pytest.mark.parametrize(
    "second", [None, SecondLook(1000, 5, 200), SecondLook(1000, 5, 200, 7), SecondLook(1000, 2, 200, 7, (0.1, 0.4))]
)
def test_round_trip_through_json(second: SecondLook | None) -> None:
    curve = replace(CURVE, second_look=second)
    assert read_calibration(json.loads(json.dumps(curve.to_dict()))) == curve


@pytest.mark.parametrize(
    "change",
    [
        {"distances": [0.1]},
        {"distances": []},
        {"distances": [0.4, 0.2, 0.5, 0.8]},
        {"distances": [0.1, float("nan"), 0.5, 0.8]},
        {"rates": [0, 1e-6, 1e-5, 1e-2]},
        {"rates": "abcd"},
        {"rates": None},
        {"pictures": "many"},
        {"measured_from": None},
        {"second_look": {"pairs": 3}},
        {"second_look": {"pairs": 3, "confirmed": 1, "unclear": 0, "wrong": 0.1}},
        {"told_apart": {}},
        {"second_look": 3},
    ],
)
def test_damaged_values_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="damaged"):
        read_calibration(CURVE.to_dict() | change)


@pytest.mark.parametrize("key", ["distances", "rates", "measured_from", "pictures", "source"])
def test_missing_values_are_refused(key: str) -> None:
    values = CURVE.to_dict()
    del values[key]
    with pytest.raises(ModelError):
        read_calibration(values)


def test_the_shipped_curve_is_monotone(encoder: OnnxEncoder) -> None:
    curve = encoder.calibration
    rates = np.logspace(-9, 0, 200)
    thresholds = [curve.threshold(rate) for rate in rates]
    assert thresholds == sorted(thresholds)
    back = [curve.rate(distance) for distance in np.linspace(0, 2, 200)]
    assert back == sorted(back)
    assert 0 < curve.pair_threshold < 2


# -- the band and the classes: not in older models

LATER = replace(CURVE, low=(0.0, 1e-7, 1e-6, 1e-3), high=(1e-7, 1e-5, 1e-4, 1e-1),
                classes=(replace(CURVE, source="document", pictures=210),),
                told_apart=replace(CURVE, distances=(0.3, 0.4, 0.5, 0.8)))  # fmt: skip


def test_the_band_and_the_classes_round_trip() -> None:
    assert read_calibration(json.loads(json.dumps(LATER.to_dict()))) == LATER


def test_older_values_are_read() -> None:
    assert not {"low", "high", "classes", "told_apart"} & CURVE.to_dict().keys()
    assert read_calibration(CURVE.to_dict()) == CURVE
    look = {"pairs": 1000, "confirmed": 3, "unclear": 7, "likely": 0}
    assert read_calibration(CURVE.to_dict() | {"second_look": look}).second_look == SecondLook(1000, 3, 7, 0)


@pytest.mark.parametrize(
    "change", [{"low": [1.0]}, {"high": "abcd"}, {"high": 3}, {"classes": [{}]}, {"classes": [3]}, {"classes": 3}]
)
def test_a_damaged_band_or_class_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="damaged"):
        read_calibration(LATER.to_dict() | change)


@pytest.mark.parametrize("wanted", [0.1, 1, 10])
def test_as_many_false_pairs_as_wanted(wanted: float) -> None:
    for images in (2000, 4000):
        assert CURVE.false_pairs(CURVE.library_threshold(images, wanted), images) == pytest.approx(wanted, rel=1e-6)
    small = CURVE.rate(CURVE.library_threshold(5, wanted))
    assert small == pytest.approx(min(CURVE.rates[-1], wanted / pairs(5))), "taken at its word"
    assert CURVE.rate(CURVE.library_threshold(5)) == pytest.approx(PAIR_RATE), "without a number never that loose"


def test_candidates_are_fewer_where_less_than_one_false_pair_is_wanted() -> None:
    limits = [CURVE.candidate_threshold(5000, wanted) for wanted in (0.01, 0.1, 1, 10)]
    assert limits[0] < limits[1] < limits[2] == limits[3]
