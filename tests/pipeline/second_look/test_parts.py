"""The coarse look that comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.bench.edits import jpeg, mirror, zoom
from twinpix.pipeline.second_look import parts as coarse
from twinpix.pipeline.second_look.parts import have_something_in_common, parts

Paint = Callable[..., Image.Image]


OTHERS = ("camera.png", "coffee.png", "chelsea.png", "coins.png", "rocket.jpg", "page.png", "text.png", "brick.png")


def shipped(name: str) -> Image.Image:
    """A photo that scikit-image brings along."""
    skimage = pytest.importorskip("skimage")
    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return shipped("astronaut.png")


def in_common(a: Image.Image, b: Image.Image, distance: float = 0.9) -> bool:
    one, other = parts(a), parts(b)
    found = have_something_in_common(one, other, distance)
    assert have_something_in_common(other, one, distance) == found, "the order changes nothing"
    return found


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "zoomed": lambda p: zoom(1.5)(p, np.random.default_rng(0)),
    "mirrored": lambda p: mirror(p, np.random.default_rng(0)),
    "worn": lambda p: jpeg(10)(p, np.random.default_rng(0)),
    "turned": lambda p: p.rotate(25, expand=True),
    "cut": lambda p: p.crop((100, 20, 380, 250)),
    "small": lambda p: p.resize((120, 90)),
    "grey": lambda p: p.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_has_something_in_common_with_its_original(edit: str, photo: Image.Image) -> None:
    assert in_common(photo, EDITS[edit](photo))


@pytest.mark.parametrize("name", OTHERS)
def test_other_pictures_have_nothing(name: str, photo: Image.Image) -> None:
    assert not in_common(photo, shipped(name))


def test_of_smooth_pictures_nothing_is_said(photo: Image.Image, paint: Paint) -> None:
    for other in (Image.new("RGB", (480, 360), "teal"), paint(3, 480, 360, 3), Image.new("RGB", (12, 12), "teal")):
        assert len(parts(other)) == 0
        assert in_common(photo, other)


def test_what_it_holds(photo: Image.Image, tmp_path: Path) -> None:
    seen = parts(photo)
    assert seen.dtype == np.float16 and seen.shape == (144, 112) and np.isfinite(seen).all()
    photo.save(tmp_path / "a.png")
    assert np.array_equal(parts(tmp_path / "a.png"), seen), "a file is seen as the picture in it"
    with pytest.raises(ImageError):
        parts(tmp_path / "none.png")


def test_the_farther_apart_two_lie_the_less_must_speak_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {-6.0: (False, False, False), -3.0: (False, False, True), -0.7: (False, True, True), 0.0: (True, True, True)}
    for logit, expected in said.items():
        model = SimpleNamespace(
            glance=lambda *_: np.array([9], np.float32), logits=lambda *_, logit=logit: np.array([logit], np.float32)
        )
        monkeypatch.setattr(coarse, "shipped_pairs", lambda model=model: model)
        seen = np.ones((144, 112), np.float16)
        found = tuple(have_something_in_common(seen, seen, distance) for distance in (0.2, 0.75, 1.1))
        assert found == expected


def test_what_differs_at_a_glance_is_not_compared_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SimpleNamespace(glance=lambda *_: np.array([coarse.AT_A_GLANCE - 0.1], np.float32), logits=None)
    monkeypatch.setattr(coarse, "shipped_pairs", lambda: model)
    seen = np.ones((144, 112), np.float16)
    assert not have_something_in_common(seen, seen, 0.2)


def test_panoramas_and_strips_fail_nothing(paint: Paint) -> None:
    for size in ((2000, 30), (30, 2000), (400, 18)):
        strip = paint(5, *size, 40)
        assert in_common(strip, strip)
