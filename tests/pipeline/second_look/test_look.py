"""What a second look sees of a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from twinpix.encoder.errors import ImageError, InputError, MissingPackageError
from twinpix.encoder.specks import without_specks
from twinpix.pipeline.bench.edits import salt_and_pepper
from twinpix.pipeline.second_look.align import match_features
from twinpix.pipeline.second_look.features import FEATURES
from twinpix.pipeline.second_look.look import LOOK_PX, Look, features_only, lend_features, look

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]


def noise(width: int, height: int, low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(low, high, (height, width, 3), dtype=np.uint8)


def same(one: Look, other: Look) -> bool:
    pairs = (one.tones, other.tones), (one.points, other.points), (one.descriptors, other.descriptors)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((800, 600), (384, 288)),
        ((600, 800), (288, 384)),
        ((40, 30), (384, 288)),
        ((384, 384), (384, 384)),
        ((1, 1), (384, 384)),
        ((2, 1), (384, 192)),
        ((500, 20), (384, 15)),
        ((10, 500), (8, 384)),
        ((2000, 30), (384, 6)),
    ],
)
def test_the_longer_side_is_always_the_same(size: tuple[int, int], seen: tuple[int, int]) -> None:
    got = look(noise(*size))
    assert got.tones.shape == (seen[1], seen[0], 3)
    assert got.tones.dtype == np.uint8
    assert got.mirrored.tones.shape == got.tones.shape


def test_features_lie_in_the_picture(paint: Paint) -> None:
    got = look(paint(0, 400, 300, 40))
    assert 100 < len(got.points) == len(got.descriptors) <= 1.2 * FEATURES
    assert [got.points.dtype, got.descriptors.dtype] == list(map(np.dtype, ("float32", "uint8")))
    assert got.descriptors.shape[1] == 32
    assert (got.points >= 0).all() and (got.points < (384, 288)).all()


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_flat_picture_has_no_features(level: int) -> None:
    got = look(np.full((60, 80, 3), level, np.uint8))
    assert (got.tones == level).all()
    assert (got.points.shape, got.descriptors.shape) == ((0, 2), (0, 32))
    assert [got.points.dtype, got.descriptors.dtype] == list(map(np.dtype, ("float32", "uint8")))
    assert len(got.mirrored.points) == 0


def test_tones_are_luma_and_the_brightest_and_darkest_channel() -> None:
    got = look(np.full((50, 70, 3), (200, 100, 50), np.uint8))
    assert got.tones[100, 100].tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50), 200, 50]


def test_a_change_of_hue_leaves_the_outer_tones_alone(paint: Paint) -> None:
    levels = np.asarray(paint(3)) // 2 + 60  # no black, no white: nothing is taken for specks
    before, after = look(levels).tones.astype(int), look(np.ascontiguousarray(levels[..., [1, 2, 0]])).tones.astype(int)
    assert np.array_equal(before[..., 1:], after[..., 1:])
    assert np.abs(before[..., 0] - after[..., 0]).mean() > 5


@pytest.mark.parametrize("share", [0.03, 0.1])
def test_salt_and_pepper_is_removed(share: float, paint: Paint) -> None:
    clean = np.asarray(paint(1)) // 2 + 60
    noisy = np.asarray(salt_and_pepper(share)(Image.fromarray(clean), np.random.default_rng(0)))
    healed = without_specks(noisy)
    before, after = (np.abs(levels.astype(int) - clean) for levels in (noisy, healed))
    specks = before.any(2)
    assert specks.mean() == pytest.approx(share, rel=0.1)
    assert (after[specks].max(1) > 30).mean() < 0.01
    assert after.mean() < before.mean() / 20
    assert after[~specks].max() == 0, "what is no speck stays"


def test_specks_side_by_side_are_removed_among_single_ones(paint: Paint) -> None:
    clean = np.asarray(paint(1)) // 2 + 60
    noisy = clean.copy()
    noisy[9::12, 9::12] = noisy[9::12, 2::12] = noisy[2::12, 10::12] = noisy[5::12, 10::12] = 0
    for row, column in ((5, 5), (5, 6), (6, 5)):
        noisy[row::48, column::48] = 255
    assert np.abs(without_specks(noisy).astype(int) - clean).max() < 30


@pytest.mark.parametrize("size", [16, 20, 24])
def test_letters_are_no_specks(size: int) -> None:
    page = Image.new("1", (640, 300), 1)  # pure black and white, strokes a pixel or two wide
    for line in range(9):
        ImageDraw.Draw(page).text((10, 10 + line * 32), "Illicit filling of little tills", fill=0, font_size=size)
    levels = np.asarray(page.convert("RGB"))
    assert np.array_equal(without_specks(levels), levels)


@pytest.mark.parametrize("shape", [(3, 2000), (2000, 3), (5000, 1), (2, 384), (1, 1), (40, 6000)])
def test_a_strip_has_no_features(shape: tuple[int, int]) -> None:
    got = look(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert max(got.tones.shape) == LOOK_PX
    assert len(got.points) == 0 or min(got.tones.shape[:2]) >= 24


def test_a_clean_picture_stays_as_it_is(paint: Paint) -> None:
    levels = np.asarray(paint(1))
    assert {0, 255} <= set(levels.ravel().tolist())
    assert np.array_equal(without_specks(levels), levels)


def test_a_few_specks_are_no_noise(paint: Paint) -> None:
    levels = np.asarray(paint(1)) // 2 + 60
    levels[5::40, 7::40] = 255  # 48 of 76800 px: stars, glints
    assert np.array_equal(without_specks(levels), levels)


def test_large_black_and_white_areas_are_no_noise() -> None:
    levels = np.kron(np.indices((8, 10)).sum(0) % 2, np.ones((30, 30)))[..., None].repeat(3, 2).astype(np.uint8) * 255
    changed = (without_specks(levels) != levels).any(2)
    assert changed.mean() < 0.005


def test_look_removes_the_specks(paint: Paint) -> None:
    clean = paint(1).point([60 + level // 2 for level in range(256)] * 3)
    noisy = salt_and_pepper(0.1)(clean, np.random.default_rng(0))
    gap = np.abs(look(clean).tones.astype(int) - look(noisy).tones)
    assert gap.mean() < 1
    assert (gap > 30).mean() < 0.001


def test_mirrored_is_the_look_of_the_mirror_image(paint: Paint) -> None:
    levels = np.asarray(paint(2, 384, 288, 40))  # needs no resizing, which may round the other way round
    got = look(levels)
    mirror_image = look(np.ascontiguousarray(levels[:, ::-1]))
    rows = match_features(got.mirrored.descriptors, mirror_image.descriptors)
    apart = np.linalg.norm(got.mirrored.points[rows[0]] - mirror_image.points[rows[1]], axis=1)
    assert len(apart) > 0.9 * len(mirror_image.points)
    assert np.median(apart) < 0.7 and np.percentile(apart, 95) < 2, "OpenCV finds corners a little off, mirrored"
    assert np.array_equal(got.mirrored.tones, got.tones[:, ::-1])
    assert not same(got, got.mirrored)
    assert np.allclose(got.mirrored.mirrored.points, got.points, atol=1e-3)
    assert np.array_equal(got.mirrored.mirrored.descriptors, got.descriptors)
    assert got.mirrored is got.mirrored, "computed once"


def test_what_is_known_of_a_picture_is_not_sought_again(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = paint(2, 500, 400, 40)
    first = look(picture)
    known = features_only(first)
    monkeypatch.setattr("twinpix.pipeline.second_look.features._orb", None)
    again = look(picture)
    lend_features(again, known)
    assert again.has_features and same(again, first) and same(again.mirrored, first.mirrored)


def test_looking_twice_gives_the_same(paint: Paint) -> None:
    assert same(look(paint(4, 500, 400, 40)), look(paint(4, 500, 400, 40)))
    assert not same(look(paint(4, 500, 400, 40)), look(paint(5, 500, 400, 40)))


@pytest.mark.parametrize("size", [(500, 400), (900, 1000)])  # the larger one is decoded at half its size
def test_the_source_does_not_matter(size: tuple[int, int], tmp_path: Path, paint: Paint, pack: Pack) -> None:
    picture = paint(6, *size, 40)
    path = tmp_path / "a.png"
    path.write_bytes(pack(picture, "PNG"))
    expected = look(picture)
    assert len(expected.points) > 100
    for source in (path, str(path), path.read_bytes(), np.asarray(picture)):
        assert same(look(source), expected), type(source)


def test_grey_and_rgba_arrays() -> None:
    grey = noise(60, 40)[..., 0]
    rgb = grey[..., None].repeat(3, 2)
    opaque = np.dstack([rgb, np.full_like(grey, 255)])
    assert same(look(grey), look(rgb))
    assert same(look(opaque), look(rgb))


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n and then nothing"])
def test_a_file_that_is_no_picture(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(ImageError):
            look(source)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        look(tmp_path / "gone.png")
    assert caught.value.reason == "vanished"


def test_an_array_that_is_no_picture() -> None:
    with pytest.raises(InputError):
        look(np.zeros((4, 4, 2), np.uint8))


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackageError, match=r"twinpix\[cpu\]"):
        look(noise(40, 30))


def test_an_opencv_that_can_not_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libav.so: failed to map segment')")
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackageError, match=r"can't be loaded: libav\.so: failed to map"):
        look(noise(40, 30))


def test_features_are_spread_over_the_picture() -> None:
    """Letters would take all of them: then a picture in the frame of an app could not be aligned."""
    page = Image.new("RGB", (384, 384), "white")
    blocks = np.random.default_rng(0).integers(100, 150, (48, 16), np.uint8)
    page.paste(Image.fromarray(np.kron(blocks, np.ones((8, 8), np.uint8))).convert("RGB"), (0, 0))
    draw = ImageDraw.Draw(page)
    for line in range(10):
        draw.text((132, 8 + 17 * line), "the quick brown fox jumps over it", fill="black", font_size=14)
    seen = look(page)
    assert len(seen.points) == FEATURES
    assert (seen.points[:, 0] < 128).mean() > 0.1
