"""The edits that measurements use do what their names say."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.pipeline.bench.edits import (
    CARD,
    COPYDAYS,
    HELD_OUT,
    IMAGEDEDUP,
    Edit,
    blur,
    chain,
    collage,
    crop,
    edit_one,
    emoji,
    flip,
    gamma,
    grey,
    half_turn,
    jitter,
    jpeg,
    means,
    mirror,
    noise,
    onto,
    pad,
    perspective,
    pixelate,
    posterize,
    protocol,
    quarter_turn,
    random_chain,
    rotate,
    salt_and_pepper,
    screenshot,
    shrink,
    single_edits,
    square,
    sticker,
    text,
    translate,
    zoom,
)

Paint = Callable[..., Image.Image]
OTHERS = [Image.effect_mandelbrot((80, 60), (-2, -1.5, 1, 1.5), 50).convert("RGB")]
EDITS = protocol(OTHERS)


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


def test_rows_of_the_protocol() -> None:
    names = {edit.name for edit in EDITS}
    assert len(names) == len(EDITS)
    strengths = {
        "zoom": "1.1 1.25 1.5", "jitter": "0.15 0.3 0.6", "salt-and-pepper": "1 3 10", "gaussian noise": "8 16 32",
        "flip": "horizontal vertical", "rotate": "4° 25° 90° 180°", "blur": "1 2 4", "translate": "5 10 20",
        "crop": "80 50 30", "jpeg": "50 20 8", "grayscale": "", "gamma": "1.5 2", "pad": "20", "text": "2",
        "emoji": "1/3", "screenshot": "frame", "overlay": "of onto", "collage": "2x2", "down-scale": "1/4",
        "perspective": "15", "pixelate": "32", "posterize": "3",
    }  # fmt: skip
    single = single_edits(OTHERS)
    found: dict[str, list[str]] = {family: [] for family in strengths}
    for edit in single:
        found[edit.family].append(re.sub("^(sigma|q) ", "", edit.strength).split(" ")[0])
    assert {family: " ".join(rows) for family, rows in found.items()} == strengths
    assert {edit.family for edit in single} == set(strengths)


def test_means_are_explicit() -> None:
    by_name = {mean.name: mean.rows for mean in means(EDITS)}
    assert by_name["card edits"] == tuple(edit.name for edit in CARD)
    assert len(CARD) == 8
    assert {edit.family for edit in CARD} == {"zoom", "jitter", "salt-and-pepper", "all three"}
    assert by_name["all single edits"] == tuple(edit.name for edit in single_edits(OTHERS))
    assert by_name["crop to 30 % of area"] == ("crop 30 % of area",)
    assert by_name["Copydays-like"] == COPYDAYS
    assert by_name["imagededup-like"] == IMAGEDEDUP
    assert {edit.name for edit in EDITS} >= {row for rows in by_name.values() for row in rows}
    held_out = {edit.family for edit in EDITS if edit.is_held_out}
    assert held_out == set(HELD_OUT) == {name.split()[0] for name in by_name["held-out families"]}


def test_held_out_families_are_those_of_the_training() -> None:
    tree = ast.parse((Path(__file__).parents[3] / "train" / "views.py").read_text())  # importing it takes seconds
    assigned = {target.id: node.value for node in tree.body if isinstance(node, ast.Assign)
                for target in node.targets if isinstance(target, ast.Name)}  # fmt: skip
    assert ast.literal_eval(assigned["HELD_OUT"]) == HELD_OUT
    assert len(HELD_OUT) >= 3


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


def test_crop_keeps_its_share_of_the_area(paint: Paint) -> None:
    picture = paint(1)
    for share in (0.8, 0.3):
        cut = [crop(share)(picture, dice(seed)) for seed in range(20)]
        assert all(part.width * part.height == pytest.approx(share * 320 * 240, rel=0.02) for part in cut)
        assert all(part.width / part.height == pytest.approx(4 / 3, rel=0.02) for part in cut)
        assert len({part.tobytes() for part in cut}) > 10, "random places"
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (200, 1, 3)))
    row = levels(crop(0.25)(ramp, dice(1)))[0, :, 0]
    assert np.array_equal(np.diff(row), np.ones(len(row) - 1)), "cut out, not resized"
    assert abs(len(row) - 128) <= 1


def test_turns(paint: Paint) -> None:
    picture = paint(1)
    assert np.array_equal(levels(half_turn(picture, dice())), levels(picture)[::-1, ::-1])
    assert np.array_equal(levels(flip(picture, dice())), levels(picture)[::-1])
    turned = [quarter_turn(picture, dice(seed)) for seed in range(10)]
    assert all(one.size == (240, 320) for one in turned)
    assert len({one.tobytes() for one in turned}) == 2, "to either side"
    tilted = rotate(25)(Image.new("RGB", (200, 100), "white"), dice())
    assert tilted.size == (200, 100)
    assert levels(tilted)[0, 0].max() == 0
    assert levels(tilted)[50, 100].min() == 255


def test_translate_moves_by_its_share(paint: Paint) -> None:
    picture = levels(paint(1))
    ways = set()
    for seed in range(20):
        moved = levels(translate(0.1)(paint(1), dice(seed)))
        assert moved.shape == picture.shape
        for down, across in ((24, 32), (24, -32), (-24, 32), (-24, -32)):
            expected = np.zeros_like(picture)
            source = picture[max(0, -down) : 240 - max(0, down), max(0, -across) : 320 - max(0, across)]
            expected[max(0, down) :, max(0, across) :][: source.shape[0], : source.shape[1]] = source
            if np.array_equal(moved, expected):
                ways.add((down, across))
                break
        else:
            pytest.fail("not moved by a tenth")
    assert len(ways) == 4


def test_noise_and_blur() -> None:
    grey_picture = Image.new("RGB", (300, 200), (128, 128, 128))
    noisy = levels(noise(16)(grey_picture, dice()))
    assert noisy.std() == pytest.approx(16, rel=0.05)
    assert noisy.mean() == pytest.approx(128, abs=1)
    edge = Image.fromarray(np.repeat(np.repeat([[[0], [255]]], 200, 0), 200, 1).astype(np.uint8).repeat(3, 2))
    slopes = [np.abs(np.diff(levels(blur(sigma)(edge, dice()))[100, :, 0])).max() for sigma in (1, 2, 4)]
    for slope, sigma in zip(slopes, (1, 2, 4), strict=True):  # of an edge blurred by a gaussian
        assert slope == pytest.approx(255 / (sigma * (2 * np.pi) ** 0.5), rel=0.25)


def test_pasted_things_cover_their_share(paint: Paint) -> None:
    black, white = Image.new("RGB", (320, 240)), [Image.new("RGB", (50, 50), "white")]
    assert (levels(sticker(white, 0.15)(black, dice())) > 127).mean() == pytest.approx(0.15, rel=0.05)
    assert (levels(onto(white, 0.6)(black, dice())) < 127).mean() == pytest.approx(0.6, rel=0.05)
    four = levels(collage(white)(black, dice()))
    assert four.shape == (240, 320, 3)
    assert (four < 127).mean() == 0.25
    assert 0.03 < (levels(emoji(black, dice())) > 0).any(2).mean() < 0.12
    assert 0.005 < (levels(text(black, dice())) > 127).mean() < 0.2
    assert levels(black).max() == 0, "the original is left alone"


def test_the_screenshot_holds_the_whole_picture(paint: Paint) -> None:
    picture = levels(paint(1))
    framed = levels(screenshot(paint(1), dice()))
    assert framed.shape[0] > 300
    windows = np.lib.stride_tricks.sliding_window_view(framed, picture.shape)[:, :, 0]
    assert any(np.array_equal(window, picture) for line in windows for window in line)


def test_posterize_and_square(paint: Paint) -> None:
    assert len(np.unique(levels(posterize(3)(paint(1), dice())))) <= 8
    assert square(paint(1), dice()).size == (240, 240)
    assert square(Image.new("RGB", (50, 50)), dice()).size == (50, 37)


def test_chains_of_one_to_four_edits_of_different_families() -> None:
    trace: list[str] = []

    def noted(family: str) -> Edit:
        return Edit(family, "", lambda picture, dice: trace.append(family) or picture)  # type: ignore[func-returns-value]

    edits = [noted(family) for family in "abcdef"] + [noted("c")]
    lengths = set()
    for seed in range(60):
        trace.clear()
        random_chain(edits)(OTHERS[0], dice(seed))
        lengths.add(len(trace))
        assert trace == sorted(set(trace)), "each family once, in the order of the protocol"
    assert lengths == {1, 2, 3, 4}


def test_each_picture_has_its_own_random_numbers(paint: Paint) -> None:
    apply = zoom(1.5)
    one, again, other = (edit_one(paint(1), apply, key) for key in (7, 7, 8))
    assert np.array_equal(levels(one), levels(again))
    assert not np.array_equal(levels(one), levels(other))


def test_pixelate_leaves_flat_blocks(paint: Paint) -> None:
    assert len(np.unique(levels(pixelate(32)(paint(1), dice())).reshape(-1, 3), axis=0)) <= 32 * 24
