"""A second look at pairs whose answer is known: edited copies, other photos, another view, something that moved."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from twinpix.pipeline.bench.edits import (
    Apply,
    blur,
    chain,
    gamma,
    grey,
    jitter,
    jpeg,
    mirror,
    noise,
    pad,
    perspective,
    pixelate,
    salt_and_pepper,
    shrink,
    zoom,
)
from twinpix.pipeline.second_look import judge as judge_module
from twinpix.pipeline.second_look.agreement import NOTHING, Agreement, agree, cover, detail_lost, without
from twinpix.pipeline.second_look.align import Aligned, Alignment, alignments, match_features, superpose
from twinpix.pipeline.second_look.align import zoom as zoom_of
from twinpix.pipeline.second_look.delicate import glance_at
from twinpix.pipeline.second_look.judge import MIN_TILES, judge, look_closer
from twinpix.pipeline.second_look.look import LOOK_PX, Look, look
from twinpix.pipeline.second_look.motion import wandered
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.tiles import TILE
from twinpix.pipeline.second_look.verify import has_same_levels, verify


def judged(alignment: Alignment, aligned: Aligned) -> Outcome:
    return judge(alignment, aligned, agree(aligned)).outcome


C, R, U = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNCLEAR
Levels = NDArray[np.uint8]
CLEAR = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")  # full of detail
OTHERS = ("rocket.jpg", "camera.png", "coins.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "page.png",
          "retina.jpg", "brick.png", "grass.png", "gravel.png")  # fmt: skip


@cache
def photo(name: str) -> Image.Image:
    skimage = pytest.importorskip("skimage")
    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")


@cache
def seen(name: str) -> Look:
    return look(photo(name))


def edited(name: str, edit: Apply, seed: int = 0) -> Look:
    return look(edit(photo(name), np.random.default_rng(seed)))


def noisy(picture: Image.Image, sigma: float) -> Image.Image:
    levels = np.asarray(picture) + np.random.default_rng(5).normal(0, sigma, (picture.height, picture.width, 3))
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(radius))


EDITS: dict[str, Apply] = {
    "zoom 1.25": zoom(1.25),
    "zoom 1.5": zoom(1.5),
    "zoom 2": zoom(2),
    "jitter 0.3": jitter(0.3),
    "jitter 0.6": jitter(0.6),
    "salt and pepper 3 %": salt_and_pepper(0.03),
    "salt and pepper 10 %": salt_and_pepper(0.1),
    "zoom, jitter, salt and pepper": chain(zoom(1.25), jitter(0.3), salt_and_pepper(0.03)),
    "mirror": mirror,
    "mirrored and zoomed": chain(mirror, zoom(1.25)),
    "grey": grey,
    "gamma 2": gamma(2),
    "jpeg 50": jpeg(50),
    "jpeg 20": jpeg(20),
    "pad": pad(0.2),
    "half the size": shrink(2),
    "10 degrees": lambda picture, dice: picture.rotate(10, Image.Resampling.BICUBIC, expand=True),
    "90 degrees": lambda picture, dice: picture.transpose(Image.Transpose.ROTATE_90),
    "squeezed": lambda picture, dice: picture.resize((picture.width, picture.height * 3 // 4)),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", CLEAR)
def test_an_edited_copy_is_confirmed_from_either_side(name: str, edit: str) -> None:
    copy = edited(name, EDITS[edit])
    assert verify(copy, seen(name)) is C
    assert verify(seen(name), copy) is C


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png"])
def test_a_perspective_is_confirmed(name: str) -> None:
    copy = edited(name, perspective(0.15))
    found = list(alignments(copy, seen(name)))
    assert [alignment.is_tilted for alignment in found] == [False, True]
    assert judged(found[0], superpose(copy, seen(name), found[0])) is not C, "no affine map fits"
    assert verify(copy, seen(name)) is C


def test_a_picture_is_its_own_copy() -> None:
    for name in (*CLEAR, *OTHERS):
        assert verify(seen(name), seen(name)) is C, name


def test_other_photos_are_refuted() -> None:
    """All of them are full of details, so it's not only unclear."""
    names = (*CLEAR, *OTHERS)
    for row, one in enumerate(names):
        for other in names[:row]:
            assert verify(seen(one), seen(other)) is R, (one, other)


