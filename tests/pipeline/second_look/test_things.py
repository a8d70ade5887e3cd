"""A thing that went from one side to the other, before a camera on a tripod, and what only looks like it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from twinpix.pipeline.second_look.look import look
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import verify

Paint = Callable[..., Image.Image]
BALL = 64


def noisy(picture: Image.Image, seed: int) -> Image.Image:
    levels = np.asarray(picture, np.float32)
    return Image.fromarray((levels + np.random.default_rng(seed).normal(0, 3, levels.shape)).clip(0, 255).astype("u1"))


def with_balls(picture: Image.Image, *balls: tuple[Image.Image, int, int]) -> Image.Image:
    mask = Image.new("L", (BALL, BALL))
    ImageDraw.Draw(mask).ellipse([0, 0, BALL - 1, BALL - 1], fill=255)
    found = picture.copy()
    for ball, left, top in balls:
        found.paste(ball.resize((BALL, BALL)), (left, top), mask)
    return found


@pytest.fixture(params=["astronaut", "chelsea", "coffee"])
def picture(request: pytest.FixtureRequest) -> Image.Image:
    return Image.fromarray(getattr(data, request.param)()).resize((640, 448))


def test_a_thing_on_the_other_side_has_moved(picture: Image.Image, paint: Paint) -> None:
    ball = paint(3, 80, 80, 20)
    here, there = noisy(with_balls(picture, (ball, 60, 300)), 0), noisy(with_balls(picture, (ball, 480, 60)), 1)
    for brighter in (1.0, 1.2):
        changed = there.point(lambda level, by=brighter: min(255, round(by * level)))
        assert verify(look(here), look(changed)) is Outcome.REFUTED
        assert verify(look(changed), look(here)) is Outcome.REFUTED


def test_stickers_have_not(picture: Image.Image, paint: Paint) -> None:
    ball, other = paint(3, 80, 80, 20), paint(5, 80, 80, 20)
    for second in (ball, other):
        edited = with_balls(picture, (ball, 60, 300), (second, 480, 60))
        assert verify(look(picture), look(edited)) is Outcome.CONFIRMED
