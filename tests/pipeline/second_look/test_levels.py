"""Aligned pictures at one set of levels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.pipeline.second_look.agreement import agree
from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.levels import at_one_set_of_levels

Paint = Callable[..., Image.Image]


def laid(query: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Aligned:
    """Two pictures of one size, one on the other."""
    return Aligned(query, reference, np.ones(query.shape[:2], bool))


@pytest.fixture
def detailed(paint: Paint) -> NDArray[np.uint8]:
    return np.asarray(paint(3, 384, 288, cells=40))


def test_what_one_has_clipped_no_longer_contradicts(detailed: NDArray[np.uint8]) -> None:
    bright = np.minimum(detailed.astype(int) * 3, 240).astype(np.uint8)
    before = agree(laid(detailed, bright))
    after = [agree(pair) for pair in at_one_set_of_levels(laid(detailed, bright))]
    assert before.agreeing < 0.9
    assert max(one.agreeing for one in after) > 0.97


def test_other_things_still_disagree(detailed: NDArray[np.uint8], paint: Paint) -> None:
    other = np.asarray(paint(4, 384, 288, cells=40))
    for pair in at_one_set_of_levels(laid(detailed, other)):
        assert agree(pair).agreeing < 0.2


def test_a_negative_is_not_turned(detailed: NDArray[np.uint8]) -> None:
    for pair in at_one_set_of_levels(laid(detailed, 255 - detailed)):
        assert agree(pair).agreeing < 0.1


def test_pictures_that_do_not_overlap(detailed: NDArray[np.uint8]) -> None:
    apart = Aligned(detailed, detailed, np.zeros(detailed.shape[:2], bool))
    assert list(at_one_set_of_levels(apart)) == []