def test_edits_make_other_photos_no_copies() -> None:
    heavy = chain(zoom(1.5), jitter(0.6), salt_and_pepper(0.1))
    for row, one in enumerate(CLEAR):
        for other in CLEAR[:row]:
            assert verify(edited(one, heavy), seen(other)) is not C, (one, other)
            assert verify(edited(one, jpeg(5)), edited(other, jpeg(5))) is not C, (one, other)


def test_another_view_is_refuted() -> None:
    """A stereo pair: one scene, two cameras side by side. Its features match, and some tiles agree."""
    left, right = seen("motorcycle_left.png"), seen("motorcycle_right.png")
    found = list(alignments(left, right))
    assert found and found[0].inliers > 50, "or the pair would be no test"
    assert verify(left, right) is R
    assert verify(right, left) is R


def test_what_moved_far_is_not_looked_at_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other levels, what covers it, the way back: most of the cost of a second shot, and nothing comes of it."""
    levels = textured(160, 160)
    assert judged(STILL, laid(levels, levels)) is C
    for median, motion, far in ((0.97, 0.6, True), (0.97, 0.4, False), (0.8, 0.6, False)):
        agreement = Agreement(100, 1.0, 0.0, median)
        found = judge(STILL, laid(levels, levels), agreement, motion)
        assert found.moved_far is far and found.outcome is not C
    shift = np.roll(levels, 1, axis=1)
    monkeypatch.setattr(judge_module, "at_one_set_of_levels", lambda aligned: pytest.fail("looked at once more"))
    monkeypatch.setattr(judge_module, "refine", lambda query, reference, alignment, tone: (alignment, 0.6))
    monkeypatch.setattr(judge_module, "agree", lambda aligned, sigma=1.0: Agreement(100, 1.0, 0.0, 0.97))
    query, reference = (Look(np.dstack(3 * [side])) for side in (levels, shift))
    assert look_closer(query, reference, STILL).moved_far


def test_other_levels_are_asked_where_they_may_help(monkeypatch: pytest.MonkeyPatch) -> None:
    levels, asked = textured(160, 160), list[Aligned]()
    monkeypatch.setattr(judge_module, "at_one_set_of_levels", lambda aligned: iter(asked.append(aligned) or ()))  # type: ignore[func-returns-value]
    monkeypatch.setattr(judge_module, "refine", lambda query, reference, alignment, tone: (alignment, 0.3))
    for contradicting, wanted in ((0.1, True), (0.3, False)):
        asked.clear()
        seen = Agreement(100, 0.7, contradicting, 0.8)
        monkeypatch.setattr(judge_module, "agree", lambda aligned, sigma=1.0, seen=seen: seen)
        look_closer(Look(np.dstack(3 * [levels])), Look(np.dstack(3 * [levels])), STILL)
        assert bool(asked) is wanted


@pytest.mark.parametrize("edit", ["zoom 1.25", "jitter 0.3", "grey", "jpeg 20", "mirror", "half the size"])
def test_another_view_is_not_confirmed_when_edited(edit: str) -> None:
    left = edited("motorcycle_left.png", EDITS[edit])
    assert verify(left, seen("motorcycle_right.png")) is not C


def with_caption(picture: Image.Image) -> Image.Image:
    copy, (width, height) = picture.copy(), picture.size
    draw = ImageDraw.Draw(copy)
    draw.rectangle((0, height * 0.85, width, height), fill="black")
    draw.text((width // 10, height * 0.87), "WHEN YOU SEE IT TWICE", fill="white", font_size=height // 16)
    return copy


def with_sticker(picture: Image.Image) -> Image.Image:
    copy, (width, height) = picture.copy(), picture.size
    draw = ImageDraw.Draw(copy)
    draw.ellipse((width * 0.6, height * 0.6, width * 0.85, height * 0.9), fill="gold", outline="black", width=5)
    draw.text((width * 0.63, height * 0.7), ":-)", fill="black", font_size=height // 8)
    return copy


@pytest.mark.parametrize("name", CLEAR)
def test_a_copy_with_something_on_it_is_confirmed(name: str) -> None:
    for touched in (look(with_caption(photo(name))), look(with_sticker(photo(name)))):
        first = next(alignments(touched, seen(name)))
        assert agree(superpose(touched, seen(name), first)).contradicting > 0.01, "it does cover something"
        assert verify(touched, seen(name)) is C
        assert verify(seen(name), touched) is C


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "camera.png"])
@pytest.mark.parametrize(
    ("box", "by"),
    [
        ((0.3, 0.3, 0.6, 0.6), (12, 0)),
        ((0.3, 0.3, 0.6, 0.6), (0, 25)),
        ((0.1, 0.5, 0.5, 0.9), (20, 10)),
        ((0.4, 0.1, 0.7, 0.4), (-40, 0)),
    ],
)
def test_something_that_moved_is_no_copy(
    name: str, box: tuple[float, float, float, float], by: tuple[int, int]
) -> None:
    """The next frame of a camera on a tripod: the same but for one thing, and the noise of the sensor."""
    picture = photo(name)
    left, top, right, bottom = (
        round(share * side) for share, side in zip(box, (picture.width, picture.height) * 2, strict=True)
    )
    moved = picture.copy()
    moved.paste(picture.crop((left, top, right, bottom)), (left + by[0], top + by[1]))
    assert verify(look(noisy(moved, 15)), seen(name)) is not C
    assert verify(look(noisy(picture, 15)), seen(name)) is C, "it's not the noise"


@pytest.mark.parametrize("name", [*CLEAR, "rocket.jpg", "camera.png"])
def test_a_copy_that_lost_its_detail_is_not_refuted(name: str) -> None:
    for worn in (look(blurred(photo(name), 4)), edited(name, jpeg(8)), edited(name, shrink(4))):
        assert verify(worn, seen(name)) is not R
        assert verify(seen(name), worn) is not R


def flat_pictures() -> list[Image.Image]:
    colours = [Image.new("RGB", (60, 40), colour) for colour in ("teal", "black", "white", "orange")]
    gradient = Image.linear_gradient("L").convert("RGB")
    return [*colours, gradient, gradient.transpose(Image.Transpose.ROTATE_90), gradient.point(lambda v: v // 2)]


def test_flat_pictures_are_the_same_only_if_their_pixels_are() -> None:
    looks = [look(picture) for picture in flat_pictures()]
    for row, one in enumerate(looks):
        assert all(alignment.is_in_place for alignment in alignments(one, one)), "no local features"
        assert verify(one, one) is C
        for other in looks[:row]:
            assert verify(one, other) is R
            assert verify(other, one) is R


def test_flat_pictures_may_be_saved_and_shrunk() -> None:
    for picture in flat_pictures():
        for copy in (jpeg(85)(picture, np.random.default_rng(0)), shrink(2)(picture, np.random.default_rng(0))):
            assert verify(look(copy), look(picture)) is C


def test_a_flat_picture_and_a_detailed_one_are_not_the_same() -> None:
    for picture in flat_pictures():
        assert verify(look(picture), seen("astronaut.png")) is not C
        assert verify(seen("astronaut.png"), look(picture)) is not C


def test_gradients_of_another_brightness_are_two() -> None:
    ramp = np.broadcast_to(np.linspace(30, 200, 600)[None, :, None], (400, 600, 3))
    darker, brighter = (Image.fromarray((ramp + step).astype(np.uint8)) for step in (0, 5))
    assert verify(look(darker), look(brighter)) is R and verify(look(darker), look(darker)) is C
    assert glance_at(darker).is_delicate, "near as they are, they get a look"


@pytest.mark.parametrize(("step", "spot", "same"), [(2, 0, True), (3, 0, False), (0, 9, False)])
def test_has_same_levels(step: int, spot: int, same: bool) -> None:
    """A little everywhere is compression; more everywhere, or much in one place, is not."""
    levels = np.full((288, 384, 3), 100, np.uint8)
    other = levels + np.uint8(step)
    other[90:126, 120:156] += np.uint8(spot)
    assert has_same_levels(as_look(levels), as_look(other)) is same
    assert has_same_levels(as_look(other), as_look(levels)) is same


def test_one_small_thing_on_a_flat_ground_is_unclear() -> None:
    """Aligned perfectly, but there are too few tiles to go by."""
    levels = np.full((300, 400, 3), 30, np.uint8)
    levels[140:160, 190:210] = np.random.default_rng(1).integers(0, 256, (20, 20, 1), dtype=np.uint8)
    spot = look(levels)
    assert len(spot.points) > 50
    assert verify(spot, spot) is U


def black_on_white(seed: int) -> Image.Image:
    page, dice = Image.new("RGB", (900, 640), "white"), np.random.default_rng(seed)
    draw = ImageDraw.Draw(page)
    for line in range(20):
        letters = "".join(chr(97 + letter) if letter < 26 else " " for letter in dice.integers(0, 31, 70))
        draw.text((10, 10 + 31 * line), letters, fill="black", font_size=22)
    return page


@pytest.mark.parametrize("size", [22, 28, 34])
def test_a_page_at_half_its_size_is_confirmed(size: int) -> None:
    page = Image.new("RGB", (900, 640), "white")
    words = ["the", "pages", "of", "one", "book", "differ", "in", "their", "words", "and", "in", "little", "else"]
    dice = np.random.default_rng(size)
    for line in range(600 // (size + 6)):
        text = " ".join(dice.choice(words, 1200 // (size * 4)))
        ImageDraw.Draw(page).text((20, 15 + line * (size + 6)), text, fill="black", font_size=size)
    assert verify(look(page), look(page.resize((450, 320), Image.Resampling.LANCZOS))) is Outcome.CONFIRMED


def test_pages_of_text() -> None:
    page = black_on_white(0)
    known = look(page)
    assert verify(look(jpeg(50)(page, np.random.default_rng(0))), known) is C
    assert verify(look(black_on_white(1)), known) is R, "another text in the same layout"


# Where one picture lies in the other


def mapped(alignment: Alignment, points: list[tuple[float, float]]) -> NDArray[np.float64]:
    homogeneous = np.column_stack([np.array(points, float), np.ones(len(points))]) @ alignment.matrix.T
    places: NDArray[np.float64] = homogeneous[:, :2] / homogeneous[:, 2:]
    return places


def corners(one: Look) -> list[tuple[float, float]]:
    height, width = one.tones.shape[:2]
    return [(0, 0), (width, 0), (0, height), (width, height)]


@pytest.mark.parametrize("box", [(0, 0, 256, 256), (100, 60, 440, 400), (200, 112, 512, 412)])
def test_a_crop_is_found_where_it_was_taken(box: tuple[int, int, int, int]) -> None:
    picture = photo("astronaut.png")
    crop, whole = look(picture.crop(box)), seen("astronaut.png")
    found = next(alignments(crop, whole))
    scale = LOOK_PX / picture.width
    left, top, right, bottom = (scale * side for side in box)
    expected = [(left, top), (right, top), (left, bottom), (right, bottom)]
    assert np.abs(mapped(found, corners(crop)) - expected).max() < 2.5
    assert zoom_of(found.matrix) == pytest.approx((box[2] - box[0]) / picture.width, rel=0.02)
    assert not found.mirrored
    assert 10 <= found.inliers <= found.matches
    back = next(alignments(whole, crop))
    assert np.abs(mapped(back, expected) - corners(crop)).max() < 5


@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png"])
def test_a_quarter_turn_is_found(name: str) -> None:
    turned = look(photo(name).transpose(Image.Transpose.ROTATE_90))  # counterclockwise
    found = next(alignments(turned, seen(name)))
    height, width = seen(name).tones.shape[:2]
    # the top left corner of the turned picture was at the top right
    assert np.abs(mapped(found, corners(turned)) - [(width, 0), (width, height), (0, 0), (0, height)]).max() < 5
    assert zoom_of(found.matrix) == pytest.approx(1, abs=0.02)
    assert not found.mirrored


@pytest.mark.parametrize("degrees", [10, -10, 45])
def test_a_turn_is_found(degrees: int) -> None:
    turned = look(photo("astronaut.png").rotate(degrees, Image.Resampling.BICUBIC))
    found = next(alignments(turned, seen("astronaut.png")))
    angle = np.degrees(np.arctan2(found.matrix[1, 0], found.matrix[0, 0]))
    assert angle == pytest.approx(degrees, abs=0.5)
    middle = LOOK_PX / 2
    assert np.abs(mapped(found, [(middle, middle)]) - middle).max() < 2.5, "it turned about its middle"


@pytest.mark.parametrize("name", CLEAR)
def test_a_mirror_image_is_found(name: str) -> None:
    found = next(alignments(edited(name, mirror), seen(name)))
    assert found.mirrored
    # in px of the mirrored query: it lies on the reference
    assert np.abs(mapped(found, corners(seen(name))) - corners(seen(name))).max() < 2
    assert not next(alignments(seen(name), seen(name))).mirrored


def test_is_tilted() -> None:
    tilted = np.eye(3)
    tilted[2, 0] = 1e-4
    assert Alignment(tilted, False, 10, 20).is_tilted
    assert not Alignment(np.eye(3), False, 10, 20).is_tilted


def test_zoom_is_the_scale_of_the_map() -> None:
    turn = np.array([[0, -1, 5], [1, 0, 9], [0, 0, 1]], float)
    assert zoom_of(turn) == pytest.approx(1)
    assert zoom_of(np.diag([3.0, 3.0, 1.0]) @ turn) == pytest.approx(3)


# Matching


def descriptors(n: int, seed: int = 0) -> Levels:
    return np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 5), (1, 1), (1, 5), (5, 0), (5, 1)])
def test_too_few_descriptors_to_match(n: int, m: int) -> None:
    rows = match_features(descriptors(n), descriptors(m))
    assert [row.tolist() for row in rows] == [[], []]
    assert [row.dtype for row in rows] == [np.dtype(np.intp)] * 2


def test_shuffled_descriptors_are_matched() -> None:
    query, order = descriptors(50), np.random.default_rng(1).permutation(50)
    query_rows, reference_rows = match_features(query, query[order])
    assert query_rows.tolist() == list(range(50))
    assert order[reference_rows].tolist() == list(range(50))


def test_only_what_both_have_is_matched() -> None:
    common = descriptors(20)
    query, reference = np.vstack([common, descriptors(30, 1)]), np.vstack([descriptors(40, 2), common])
    query_rows, reference_rows = match_features(query, reference)
    assert set(zip(range(20), range(40, 60), strict=True)) == set(
        zip(query_rows.tolist(), reference_rows.tolist(), strict=True)
    )


def test_a_descriptor_that_occurs_twice_is_not_matched() -> None:
    query = descriptors(10)
    rows = match_features(query, np.vstack([query, query[3:5]]))[0]
    assert rows.tolist() == [0, 1, 2, 5, 6, 7, 8, 9]
    twice = match_features(np.vstack([query, query[:1]]), query)
    assert len(twice[0]) == len(set(twice[1].tolist())) == 10, "each of the reference has one partner at most"


# Comparing

STILL = Alignment(np.eye(3), False, 100, 100)


def textured(height: int, width: int, seed: int = 0) -> Levels:
    blocks = np.random.default_rng(seed).integers(30, 226, (-(-height // 4), -(-width // 4), 1), dtype=np.uint8)
    return blocks.repeat(4, 0).repeat(4, 1).repeat(3, 2)[:height, :width]


def laid(query: Levels, reference: Levels, inside: NDArray[np.bool_] | None = None) -> Aligned:
    return Aligned(query, reference, np.ones(query.shape[:2], bool) if inside is None else inside)


def test_a_picture_agrees_with_itself() -> None:
    levels = textured(48, 64)
    got = agree(laid(levels, levels))
    assert got.tiles == 3 * 4
    assert (got.agreeing, got.contradicting) == (1, 0)
    assert got.median > 0.99


def test_what_does_not_fill_a_tile_is_not_looked_at() -> None:
    levels = textured(48 + 15, 64 + 15)
    other = levels.copy()
    other[48 + 4 :], other[:, 64 + 4 :] = 128, 128  # beyond the reach of the smoothing
    got = agree(laid(levels, other))
    assert (got.tiles, got.agreeing) == (12, 1)


@pytest.mark.parametrize("size", [(TILE - 1, 100), (100, TILE - 1), (1, 1)])
def test_smaller_than_a_tile(size: tuple[int, int]) -> None:
    levels = textured(*size)
    assert agree(laid(levels, levels)) == NOTHING
    assert judged(STILL, laid(levels, levels)) is U


def test_one_tile() -> None:
    levels = textured(TILE, TILE)
    got = agree(laid(levels, levels))
    assert (got.tiles, got.agreeing, got.contradicting) == (1, 1, 0)
    assert judged(STILL, laid(levels, levels)) is U, "one is too few"


def test_the_number_of_tiles_that_suffice() -> None:
    for tiles, outcome in ((MIN_TILES - 1, U), (MIN_TILES, C)):
        levels = textured(TILE, tiles * TILE)
        assert judged(STILL, laid(levels, levels)) is outcome


def test_an_alignment_that_few_features_fit_confirms_nothing() -> None:
    """Two pages of one layout, two shots of one wall: some tiles agree anyway."""
    levels = textured(64, 128)
    assert judged(Alignment(np.eye(3), False, 50, 100), laid(levels, levels)) is C
    assert judged(Alignment(np.eye(3), False, 30, 100), laid(levels, levels)) is not C


def test_a_perspective_must_fit_all_the_better() -> None:
    levels = textured(160, 160)
    touched = levels.copy()
    touched[:16, :144] = textured(16, 144, seed=1)  # 9 of 100 tiles
    touched[144:, 112:] = 128
    got = agree(laid(levels, touched))
    assert got.agreeing == pytest.approx(0.88, abs=0.015)
    tilted = np.eye(3)
    tilted[2, 0] = 1e-5
    assert judged(STILL, laid(levels, touched)) is C, "something lies on it"
    assert judged(Alignment(tilted, False, 100, 100), laid(levels, touched)) is not C


def test_brightness_and_contrast_do_not_matter_but_a_negative_does() -> None:
    levels = textured(64, 96)
    faint = (levels // 2 + 90).astype(np.uint8)
    assert agree(laid(levels, faint)).agreeing == 1
    assert judged(STILL, laid(levels, faint)) is C
    negative = agree(laid(levels, 255 - levels))
    assert (negative.tiles, negative.agreeing, negative.contradicting) == (24, 0, 1)
    assert negative.median < -0.9
    assert judged(STILL, laid(levels, 255 - levels)) is R


def test_one_tone_that_agrees_is_enough() -> None:
    """A turned hue changes the luma, but not the brightest and the darkest channel."""
    levels = textured(64, 96)
    for tone in range(3):
        other = textured(64, 96, seed=1)
        other[..., tone] = levels[..., tone]
        assert agree(laid(levels, other)).agreeing == 1


def test_half_of_it_agrees() -> None:
    levels = textured(64, 128)
    half = levels.copy()
    half[:, 64:] = textured(64, 64, seed=1)
    got = agree(laid(levels, half))
    assert got.tiles == 32
    assert got.agreeing == 0.5
    assert 0.4 <= got.contradicting <= 0.5
    assert judged(STILL, laid(levels, half)) is R


def test_flat_and_clipped_tiles_do_not_count() -> None:
    levels = textured(64, 128)
    flat = levels.copy()
    flat[:, 64 - 4 :] = 128
    assert agree(laid(flat, flat)).tiles == 16
    for level in (0, 255):
        wiped = levels.copy()
        wiped[:, 64:] = level  # an edit may have wiped it out: no contradiction
        got = agree(laid(levels, wiped))
        assert (got.tiles, got.agreeing, got.contradicting) == (16, 1, 0)


def test_a_tile_that_is_flat_in_one_picture_only_counts_against() -> None:
    levels = textured(64, 128)
    covered = levels.copy()
    covered[:, 64:] = 128
    got = agree(laid(levels, covered))
    assert (got.tiles, got.agreeing) == (32, 0.5)


def test_only_tiles_that_both_pictures_fill() -> None:
    levels = textured(64, 128)
    inside = np.zeros((64, 128), bool)
    inside[:, : 64 + 8] = True
    other = levels.copy()
    other[:, 64 + 4 :] = 255 - levels[:, 64 + 4 :]
    got = agree(laid(levels, other, inside))
    assert (got.tiles, got.agreeing, got.contradicting) == (16, 1, 0)
    assert agree(laid(levels, levels, np.zeros((64, 128), bool))) == NOTHING


def test_detail_lost() -> None:
    sharp = np.asarray(photo("astronaut.png"))
    soft = np.asarray(blurred(photo("astronaut.png"), 4))
    faint = (sharp // 2 + 60).astype(np.uint8)
    assert detail_lost(laid(sharp, sharp)) == 0
    assert detail_lost(laid(sharp, faint)) < 0.1
    assert detail_lost(laid(sharp, soft)) > 0.9
    assert detail_lost(laid(soft, sharp)) == pytest.approx(detail_lost(laid(sharp, soft)))
    assert detail_lost(laid(sharp, soft, np.zeros(sharp.shape[:2], bool))) == 0


def as_look(tones: Levels) -> Look:
    return Look(tones)


def shift(x: float, y: float, scale: float = 1) -> NDArray[np.float64]:
    return np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]], float)


def test_superpose_a_shift() -> None:
    levels = textured(96, 128)
    aligned = superpose(as_look(levels[8:, 20:]), as_look(levels), Alignment(shift(20, 8), False, 0, 0))
    expected = np.zeros((96, 128), bool)
    expected[8:, 20:] = True
    assert np.array_equal(aligned.inside, expected)
    assert np.array_equal(aligned.reference, levels)
    assert np.array_equal(aligned.query[expected], levels[expected])


def test_superpose_a_mirror_image() -> None:
    levels = textured(96, 128)
    aligned = superpose(as_look(levels[:, ::-1]), as_look(levels), Alignment(np.eye(3), True, 0, 0))
    assert np.array_equal(aligned.query, aligned.reference)
    assert aligned.inside.all()


def test_superpose_goes_by_the_coarser_picture() -> None:
    fine, coarse = textured(96, 128), textured(96, 128).reshape(48, 2, 64, 2, 3).mean((1, 3)).astype(np.uint8)
    down = superpose(as_look(fine), as_look(coarse), Alignment(shift(-0.25, -0.25, 0.5), False, 0, 0))
    up = superpose(as_look(coarse), as_look(fine), Alignment(shift(0.5, 0.5, 2), False, 0, 0))
    for aligned, moved, kept in ((down, down.query, down.reference), (up, up.reference, up.query)):
        assert np.array_equal(kept, coarse)
        assert moved.shape == coarse.shape and aligned.inside.mean() > 0.9
        got = agree(aligned)
        assert (got.tiles, got.agreeing) == (12, 1)


@pytest.mark.parametrize("name", CLEAR)
@pytest.mark.parametrize("at_top", [False, True])
def test_a_caption_bar_is_seen_as_one(name: str, at_top: bool) -> None:
    picture = photo(name).copy()
    height = picture.height // 6
    top = 0 if at_top else picture.height - height
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, top, picture.width, top + height), fill="black")
    for i in range(12):  # letters, more or less
        left = picture.width * (i + 1) // 14
        pen.rectangle((left, top + height // 4, left + height // 6, top + height * 3 // 4), fill="white")
    assert verify(look(picture), seen(name)) is C
    assert verify(seen(name), look(picture)) is C


def test_a_few_things_that_cover_a_picture_are_left_out() -> None:
    levels = textured(256, 256)
    for rows, columns in (
        (slice(208, 256), slice(0, 256)),
        (slice(0, 48), slice(0, 256)),
        (slice(64, 160), slice(96, 160)),
    ):
        covered = levels.copy()
        covered[rows, columns] = textured(256, 256, seed=5)[rows, columns]
        aligned = laid(levels, covered)
        tiles = cover(aligned)
        assert tiles is not None
        expected = np.zeros((16, 16), bool)
        expected[rows.start // TILE : rows.stop // TILE, columns.start // TILE : columns.stop // TILE] = True
        assert np.array_equal(tiles, expected)
        assert agree(aligned).agreeing < 0.95
        assert agree(without(aligned, tiles)).agreeing == 1
    half = levels.copy()
    half[128:] = textured(128, 256, seed=5)
    assert cover(laid(levels, half)) is None, "too much for a sticker"
    assert cover(laid(levels, levels)) is None


@pytest.mark.parametrize("by", [(12, 0), (0, 40), (-25, 10)])
def test_what_a_thing_that_moved_shows_lies_elsewhere(by: tuple[int, int]) -> None:
    levels = textured(256, 256)
    moved = levels.copy()
    moved[100 + by[1] : 160 + by[1], 100 + by[0] : 160 + by[0]] = levels[100:160, 100:160]
    sticker = levels.copy()
    sticker[100:160, 100:160] = textured(60, 60, seed=5)
    for other, low, high in ((moved, 0.3, 1.0), (sticker, 0.0, 0.05)):
        for aligned in (laid(levels, other), laid(other, levels)):
            tiles = cover(aligned)
            assert tiles is not None
            assert low <= wandered(aligned, tiles) <= high


def test_either_of_two_pictures_may_come_first() -> None:
    """The crop finds its place in the whole, if not the whole its part in the crop."""
    for name in CLEAR:
        for seed in range(5):
            copy = edited(name, chain(zoom(1.5), jitter(0.6), salt_and_pepper(0.1)), seed)
            assert verify(copy, seen(name)) is verify(seen(name), copy) is C


@pytest.mark.parametrize("name", CLEAR)
@pytest.mark.parametrize("edit", [blur(6), pixelate(32), noise(32), jpeg(5), chain(mirror, blur(6))])
def test_a_worn_copy_that_lies_in_place_is_likely_one(name: str, edit: Apply) -> None:
    """Its local features are gone, and it was neither cropped nor turned."""
    small = photo(name).resize((192, 160), Image.Resampling.LANCZOS)
    worn = look(edit(small.resize((384, 320)), np.random.default_rng(0)))
    assert verify(worn, look(small)) in (C, Outcome.LIKELY)
    assert verify(look(small), worn) in (C, Outcome.LIKELY)


def test_another_view_is_no_worn_copy() -> None:
    for worn in (blurred(photo("motorcycle_left.png"), 4), noisy(photo("motorcycle_left.png"), 30)):
        assert verify(look(worn), seen("motorcycle_right.png")) not in (C, Outcome.LIKELY)
