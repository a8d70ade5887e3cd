"""Kinds of picture, on made-up ones."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from twinpix.pipeline.calibration.picture_class import picture_class


def page(ink: int = 30) -> Image.Image:
    picture = Image.new("RGB", (600, 800), (244, 243, 238))
    draw, dice = ImageDraw.Draw(picture), np.random.default_rng(0)
    for line in range(40, 760, 20):
        for word in range(40, 540, 14):
            if dice.random() < 0.8:
                draw.rectangle((word, line, word + 7, line + 9), fill=(ink, ink, ink))
    return picture


def screen() -> Image.Image:
    picture = Image.new("RGB", (800, 500), (40, 44, 52))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 800, 40), fill=(70, 110, 200))
    draw.rectangle((0, 41, 180, 500), fill=(60, 64, 72))
    draw.rectangle((220, 80, 780, 300), fill=(235, 235, 235))
    draw.rectangle((700, 8, 790, 32), fill=(220, 60, 60))
    return picture


def test_kinds() -> None:
    dice = np.random.default_rng(1)
    rough = Image.fromarray(dice.integers(0, 256, (40, 60, 3), dtype=np.uint8)).resize((600, 400))
    assert picture_class(page()) == "document"
    assert picture_class(screen()) == "screenshot"
    assert picture_class(rough) == "photo"
    assert picture_class(Image.new("RGB", (300, 200), (90, 30, 30))) == "flat"
    assert picture_class(Image.linear_gradient("L").convert("RGB").resize((900, 900))) == "flat"


def test_any_size_has_a_kind() -> None:
    for size in ((1, 1), (1, 900), (4000, 2), (3, 3)):
        assert picture_class(Image.new("RGB", size)) == "flat"


def test_compression_changes_nothing(tmp_path: object) -> None:
    from pathlib import Path

    for name, picture in (("document", page()), ("screenshot", screen())):
        path = Path(str(tmp_path)) / f"{name}.jpg"
        picture.save(path, quality=85)
        assert picture_class(Image.open(path).convert("RGB")) == name


def test_a_picture_on_white_is_no_document() -> None:
    thing = Image.new("RGB", (500, 500), (250, 250, 250))
    ImageDraw.Draw(thing).ellipse((150, 120, 380, 400), fill=(60, 40, 30))
    assert picture_class(thing) in ("photo", "screenshot", "flat")
