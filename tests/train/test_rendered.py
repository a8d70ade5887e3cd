"""The project's own pictures: repeatable, all different, none flat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from twinpix.train.data import Pictures, identities
from twinpix.train.rendered import KINDS, LEAST_CONTRAST, render_pictures


@pytest.fixture(scope="module")
def rendered() -> Pictures:
    return render_pictures(120, 96, seed=4)


def test_form(rendered: Pictures) -> None:
    assert rendered.pixels.shape == (120, 3, 96, 96)
    assert rendered.pixels.dtype == torch.uint8
    assert rendered.pixels.is_shared()  # type: ignore[no-untyped-call]
    assert torch.equal(rendered.identity, torch.arange(120))
    assert rendered.names[0] == "rendered/000001"
    assert len(set(rendered.names)) == 120
    assert rendered.skipped == 0


def test_same_seed_same_pictures_whatever_the_number(rendered: Pictures) -> None:
    assert torch.equal(render_pictures(9, 96, seed=4).pixels, rendered.pixels[:9])
    assert not torch.equal(render_pictures(9, 96, seed=5).pixels, rendered.pixels[:9])


def test_no_two_are_near_twins(rendered: Pictures) -> None:
    assert len(identities(rendered.pixels).unique()) == len(rendered)  # type: ignore[no-untyped-call]


def test_none_is_flat(rendered: Pictures) -> None:
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    luma = (rendered.pixels.float() * weights).sum(1).flatten(1)
    assert luma.std(1).min() >= LEAST_CONTRAST - 0.5


def test_together_they_span_light_colour_and_detail(rendered: Pictures) -> None:
    x = rendered.pixels.float()
    level = x.mean((1, 2, 3))
    colour = (x.amax(1) - x.amin(1)).mean((1, 2))
    detail = (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3))
    assert level.min() < 60 and level.max() > 180
    assert colour.min() < 12 and colour.max() > 80
    assert detail.quantile(0.9) > 3 * detail.quantile(0.1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("px", [48, 160])
def test_every_kind_draws_at_any_size(kind: Callable[[np.random.Generator, int], np.ndarray], px: int) -> None:
    for seed in range(4):
        picture = kind(np.random.default_rng(seed), px)
        assert picture.shape == (px, px, 3)
        assert picture.dtype == np.uint8
