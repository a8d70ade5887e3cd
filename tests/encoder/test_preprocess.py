"""The one preprocessing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.preprocess import Preprocess

Paint = Callable[..., Image.Image]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "box"])
@pytest.mark.parametrize("size", [(320, 240), (1, 1), (3, 900), (64, 64)])
def test_any_shape_becomes_one_square(interpolation: str, size: tuple[int, int], paint: Paint) -> None:
    pixels = Preprocess(64, interpolation)(paint(1, *size))
    assert pixels.shape == (3, 64, 64)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


def test_channels_come_first_and_nothing_is_normalised() -> None:
    pixels = Preprocess(8)(Image.new("RGB", (20, 30), (10, 100, 250)))
    assert [np.unique(channel).tolist() for channel in pixels] == [[10], [100], [250]]


def test_a_picture_of_the_right_size_is_untouched(paint: Paint) -> None:
    picture = paint(1, 64, 64)
    assert np.array_equal(Preprocess(64)(picture).transpose(1, 2, 0), np.asarray(picture))


def test_down_scaling_averages() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(Preprocess(32)(Image.fromarray(stripes)).astype(int) - 127.5).max() < 5  # no aliasing


def test_round_trip() -> None:
    some = Preprocess(96, "box", reducing_gap=1.4)
    assert Preprocess(**some.to_dict()) == some  # type: ignore[arg-type]


@pytest.mark.parametrize(("gap", "pixels"), [(2.0, 96), (1.4, 68), (1.0, 48), (9.0, 96)])
def test_the_gap_holds_for_the_decoder_of_a_jpeg(gap: float, pixels: int) -> None:
    assert Preprocess(96, reducing_gap=gap).jpeg_at_least == pixels


def test_smaller_gap_hardly_changes_levels(paint: Paint) -> None:
    picture = paint(3, 500, 375)
    wide, narrow = (Preprocess(96, reducing_gap=gap)(picture).astype(int) for gap in (2.0, 1.4))
    assert 0 < np.abs(wide - narrow).mean() < 2


@pytest.mark.parametrize("values", [{"size": 0}, {"size": 100_000}, {"interpolation": "none"}, {"reducing_gap": 0.5}])
def test_impossible_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="preprocessing"):
        Preprocess(**values)  # type: ignore[arg-type]
