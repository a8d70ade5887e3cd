"""The classic descriptions: what they are is frozen, and what they need is named."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder import classic
from twinpix.encoder.classic import ClassicEncoder
from twinpix.encoder.cnn import CnnEncoder
from twinpix.encoder.errors import ImageError, MissingPackageError, ModelError
from twinpix.encoder.protocol import Encoder, Vectors

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]

HASHES = {
    "ahash": "0e3c70e1871f3e39",
    "phash": "80701c377967ad7a",
    "dhash": "fcf9e38f3f7ef8f3",
    "whash": "0e3c70e1871f3e39",
    "colorhash": "000000009000",
    "pdq": "56a274aa01f757a8dd2a467d19ea774a199fc77afdd21e6703de5574001d0007",
}


def make(name: str) -> ClassicEncoder:
    pytest.importorskip("pdqhash" if name.startswith("pdq") else "imagehash")
    encoder = getattr(classic, name)()
    assert isinstance(encoder, ClassicEncoder)
    return encoder


def describe(encoder: Encoder, source: Any) -> Vectors:
    vector: Vectors = encoder.encode(encoder.prepare(source)[None])[0]
    return vector


@pytest.fixture(scope="module")
def pattern() -> Image.Image:
    """A picture made of whole numbers, the same everywhere."""
    y, x = np.mgrid[:192, :256]
    levels = np.stack([(x * y) // 192 % 256, (x + 2 * y) % 256, (255 - x + y // 2) % 256], -1)
    return Image.fromarray(levels.astype(np.uint8))


@pytest.mark.parametrize("name", HASHES)
def test_known_answers(name: str, pattern: Image.Image) -> None:
    encoder = make(name)
    bits = describe(encoder, pattern)
    assert bits.shape == (encoder.dim,)
    assert bits.dtype == np.float32
    assert np.packbits(bits.astype(np.uint8)).tobytes().hex() == HASHES[name]


def test_pdq8_begins_with_pdq_and_holds_the_mirrored_one(paint: Paint) -> None:
    bits = describe(make("pdq8"), paint(1)).reshape(8, 256)
    assert np.array_equal(bits[0], describe(make("pdq"), paint(1)))
    mirrored = describe(make("pdq"), paint(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert np.abs(bits - mirrored).sum(1).min() <= 8 < np.abs(bits[0] - mirrored).sum()


def test_pixels(pattern: Image.Image) -> None:
    levels = np.asarray(pattern.resize((32, 32), Image.Resampling.BILINEAR)) / 255
    found = describe(classic.pixels(), pattern)
    assert found == pytest.approx(levels.ravel(), abs=1e-6)
    direction = describe(classic.directions(), pattern)
    assert direction[:-1] == pytest.approx(found / np.linalg.norm(found), abs=1e-6)
    assert direction[-1] == 0
    assert describe(classic.luma(), pattern).mean() == pytest.approx(
        np.asarray(pattern.convert("L")).mean() / 255, abs=0.01
    )


def test_black_has_a_direction_of_its_own() -> None:
    encoder = classic.directions()
    black, grey = (describe(encoder, Image.new("RGB", (9, 9), (v, v, v))) for v in (0, 9))
    assert np.linalg.norm(black) == 1
    assert black @ grey == 0


@pytest.mark.parametrize("name", ["ahash", "phash", "dhash", "whash"])
def test_flat_pictures_are_all_one_to_a_hash(name: str) -> None:
    encoder = make(name)
    white, red = (describe(encoder, Image.new("RGB", (90, 60), colour)) for colour in ("white", "red"))
    assert np.array_equal(white, red)


@pytest.mark.parametrize("name", [*HASHES, "pdq8", "pixels", "directions", "luma"])
def test_every_description_keeps_the_protocol(name: str, paint: Paint, pack: Pack) -> None:
    encoder = make(name)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = pack(paint(1).transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    assert np.array_equal(describe(encoder, turned), describe(encoder, paint(1)))
    assert np.array_equal(describe(encoder, Image.open(io.BytesIO(turned))), describe(encoder, paint(1)))
    for size in ((1, 1), (1, 900), (900, 2)):
        assert describe(encoder, Image.new("RGBA", size, (5, 90, 200, 99))).shape == (encoder.dim,)
    assert encoder.encode(np.empty((0, encoder.dim), np.float32)).shape == (0, encoder.dim)
    assert np.linalg.norm(describe(encoder, paint(1)) - describe(encoder, paint(2))) <= encoder.max_distance
    assert not encoder.is_calibrated
    with pytest.raises(ModelError, match="pass a threshold"):
        _ = encoder.calibration
    with pytest.raises(ImageError):
        encoder.prepare(b"no image")


def test_fingerprints_differ() -> None:
    encoders = [make(name) for name in (*HASHES, "pdq8", "pixels", "directions", "luma")]
    assert len({encoder.fingerprint for encoder in encoders}) == len(encoders)


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [("imagehash", "phash", "bench"), ("pdqhash", "pdq", "pdq"), ("pdqhash", "pdq8", "pdq")],
)
def test_a_missing_package_is_named(package: str, name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"{package}.*twinpix\[{extra}\]"):
        getattr(classic, name)()


@pytest.mark.parametrize("package", ["torch", "torchvision.models"])
def test_a_missing_torch_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=r"twinpix\[train\]"):
        CnnEncoder("cnn-euclidean")


# -- the CNN


@pytest.fixture(scope="module")
def cnn() -> CnnEncoder:
    pytest.importorskip("torch")
    return CnnEncoder("cnn-cosine", unit=True)


def test_random_weights_are_named_and_always_the_same(cnn: CnnEncoder, paint: Paint) -> None:
    import torch

    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    again = CnnEncoder("cnn-cosine")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert cnn.name == again.name == "cnn-cosine (random weights)"
    assert cnn.fingerprint == again.fingerprint
    features = describe(again, paint(1))
    assert features.shape == (1280,)
    assert describe(cnn, paint(1)) == pytest.approx(features / np.linalg.norm(features), abs=1e-5)


def test_the_cnn_sees_the_picture(cnn: CnnEncoder, paint: Paint) -> None:
    original, copy, other = (describe(cnn, p) for p in (paint(1), paint(1).resize((200, 150)), paint(2)))
    assert np.linalg.norm(original) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(original - copy) < np.linalg.norm(original - other) / 2
    both = cnn.encode(np.stack([cnn.prepare(paint(1)), cnn.prepare(paint(2))]))
    assert both[1] == pytest.approx(other, abs=1e-4)
    assert cnn.encode(np.empty((0, 3, 224, 224), np.uint8)).shape == (0, 1280)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_weights_of_ones_own(ending: str, cnn: CnnEncoder, paint: Paint, tmp_path: Path) -> None:
    import torch

    path = tmp_path / f"weights{ending}"
    state = {key: value.contiguous() for key, value in cnn._network.state_dict().items()}
    state |= {"classifier.1.weight": torch.zeros(1000, 1280), "classifier.1.bias": torch.zeros(1000)}
    if ending == ".pth":
        torch.save(state, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, path)
    own = CnnEncoder("cnn-cosine", path, unit=True)
    assert own.name == "cnn-cosine"
    assert own.fingerprint != cnn.fingerprint
    assert describe(own, paint(1)) == pytest.approx(describe(cnn, paint(1)), abs=1e-5)


def test_other_files_are_no_weights(cnn: CnnEncoder, tmp_path: Path) -> None:
    import torch

    torch.save({"layer": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("other.pth", "text.pth", "text.safetensors", "list.pth"):
        with pytest.raises(ModelError, match=name) as raised:
            CnnEncoder("cnn-cosine", tmp_path / name)
        assert "\n" not in str(raised.value)
    with pytest.raises(ModelError, match="no such file"):
        CnnEncoder("cnn-cosine", tmp_path / "gone.pth")
