"""Salt and pepper is found and taken out, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.specks import _medians, without_specks

Paint = Callable[..., Image.Image]
Levels = NDArray[np.uint8]


def sprinkled(clean: Levels, share: float, each_channel: bool) -> Levels:
    """Salt and pepper, half of each, on all channels at once or on each by itself."""
    dice = np.random.default_rng(0).random((*clean.shape[:2], 3 if each_channel else 1))
    return np.where(dice < share / 2, 0, np.where(dice > 1 - share / 2, 255, clean)).astype(np.uint8)


@pytest.mark.parametrize("each_channel", [False, True])
@pytest.mark.parametrize("share", [0.01, 0.03, 0.1])
def test_noise_is_taken_out(share: float, each_channel: bool, paint: Paint) -> None:
    clean = np.asarray(paint(1)) // 2 + 60
    noisy = sprinkled(clean, share, each_channel)
    healed = without_specks(noisy)
    assert np.abs(healed.astype(int) - clean).mean() < np.abs(noisy.astype(int) - clean).mean() / 20
    untouched = noisy == clean
    assert np.array_equal(healed[untouched], clean[untouched]), "what is no speck stays"


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 2), (300, 1)])
def test_any_shape(shape: tuple[int, int]) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert without_specks(levels).shape == levels.shape


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_areas_are_no_noise(level: int, paint: Paint) -> None:
    levels = np.array(paint(1))
    levels[40:200, 50:250] = level
    assert without_specks(levels) is levels


def test_the_input_is_not_changed(paint: Paint) -> None:
    noisy = sprinkled(np.asarray(paint(1)) // 2 + 60, 0.1, False)
    before = noisy.copy()
    without_specks(noisy)
    assert np.array_equal(noisy, before)


def test_an_encoder_does_not_see_it(encoder: OnnxEncoder, paint: Paint) -> None:
    clean = Image.fromarray(np.asarray(paint(1, 400, 300)) // 2 + 60)
    noisy = Image.fromarray(sprinkled(np.asarray(clean), 0.1, False))
    assert encoder.preprocess.despeckle
    assert np.linalg.norm(encoder(clean) - encoder(noisy)) < 0.1
    plain, clever = Preprocess(96), Preprocess(96, despeckle=True)
    far, near = (np.abs(p(noisy).astype(int) - p(clean)).mean() for p in (plain, clever))
    assert near < far / 5


@pytest.mark.parametrize("window", [3, 5])
def test_medians_are_those_of_every_window(window: int) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (17, 23, 2), dtype=np.uint8)
    reach = window // 2
    padded = np.pad(levels, ((reach, reach), (reach, reach), (0, 0)), "edge")
    places = [(y, x, c) for y in range(17) for x in range(23) for c in range(2)]
    naive = [np.median(padded[y : y + window, x : x + window, c]) for y, x, c in places]
    assert np.array_equal(_medians(levels, np.arange(levels.size), window), naive)
