"""The callable pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import twinpix
from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.onnx import OnnxEncoder

Paint = Callable[..., Image.Image]


@dataclass(frozen=True)
class MeanColour:
    """The smallest encoder there is: its distances are known."""

    name: str = "mean colour"
    dim: int = 3
    fingerprint: str = "mean"
    max_distance: float = 442.0
    is_calibrated: bool = False

    @property
    def calibration(self) -> twinpix.Calibration:
        """There is none."""
        raise twinpix.ModelError("mean colour: not calibrated")

    def prepare(self, source: ImageLike) -> NDArray[np.float32]:
        """float32 (3,)."""
        means: NDArray[np.float32] = np.asarray(read_picture(source), np.float32).mean((0, 1))
        return means

    def encode(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n, 3)."""
        return pictures


def test_one_image_and_many(encoder: OnnxEncoder, album: Path, paint: Paint) -> None:
    pipe = twinpix.image_encoding()
    vector = pipe(album / "a.png")
    assert vector.shape == (encoder.dim,) and vector.dtype == np.float32
    assert np.array_equal(vector, encoder(album / "a.png"))
    kinds: list[ImageLike] = [str(album / "a.png"), (album / "a.png").read_bytes(), paint(0), np.asarray(paint(0))]
    assert np.array_equal(pipe.batch(kinds), np.stack([vector] * 4))
    assert np.array_equal(pipe(kinds), pipe.batch(kinds))
    assert pipe.batch([]).shape == (0, encoder.dim)


def test_duplicates_by_the_norm_of_the_difference(encoder: OnnxEncoder, album: Path) -> None:
    pipe = twinpix.image_encoding(encoder)
    assert pipe.threshold == encoder.calibration.pair_threshold
    for other in ("a.webp", "b.png"):
        distance = float(np.linalg.norm(pipe(album / "a.png") - pipe(album / other)))
        assert pipe.distance(album / "a.png", album / other) == pytest.approx(distance)
        assert pipe.is_duplicate(album / "a.png", album / other) == (distance <= pipe.threshold) == (other == "a.webp")


def test_any_encoder_and_a_threshold_of_ones_own() -> None:
    black, grey = Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), (3, 4, 0))
    pipe = twinpix.image_encoding(MeanColour(), threshold=5.0)
    assert pipe.distance(black, grey) == 5.0
    assert pipe.is_duplicate(black, grey)
    assert not replace(pipe, own_threshold=4.9).is_duplicate(black, grey)
    with pytest.raises(twinpix.ModelError, match="not calibrated"):
        twinpix.image_encoding(MeanColour()).is_duplicate(black, grey)
    assert twinpix.image_encoding(MeanColour())(grey).tolist() == [3, 4, 0]


def test_a_model_by_its_path(encoder: OnnxEncoder, paint: Paint) -> None:
    assert np.array_equal(twinpix.image_encoding(encoder.path)(paint(1)), encoder(paint(1)))
    with pytest.raises(twinpix.ModelError, match=r"nothing\.onnx"):
        twinpix.image_encoding("nothing.onnx")
    with pytest.raises(twinpix.ImageError):
        twinpix.image_encoding()(b"no image")


@pytest.mark.parametrize(("thing", "kind"), [(None, "NoneType"), (3, "int"), ([None], "NoneType")])
def test_what_is_no_image(thing: Any, kind: str) -> None:
    for pipe in (twinpix.image_encoding(), twinpix.image_encoding(MeanColour())):
        with pytest.raises(twinpix.InputError, match=f"^an image is a path.*, not {kind}$"):
            pipe(thing)


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_a_threshold_that_is_no_distance(threshold: float) -> None:
    with pytest.raises(twinpix.InputError, match="threshold"):
        twinpix.image_encoding(threshold=threshold)


def test_embeddings_compare_by_identity(album: Path) -> None:
    one, other = twinpix.encode_images(album), twinpix.encode_images(album)
    assert one == one and one != other and len({one, other}) == 2
