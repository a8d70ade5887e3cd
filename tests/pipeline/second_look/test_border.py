"""Even borders, which lie on what a crop has cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from twinpix.pipeline.relation.kinds import WHOLE, Box, Kind, Relation, Side
from twinpix.pipeline.relation.pairs import relation_of
from twinpix.pipeline.relation.words import short
from twinpix.pipeline.second_look.border import Border, border_of, without_border
from twinpix.pipeline.second_look.look import look
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import examine

Paint = Callable[..., Image.Image]


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    skimage = pytest.importorskip("skimage")
    return Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB")


def framed(picture: Image.Image, left: int, top: int, right: int, bottom: int, fill: str = "white") -> Image.Image:
    return ImageOps.expand(picture, (left, top, right, bottom), fill)


@pytest.mark.parametrize("sides", [(40, 30, 20, 50), (0, 60, 0, 60), (50, 0, 0, 0)])
def test_a_border_is_as_wide_as_it_was_made(sides: tuple[int, int, int, int], photo: Image.Image) -> None:
    picture = framed(photo, *sides, fill="black")
    found, scale = border_of(look(picture)), 384 / max(picture.size)
    assert found is not None
    for width, made in zip((found.left, found.top, found.right, found.bottom), sides, strict=True):
        assert (width == 0) == (made == 0)
        assert width == 0 or scale * made <= width <= scale * made + 4, "a little more, where it is blurred"
    inner = without_border(look(picture), found)
    assert inner.size == (
        look(picture).size[0] - found.left - found.right,
        look(picture).size[1] - found.top - found.bottom,
    )
    assert abs(inner.colours.shape[1] / inner.colours.shape[0] - inner.size[0] / inner.size[1]) < 0.02


def test_what_has_no_border(photo: Image.Image, paint: Paint) -> None:
    thing = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(thing).ellipse((120, 60, 290, 250), fill="navy")
    sky = paint(3, 400, 300, 40)
    ImageDraw.Draw(sky).polygon([(0, 0), (400, 0), (400, 40), (210, 120), (0, 60)], fill="skyblue")
    for picture in (photo, paint(1, 400, 300, 40), thing, sky, Image.new("RGB", (400, 300), "teal")):
        assert border_of(look(picture)) is None
    mostly = framed(paint(1, 60, 60, 8), 170, 170, 170, 170)
    assert border_of(look(mostly)) is None, "too little is left"
    assert without_border(look(photo), None).size == look(photo).size


def related(copy: Image.Image, whole: Image.Image) -> tuple[Relation, Relation]:
    for one, other in ((copy, whole), (whole, copy)):
        assert examine(look(one), look(other)).outcome is Outcome.CONFIRMED
    return relation_of(copy, whole), relation_of(whole, copy)


@pytest.mark.parametrize("fill", ["white", "black", "#3060a0"])
def test_a_part_in_a_border_is_a_copy(fill: str, photo: Image.Image) -> None:
    copy = framed(photo.crop((60, 40, 420, 380)), 40, 30, 50, 60, fill)
    assert examine(look(copy), look(photo)).borders[1] is None
    for relation, original in zip(related(copy, photo), (Side.REFERENCE, Side.QUERY), strict=True):
        assert relation.kind is Kind.EDITED and relation.original is original
        assert set(relation.to_dict()["edits"]) == {"crop", "zoom", "border"}
        assert relation.edits.crop and relation.edits.crop.overlap(Box(60 / 512, 40 / 512, 420 / 512, 380 / 512)) > 0.95
        assert (
            relation.edits.border
            and relation.edits.border.overlap(Box(40 / 450, 30 / 430, 400 / 450, 370 / 430)) > 0.95
        )
        assert "with a border" in short(relation)


def test_two_parts_in_borders_of_their_own(photo: Image.Image) -> None:
    one, other = framed(photo.crop((60, 40, 420, 380)), 40, 30, 50, 60), framed(photo, 30, 60, 30, 60, "black")
    for relation in related(one, other):
        assert relation.kind is Kind.EDITED and relation.edits.crop is not None and relation.edits.border is not None
        across, down = Box(90 / 572, 100 / 632, 450 / 572, 440 / 632), relation.edits.crop
        assert down.overlap(across) > 0.93, "as parts of the whole picture, its own border included"


def test_the_whole_without_its_border_is_cropped(photo: Image.Image) -> None:
    part = photo.crop((100, 50, 400, 400))
    bordered = framed(photo, 80, 20, 60, 20)
    relation = relation_of(part, bordered)
    assert relation.kind is Kind.EDITED and relation.original is Side.REFERENCE
    assert relation.edits.border is None and relation.edits.crop is not None


def test_the_same_border_on_both_is_no_edit(photo: Image.Image) -> None:
    letterbox = framed(photo.crop((0, 100, 512, 400)), 0, 60, 0, 60, "black")
    small = letterbox.resize((384, 315), Image.Resampling.LANCZOS)
    assert relation_of(letterbox, small).kind is Kind.RESIZED


def test_a_border_makes_nothing_one_picture(paint: Paint) -> None:
    for fill in ("white", "black"):
        one, other = (framed(paint(seed, 400, 300, 40), 40, 40, 40, 40, fill) for seed in (1, 2))
        assert examine(look(one), look(other)).outcome is Outcome.REFUTED
        assert examine(look(one), look(paint(2, 400, 300, 40))).outcome is Outcome.REFUTED


def test_boxes() -> None:
    half = Box(0.5, 0.0, 1.0, 0.5)
    assert half.part(WHOLE) == half and WHOLE.part(half) == half
    assert half.part(half) == Box(0.75, 0.0, 1.0, 0.25)
    assert WHOLE.beyond(half) == 0.5 and half.beyond(WHOLE) == 0.0 and half.beyond(half) == 0.0
    assert Border(1, 2, 3, 4) != Border(0, 0, 0, 0) and np.isclose(half.part(half).area, half.area**2)
