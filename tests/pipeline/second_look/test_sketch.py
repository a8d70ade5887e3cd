"""The coarse look that comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.bench.edits import jpeg, mirror, zoom
from twinpix.pipeline.second_look.sketch import SMALL_PX, have_something_in_common, sketch

Paint = Callable[..., Image.Image]


@pytest.fixture(scope="module")
def photo(paint: Paint) -> Image.Image:
    return paint(1, 480, 360, 40)


def in_common(a: Image.Image, b: Image.Image) -> bool:
    one, other = sketch(a), sketch(b)
    found = have_something_in_common(one, other)
    assert have_something_in_common(other, one) == found, "the order changes nothing"
    return found


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "zoomed": lambda p: zoom(1.5)(p, np.random.default_rng(0)),
    "mirrored": lambda p: mirror(p, np.random.default_rng(0)),
    "worn": lambda p: jpeg(10)(p, np.random.default_rng(0)),
    "turned": lambda p: p.rotate(25, expand=True),
    "cut": lambda p: p.crop((140, 90, 400, 300)),
    "small": lambda p: p.resize((120, 90)),
    "grey": lambda p: p.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_has_something_in_common_with_its_original(edit: str, photo: Image.Image) -> None:
    assert in_common(photo, EDITS[edit](photo))


@pytest.mark.parametrize("seed", range(2, 12))
def test_other_pictures_have_nothing(seed: int, photo: Image.Image, paint: Paint) -> None:
    assert not in_common(photo, paint(seed, 480, 360, 40))


def test_a_jpeg_is_decoded_small_for_it(photo: Image.Image, paint: Paint, tmp_path: Path) -> None:
    for picture, said in ((photo, True), (paint(2, 480, 360, 40), False)):
        picture.save(tmp_path / "a.jpg", quality=80)
        assert have_something_in_common(sketch(tmp_path / "a.jpg"), sketch(photo)) is said
    page = Image.new("RGB", (480, 640), "white")
    page.save(tmp_path / "page.jpg")
    assert sketch(tmp_path / "page.jpg").is_page


def test_of_smooth_and_tiny_pictures_and_of_pages_nothing_is_said(photo: Image.Image, paint: Paint) -> None:
    for other in (Image.new("RGB", (480, 360), "teal"), paint(3, 480, 360, 3), paint(3, 12, 12, 12)):
        assert not sketch(other).is_telling
        assert in_common(photo, other)
    pages = [Image.new("RGB", (480, 640), "white") for _ in range(2)]
    for page, seed in zip(pages, (0, 1), strict=True):
        dice = np.random.default_rng(seed)
        for x, y in dice.integers(0, 460, (120, 2)).tolist():
            ImageDraw.Draw(page).rectangle((x, y, x + 5, y + 5), fill="black")
        assert sketch(page).is_page
    assert in_common(*pages)
    assert not in_common(photo, pages[0]), "a photo is no page"


def test_what_it_holds(photo: Image.Image, tmp_path: Path) -> None:
    seen = sketch(photo)
    assert [small.shape for small in seen.small] == [(72, SMALL_PX)] * 2
    assert np.array_equal(seen.small[0][:, ::-1], seen.small[1])
    for points, descriptors in zip(seen.points, seen.descriptors, strict=True):
        assert points.dtype == np.float32 and points.shape == (len(descriptors), 2) and len(points) > 100
        assert descriptors.dtype == np.uint8 and descriptors.shape[1] == 32
        assert points.min() >= 0 and points[:, 0].max() < 384 and points[:, 1].max() < 288
    assert all(abs(float(np.linalg.norm(thumb)) - 1) < 1e-5 for thumb in seen.thumbs)
    with pytest.raises(ImageError):
        sketch(tmp_path / "none.png")


def test_panoramas_and_strips_fail_nothing(paint: Paint) -> None:
    for size in ((2000, 30), (30, 2000), (400, 18)):
        strip = paint(5, *size, 40)
        assert in_common(strip, strip)
