"""The encoder as people call it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.errors import ImageError, InputError, MissingPackageError, ModelError
from twinpix.encoder.onnx import BATCH, METADATA_KEY, MODELS, OnnxEncoder, fingerprint, load_encoder
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.shipped import SHIPPED
from twinpix.pipeline.duplicates import find_duplicates

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]
Remade = Callable[[dict[str, Any] | str | None], Path]


def distance(a: Any, b: Any) -> float:
    return float(np.linalg.norm(a - b))


def test_one_image_one_vector(encoder: OnnxEncoder, paint: Paint) -> None:
    vector = encoder(paint(1))
    assert vector.shape == (encoder.dim,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_jpeg_that_is_decoded_small_hardly_differs_from_its_levels(
    encoder: OnnxEncoder, paint: Paint, pack: Pack
) -> None:
    data = pack(paint(1, 500, 375), "JPEG", quality=95)
    small, whole = encoder(data), encoder(Image.open(io.BytesIO(data)))
    assert 0 < distance(small, whole) < 0.1


def test_a_list_gives_rows(encoder: OnnxEncoder, tmp_path: Path, paint: Paint) -> None:
    paint(0).save(tmp_path / "a.png")
    vectors = encoder([str(tmp_path / "a.png"), paint(1), np.asarray(paint(2))])
    assert vectors.shape == (3, encoder.dim)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[1], encoder(paint(1)))
    assert np.array_equal(encoder((paint(1),)), vectors[1:2])
    empty = encoder([])
    assert empty.shape == (0, encoder.dim)
    assert empty.dtype == np.float32


@pytest.mark.parametrize("size", [(320, 240), (1600, 1203)])
def test_every_kind_of_input_agrees(
    encoder: OnnxEncoder, tmp_path: Path, size: tuple[int, int], paint: Paint, pack: Pack
) -> None:
    picture, path = paint(1, *size), tmp_path / "a.png"
    picture.save(path)
    data = path.read_bytes()
    expected = encoder(path)
    kinds = (str(path), data, bytearray(data), memoryview(data), picture, Image.open(path), np.asarray(picture))
    for image in kinds:
        assert np.array_equal(encoder(image), expected), type(image)  # type: ignore[arg-type]


def test_orientation_is_the_same_from_a_file_and_in_memory(encoder: OnnxEncoder, paint: Paint, pack: Pack) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = pack(paint(1).transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    assert np.array_equal(encoder(data), encoder(paint(1)))
    assert np.array_equal(encoder(Image.open(io.BytesIO(data))), encoder(paint(1)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_any_pillow_mode(encoder: OnnxEncoder, mode: str) -> None:
    assert np.isfinite(encoder(Image.new(mode, (50, 40)))).all()


def test_arrays(encoder: OnnxEncoder, paint: Paint) -> None:
    rgb = np.asarray(paint(1))
    grey = np.ascontiguousarray(rgb[..., 0])
    assert np.array_equal(encoder(grey), encoder(grey[..., None]))
    opaque = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    assert np.array_equal(encoder(opaque), encoder(rgb))
    assert np.array_equal(encoder(rgb[:, ::-1]), encoder(np.ascontiguousarray(rgb[:, ::-1])))
    assert np.array_equal(encoder(rgb[::2, ::2]), encoder(np.ascontiguousarray(rgb[::2, ::2])))


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), bool), np.zeros(5, np.uint8),
     np.zeros((2, 4, 4, 3), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((3, 8, 8), np.uint8)],
)  # fmt: skip
def test_other_arrays_are_refused(encoder: OnnxEncoder, array: Any) -> None:
    with pytest.raises(InputError, match="uint8"):
        encoder(array)


def test_bad_images_raise_image_errors(encoder: OnnxEncoder, tmp_path: Path, paint: Paint) -> None:
    with pytest.raises(ImageError):
        encoder(b"no image")
    with pytest.raises(ImageError):
        encoder(tmp_path / "nothing.png")
    with pytest.raises(ImageError):
        encoder([paint(1), b""])


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (5000, 2)])
def test_extreme_shapes(encoder: OnnxEncoder, size: tuple[int, int]) -> None:
    assert np.linalg.norm(encoder(Image.new("RGB", size, (3, 2, 1)))) == pytest.approx(1, abs=1e-4)


def test_the_batch_does_not_change_an_embedding(encoder: OnnxEncoder) -> None:
    size = encoder.preprocess.size
    pictures = np.random.default_rng(0).integers(0, 256, (2 * BATCH + 3, 3, size, size), dtype=np.uint8)
    alone = np.concatenate([encoder.encode(picture[None]) for picture in pictures])
    for block in (2, 7, 16, BATCH, len(pictures)):
        parts = [encoder.encode(pictures[i : i + block]) for i in range(0, len(pictures), block)]
        assert np.array_equal(np.concatenate(parts), alone), block
    assert np.array_equal(encoder.encode(pictures[::-1])[::-1], alone)
    assert encoder.encode(pictures[:0]).shape == (0, encoder.dim)


def test_threads_may_share_it(encoder: OnnxEncoder, paint: Paint) -> None:
    pictures = [paint(seed, 64, 64) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        assert np.array_equal(np.stack(list(pool.map(encoder, pictures))), encoder(pictures))


def test_unrelated_noise_is_far_apart(encoder: OnnxEncoder, paint: Paint) -> None:
    assert distance(encoder(paint(1)), encoder(paint(2))) > encoder.calibration.pair_threshold


@pytest.mark.parametrize("size", [(640, 480), (4000, 3000)])
def test_lossless_formats_agree(encoder: OnnxEncoder, size: tuple[int, int], paint: Paint, pack: Pack) -> None:
    picture = paint(3, *size, cells=40)
    expected = encoder(pack(picture, "PNG", compress_level=1))
    for kind, options in {"WEBP": {"lossless": True, "method": 0, "quality": 0}, "BMP": {}, "TIFF": {}}.items():
        assert distance(encoder(pack(picture, kind, **options)), expected) < 1e-3, kind
    assert distance(encoder(picture), expected) < 1e-3


def test_known_facts(encoder: OnnxEncoder) -> None:
    card = json.loads((MODELS / "twinpix.json").read_text())
    assert encoder.fingerprint == card["fingerprint"] == SHIPPED[-1], "the list in encoder/shipped.py has all of them"
    assert encoder.dim == card["dim"]
    assert encoder.preprocess == Preprocess(**card["preprocess"])
    assert encoder.fingerprint in repr(encoder)
    assert (MODELS / "twinpix.onnx").stat().st_size <= 15 * 1024**2


def test_fingerprint_covers_network_and_preprocessing() -> None:
    base = fingerprint(b"network", Preprocess(112))
    assert len(base) == 16
    assert base == fingerprint(b"network", Preprocess(112))
    assert len({base, fingerprint(b"other", Preprocess(112)), fingerprint(b"network", Preprocess(128))}) == 3
    assert base != fingerprint(b"network", Preprocess(112, "box"))


def test_a_copy_with_other_weights_is_another_model(encoder: OnnxEncoder, tmp_path: Path) -> None:
    data, path = (MODELS / "twinpix.onnx").read_bytes(), tmp_path / "copy.onnx"
    path.write_bytes(data)  # no NAME.json vouches for it
    assert load_encoder(path).fingerprint == encoder.fingerprint
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    largest = max(model.graph.initializer, key=lambda weights: len(weights.raw_data))
    largest.raw_data = largest.raw_data[:-1] + bytes([largest.raw_data[-1] ^ 1])
    onnx.save(model, path)
    assert load_encoder(path).fingerprint != encoder.fingerprint


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_no_model(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx"):
        load_encoder(path)
    with pytest.raises(ModelError):
        load_encoder(tmp_path)


@pytest.fixture
def remade(tmp_path: Path) -> Remade:
    """The shipped model with other metadata."""
    onnx = pytest.importorskip("onnx")

    def make(facts: dict[str, Any] | str | None) -> Path:
        model = onnx.load(MODELS / "twinpix.onnx")
        kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        if facts is not None:
            text = facts if isinstance(facts, str) else json.dumps(facts)
            model.metadata_props.add(key=METADATA_KEY, value=text)
        onnx.save(model, tmp_path / "other.onnx")
        return tmp_path / "other.onnx"

    return make


FACTS: dict[str, Any] = {"schema": 1, "preprocess": {"size": 112}, "dim": 256, "fingerprint": "0123"}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (FACTS | {"schema": 2}, "newer twinpix"),
        ({}, "newer twinpix"),
        ("{damaged", "damaged"),
        ("[1]", "damaged"),
        (FACTS | {"dim": None}, "damaged"),
        (FACTS | {"preprocess": {"siez": 3}}, "damaged"),
        (FACTS | {"preprocess": {"size": "big"}}, "damaged"),
        (FACTS | {"preprocess": {"interpolation": "none"}}, "damaged"),
        ({"schema": 1}, "damaged"),
    ],
)
def test_other_metadata(remade: Remade, facts: dict[str, Any] | str | None, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_encoder(remade(facts))


def test_a_model_without_metadata_is_one_made_elsewhere(remade: Remade, encoder: OnnxEncoder, paint: Paint) -> None:
    path = remade(None)
    with pytest.raises(ModelError, match="not a twinpix encoder"):
        OnnxEncoder(path)
    other = load_encoder(path)  # the graph takes levels as they are, and its size stands in its shape
    as_large_as_the_input = paint(1, 96, 96)
    assert other(as_large_as_the_input) == pytest.approx(encoder(as_large_as_the_input), abs=1e-5)
    assert not other.is_calibrated and other.fingerprint != encoder.fingerprint


def test_without_calibration_a_threshold_does(remade: Remade, encoder: OnnxEncoder, paint: Paint, album: Path) -> None:
    other = load_encoder(remade(FACTS | {"preprocess": encoder.preprocess.to_dict(), "dim": encoder.dim}))
    assert np.array_equal(other(paint(1)), encoder(paint(1)))
    with pytest.raises(ModelError, match="not calibrated"):
        _ = other.calibration
    report = find_duplicates(album, encoder=other, threshold=0.1)
    assert report.expected_false_pairs is None and len(report.groups) == 1


def test_without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r"twinpix\[cpu\]"):
        load_encoder()


def test_a_flipped_bit_anywhere_in_a_model_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    data, path = (MODELS / "twinpix.onnx").read_bytes(), tmp_path / "twinpix.onnx"
    path.with_suffix(".json").write_bytes((MODELS / "twinpix.json").read_bytes())
    for place in np.random.default_rng(0).integers(len(data), size=20).tolist():
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ModelError, match=r"not the file that twinpix.json beside it was written for"):
            load_encoder(path)
    path.write_bytes(data)
    assert load_encoder(path).dim == 256
