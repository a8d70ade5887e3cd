"""twinpix as find-duplicates works, as one of the methods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.bench import looked as room
from twinpix.pipeline.bench.contestants import encoder_method
from twinpix.pipeline.bench.looked import SecondLooked
from twinpix.pipeline.limits import Limits, limits
from twinpix.pipeline.second_look.outcome import Outcome

Paint = Callable[..., Image.Image]
LIMITS = Limits(candidate=0.8, unverified=0.4, sure=0.1)


def contestant(encoder: OnnxEncoder, vectors: NDArray[np.float32], pictures: list[Image.Image]) -> SecondLooked:
    return SecondLooked("twinpix", encoder_method("embedding", "alone", encoder, 3), pictures, vectors, LIMITS)


def test_scores(encoder: OnnxEncoder) -> None:
    C, R, U = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNCLEAR
    distances = np.array([0.05, 0.8, 0.2, 0.3, 0.5, 0.2], np.float32)
    outcomes = np.array([C, C, C, U, U, R], object)
    scores = contestant(encoder, np.empty((0, 2), np.float32), [])._score(distances, outcomes)
    # a confirmed pair counts as much nearer as its threshold is wider; refuted, or unclear and far: never
    assert scores == pytest.approx([0.025, 0.4, 0.1, 0.3, np.inf, np.inf])


def test_originals_copies_and_many(encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch, paint: Paint) -> None:
    vectors = np.array([[0, 0], [0.5, 0], [5, 5]], np.float32)
    monkeypatch.setattr(room, "look_again", lambda pictures, pairs, looking, far: [Outcome.CONFIRMED] * len(pairs[0]))
    one = contestant(encoder, vectors, [paint(seed, 64, 48) for seed in range(3)])
    unrelated = one.unrelated()
    assert [unrelated.scores.at(rank) for rank in range(len(unrelated.scores))] == pytest.approx([0.25])
    assert unrelated.pairs == 3
    many = one.to_many([paint(9, 64, 48)], np.array([[0, 0.05]], np.float32), np.array([0, 2]))
    assert many[0].tolist() == pytest.approx([0.025, np.inf])


def test_the_second_look_really_looks(encoder: OnnxEncoder) -> None:
    dice = np.random.default_rng(0)
    pictures = [
        Image.fromarray(dice.integers(0, 256, (24, 24, 3), dtype=np.uint8)).resize((192, 192)) for _ in range(4)
    ]
    method = encoder_method("embedding", "alone", encoder, 4)
    limit = limits(encoder, 4, None, True)
    one = SecondLooked("twinpix", method, pictures, method.encode(pictures), limit)
    rows, copies = np.arange(2), [pictures[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.new("RGB", (99, 99))]
    scores = one.to_own(rows, copies, method.encode(copies))
    assert scores[0] <= limit.unverified
    assert scores[1] == np.inf
