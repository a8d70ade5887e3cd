"""Plain copies are told from better saved worse ones, at full size."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from twinpix.pipeline.act.explained import unexplained

Change = Callable[[Image.Image], Image.Image]


@pytest.fixture(scope="module")
def photo(paint: Any) -> Image.Image:
    """As of a camera: detail down to the last pixel, coloured, and noise."""
    dice = np.random.default_rng(0)
    coarse = Image.fromarray(dice.integers(60, 190, (160, 220, 3), dtype=np.uint8)).resize((640, 480))
    fine = np.asarray(coarse, np.float32) + dice.normal(0, 5, (480, 640, 1))
    painted = np.asarray(paint(3, 640, 480, cells=60), np.float32)
    return Image.fromarray((painted * 0.6 + fine * 0.4).clip(0, 255).astype(np.uint8))


@pytest.fixture
def said(tmp_path: Path) -> Callable[..., str]:
    """`said(goes, stays, name="a.jpg", **how)`: of a picture saved so."""

    def of(goes: Image.Image, stays: Image.Image, name: str = "a.jpg", **how: Any) -> str:
        goes.save(tmp_path / name, **({"quality": 90} if name.endswith("jpg") else {}) | how)
        with Image.open(tmp_path / name) as copy:
            return unexplained(tmp_path / name, copy.convert("RGB"), stays)

    return of


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def shrunk(picture: Image.Image, share: float, way: int = Image.Resampling.LANCZOS) -> Image.Image:
    return picture.resize((round(share * picture.width), round(share * picture.height)), way)


def test_plain_copies(photo: Image.Image, said: Any) -> None:
    original, small = jpeg(photo, 95), shrunk(photo, 0.6)
    for quality in (95, 75, 30):
        assert said(photo, photo, quality=quality) == "" == said(original, original, quality=quality)
    for way in (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX):
        assert said(shrunk(original, 0.6, way), original, quality=80) == ""
    assert said(small.filter(ImageFilter.UnsharpMask(0.6, 60, 0)), original, quality=85) == "", "sharpened for the web"
    assert said(photo, photo, "a.webp", quality=80) == said(small, photo, "a.png") == said(photo, photo, "a.png") == ""
    assert said(photo.convert("L"), photo.convert("L").convert("RGB"), quality=70) == ""
    assert said(photo.quantize(256), photo, "a.gif") == ""


def test_an_enlarged_and_sharpened_copy_is_not_the_better_one(photo: Image.Image, said: Any) -> None:
    for share, times in ((0.66, 1), (0.75, 1), (0.7, 1.3), (0.5, 2)):
        enlarged = jpeg(shrunk(jpeg(photo, 90), share), 85).resize(shrunk(photo, times).size, Image.Resampling.LANCZOS)
        assert "at full size" in said(photo, jpeg(enlarged.filter(ImageFilter.UnsharpMask(1.5, 100, 0)), 95))


CHANGES: dict[str, Change] = {
    "coarser before": lambda picture: jpeg(jpeg(picture, 60), 97),
    "coarser, now a PNG": lambda picture: jpeg(picture, 70),
    "median": lambda picture: jpeg(picture.filter(ImageFilter.MedianFilter(3)), 97),
    "sharpened": lambda picture: jpeg(picture.filter(ImageFilter.UnsharpMask(1, 60, 0)), 95),
    "saturation": lambda picture: jpeg(ImageEnhance.Color(picture).enhance(1.15), 95),
    "contrast": lambda picture: jpeg(ImageEnhance.Contrast(picture).enhance(1.05), 95),
    "shifted": lambda picture: jpeg(ImageChops.offset(picture, 2, 0), 95),
    "few colours": lambda picture: picture.quantize(64, dither=Image.Dither.NONE).convert("RGB"),
    "coarse colours": lambda picture: jpeg(_with_coarse_colours(picture), 97),
}


def _with_coarse_colours(picture: Image.Image) -> Image.Image:
    light, *colours = picture.convert("YCbCr").split()
    coarse = (shrunk(band, 1 / 6, Image.Resampling.BOX).resize(band.size) for band in colours)
    return Image.merge("YCbCr", (light, *coarse)).convert("RGB")


@pytest.mark.parametrize("name", CHANGES)
def test_more_than_its_own_compression(photo: Image.Image, said: Any, name: str) -> None:
    assert "at full size" in said(photo, CHANGES[name](jpeg(photo, 90)))


@pytest.mark.parametrize("at", [(300, 200), (0, 440), (600, 0)])
@pytest.mark.parametrize("size", [(60, 18), (30, 30)])
def test_a_spot_is_found_wherever_it_is(
    photo: Image.Image, said: Any, at: tuple[int, int], size: tuple[int, int]
) -> None:
    covered, box = photo.copy(), (*at, at[0] + size[0], at[1] + size[1])
    covered.paste(photo.crop(box).filter(ImageFilter.GaussianBlur(8)), at)
    assert "they differ around" in said(photo, jpeg(covered, 97))
    assert "they differ around" in said(shrunk(photo, 0.8), jpeg(covered, 97))
