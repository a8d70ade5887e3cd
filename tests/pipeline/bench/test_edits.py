"""The edits that measurements use do what their names say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.pipeline.bench.edits import (
    CARD,
    OTHER,
    UNSEEN_FAMILIES,
    Edit,
    chain,
    gamma,
    grey,
    jitter,
    jpeg,
    mirror,
    pad,
    perspective,
    pixelate,
    salt_and_pepper,
    shrink,
    zoom,
)

Paint = Callable[..., Image.Image]
EDITS = (*CARD, *OTHER)


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def levels(picture: Image.Image) -> NDArray[np.int16]:
    return np.asarray(picture).astype(np.int16)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
@pytest.mark.parametrize("size", [(320, 240), (33, 40)])
def test_every_edit_changes_the_picture_and_repeats_with_the_same_seed(
    edit: Edit, size: tuple[int, int], paint: Paint
) -> None:
    picture = paint(1, *size)
    before = levels(picture)
    edited, again = edit.apply(picture, dice()), edit.apply(picture, dice())
    assert edited.mode == "RGB"
    assert np.array_equal(levels(edited), levels(again))
    assert edited.size != size or not np.array_equal(levels(edited), before)
    assert np.array_equal(levels(picture), before), "the original is left alone"


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_the_smallest_picture_survives(edit: Edit) -> None:
    assert edit.apply(Image.new("RGB", (1, 1)), dice()).mode == "RGB"


def test_the_card_names_three_edits() -> None:
    assert {edit.family for edit in CARD} == {"zoom", "jitter", "salt-and-pepper", "all three"}
    assert len({edit.name for edit in EDITS}) == len(EDITS)
    assert set(UNSEEN_FAMILIES) <= {edit.family for edit in OTHER}


@pytest.mark.parametrize("factor", [1.25, 1.5])
def test_zoom_keeps_one_over_factor_of_each_side(factor: float) -> None:
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 600).astype(np.uint8)[None, :, None], (400, 1, 3)))
    for seed in range(5):
        row = levels(zoom(factor)(ramp, dice(seed)))[200, :, 0]
        assert len(row) == 600
        assert row[-1] - row[0] == pytest.approx(255 / factor, abs=3)


def test_zoom_goes_to_different_places(paint: Paint) -> None:
    assert not np.array_equal(levels(zoom(1.5)(paint(1), dice(1))), levels(zoom(1.5)(paint(1), dice(2))))


@pytest.mark.parametrize("share", [0.03, 0.1])
def test_salt_and_pepper_shares(share: float) -> None:
    noisy = levels(salt_and_pepper(share)(Image.new("RGB", (500, 400), (100, 110, 120)), dice()))
    salt, pepper = (noisy == 255).all(2).mean(), (noisy == 0).all(2).mean()
    assert salt == pytest.approx(share / 2, rel=0.15)
    assert pepper == pytest.approx(share / 2, rel=0.15)
    assert ((noisy == (100, 110, 120)).all(2).mean() + salt + pepper) == pytest.approx(1)


def test_jitter_of_nothing_changes_almost_nothing(paint: Paint) -> None:
    assert np.abs(levels(jitter(0)(paint(1), dice())) - levels(paint(1))).mean() < 3


def test_jitter_stays_within_its_strength() -> None:
    greys = [levels(jitter(0.3)(Image.new("RGB", (8, 8), (100, 100, 100)), dice(seed))).mean() for seed in range(60)]
    assert 68 <= min(greys) < 80
    assert 120 < max(greys) <= 132


def test_chain_applies_in_order(paint: Paint) -> None:
    both = chain(mirror, shrink(2))(paint(1), dice())
    assert np.array_equal(levels(both), levels(shrink(2)(mirror(paint(1), dice()), dice())))
    assert np.array_equal(levels(chain()(paint(1), dice())), levels(paint(1)))


def test_simple_edits(paint: Paint) -> None:
    picture = paint(1)
    assert np.array_equal(levels(mirror(picture, dice())), levels(picture)[:, ::-1])
    assert (np.ptp(levels(grey(picture, dice())), axis=2) == 0).all()
    assert shrink(4)(picture, dice()).size == (80, 60)
    assert np.array_equal(levels(gamma(1)(picture, dice())), levels(picture))
    assert 0 < np.abs(levels(jpeg(20)(picture, dice())) - levels(picture)).mean() < 12


def test_border(paint: Paint) -> None:
    framed = pad(0.2)(paint(1), dice())
    assert framed.size == (448, 336)
    assert np.array_equal(levels(framed)[48:-48, 64:-64], levels(paint(1)))
    assert levels(framed)[:48].max() == 0


def test_perspective_of_nothing_and_something(paint: Paint) -> None:
    assert np.abs(levels(perspective(0)(paint(1), dice())) - levels(paint(1))).mean() < 2
    assert perspective(0.15)(paint(1), dice()).size == (320, 240)


def test_pixelate_leaves_flat_blocks(paint: Paint) -> None:
    assert len(np.unique(levels(pixelate(32)(paint(1), dice())).reshape(-1, 3), axis=0)) <= 32 * 24
