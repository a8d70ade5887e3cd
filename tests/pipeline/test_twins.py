from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance

from twinpix.pipeline.bench.folder import without_twins
from twinpix.pipeline.twins import THUMB, fine_structure, thumbnails, twin_groups

Paint = Callable[..., Image.Image]


def test_fine_structure_is_the_thumbnail_less_its_local_mean() -> None:
    thumbs = np.random.default_rng(0).uniform(0, 255, (2, THUMB, THUMB)).astype(np.float32)
    got = fine_structure(thumbs).reshape(2, THUMB, THUMB)
    for n, y, x in ((0, 0, 0), (0, 10, 20), (1, 31, 1), (1, 2, 31)):
        window = thumbs[n, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        fine = thumbs[n, y, x] - window.mean()
        scale = fine / got[n, y, x]
        assert scale > 0 and np.isclose(scale, (thumbs[n, 0, 0] - thumbs[n, :3, :3].mean()) / got[n, 0, 0], rtol=1e-3)
    assert np.allclose(np.linalg.norm(fine_structure(thumbs), axis=1), 1)


def test_layout_makes_no_twins() -> None:
    """Pictures that share their coarse layout but not their detail are different pictures."""
    sky = np.linspace(255, 0, 240)[:, None, None] * np.ones((1, 320, 3))
    dice = np.random.default_rng(1)
    details = [dice.uniform(0, 50, (30, 40, 1)).repeat(8, 0).repeat(8, 1) for _ in range(2)]
    hazy = [Image.fromarray((0.8 * sky + detail).astype(np.uint8)) for detail in details]
    assert twin_groups(fine_structure(thumbnails(hazy))).tolist() == [0, 1]


def test_recoloured_and_resized_copies_are_twins(paint: Paint) -> None:
    first, other = paint(1), paint(2)
    copy = ImageEnhance.Brightness(first).enhance(0.8).resize((200, 150))
    pictures = [first, other, copy]
    assert twin_groups(fine_structure(thumbnails(pictures))).tolist() == [0, 1, 0]
    assert without_twins(pictures) == [0, 1]


def test_blank_pictures_are_nobody_s_twins() -> None:
    blank = [Image.new("RGB", (50, 40), colour) for colour in ("red", "red")]
    assert twin_groups(fine_structure(thumbnails(blank))).tolist() == [0, 1]


def test_no_pictures() -> None:
    assert without_twins([]) == []
