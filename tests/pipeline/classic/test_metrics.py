"""Each metric finds a copy nearer than another picture, and speaks its own scale."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from twinpix.encoder.cnn import RANDOM
from twinpix.encoder.errors import InputError
from twinpix.pipeline.classic import cli
from twinpix.pipeline.classic.compare import compare_by
from twinpix.pipeline.classic.metrics import METRICS, Metric, choose

Paint = Callable[..., Image.Image]
PACKAGES = {"pdq": "pdqhash", "pdq8": "pdqhash", "cnn-euclidean": "torch", "cnn-cosine": "torch",
            "euclidean": "numpy", "cosine": "numpy", "ssim": "numpy"}  # fmt: skip


@pytest.fixture(params=METRICS, scope="module")
def metric(request: Any) -> Metric:
    """Each metric; its encoder is made once."""
    pytest.importorskip(PACKAGES.get(request.param, "imagehash"))
    known = METRICS[request.param]
    return replace(known, make=functools.cache(known.make))


def test_the_same_picture(metric: Metric, paint: Paint) -> None:
    said = compare_by(metric, paint(1), paint(1))
    assert said.is_duplicate
    rounding = 1e-4 if metric.name.startswith("cnn") else 0  # torch computes two pictures of a batch differently
    assert abs(said.value - (1 if metric.bounds[0] < 0 else 0)) <= rounding
    assert said.metric.removesuffix(f" ({RANDOM})") == metric.name


def test_a_copy_is_nearer_than_another_picture(metric: Metric, paint: Paint) -> None:
    small = paint(1).resize((200, 150))
    copy, other = (compare_by(metric, paint(1), picture) for picture in (small, paint(2)))
    assert metric.to_distance(copy.value) < metric.to_distance(other.value)
    assert (copy.value > other.value) == metric.scale.endswith("larger is closer")
    if metric.name != "colorhash":
        assert not other.is_duplicate


def test_values_and_distances_are_two_names_of_one_thing(metric: Metric) -> None:
    low, high = metric.bounds
    top = high if math.isfinite(high) else 50
    values = [low + (top - low) * k / 7 for k in range(8)]
    if metric.scale.startswith("Hamming"):
        values = [float(round(value)) for value in values]
    for value in (*values, metric.threshold):
        assert metric.from_distance(metric.to_distance(value)) == pytest.approx(value, abs=1e-6)
    distances = [metric.to_distance(value) for value in values]
    assert distances == sorted(distances, reverse=metric.scale.endswith("larger is closer"))


def test_hamming_distances_at_the_threshold_are_within() -> None:
    import numpy as np

    for name, metric in METRICS.items():
        if not metric.scale.startswith("Hamming"):
            continue
        for bits in range(1, int(metric.bounds[1]) + 1):
            vectors = np.zeros((2, 2048 if name == "pdq8" else 256), np.float32)
            vectors[1].reshape(-1, 256)[:, :bits] = 1
            found = metric.distances(vectors[:1], vectors[1:])[0, 0]
            assert np.float32(metric.limit(bits)) == found
            assert metric.from_distance(float(found)) == bits


def test_thresholds_outside_the_scale(metric: Metric) -> None:
    for value in (metric.bounds[0] - 0.1, metric.bounds[1] + 0.1, math.nan):
        if value != math.inf:
            with pytest.raises(InputError, match=metric.name):
                metric.limit(value)


def test_a_mirrored_picture_is_found_by_pdq8_alone(paint: Paint) -> None:
    pytest.importorskip("pdqhash")
    mirrored = paint(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert not compare_by(METRICS["pdq"], paint(1), mirrored).is_duplicate
    assert compare_by(METRICS["pdq8"], paint(1), mirrored).is_duplicate
    assert compare_by(METRICS["pdq8"], mirrored, paint(1)).is_duplicate


def test_choose() -> None:
    assert choose("phash") is METRICS["phash"]
    with pytest.raises(InputError, match="choose from euclidean, cosine, ssim"):
        choose("PHASH")
    with pytest.raises(InputError, match="phash has none"):
        choose("phash", "weights.pth")
    with pytest.raises(InputError, match="pass a --threshold"):
        choose("cnn-euclidean", "weights.pth").limit()
    assert choose("cnn-cosine", "weights.pth").limit() == pytest.approx(0.2**0.5)


def test_the_help_names_every_metric() -> None:
    assert ", ".join(METRICS) == cli.NAMES
    assert "NAMES" in inspect.getsource(cli.compare)
