"""The shipped pair model: what goes in, what comes out, and that damage is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from twinpix.encoder.errors import ImageError, ModelError
from twinpix.encoder.onnx import MODELS
from twinpix.encoder.pairs import GLANCE, PAIRS, PARTS, PairModel, shipped_pairs
from twinpix.encoder.session import sha256_of

FILES = (PARTS, GLANCE, PAIRS)


def test_pictures_become_parts_and_parts_of_two_log_odds() -> None:
    data, model = Path(pytest.importorskip("skimage").__file__).parent / "data", shipped_pairs()
    names = ("astronaut.png", "camera.png", "coffee.png", "coins.png", "rocket.jpg")
    pictures = np.stack([model.prepare(data / name) for name in names])
    assert pictures.dtype == np.uint8 and pictures.shape == (5, 3, 96, 96)
    parts = model.parts(pictures)
    assert parts.dtype == np.float16 and parts.shape == (5, 144, 112)
    for odds in (model.glance, model.logits):
        same, other = odds(parts, parts), odds(parts[:-1], parts[1:])
        assert same.dtype == np.float32 and same.shape == (5,) and other.shape == (4,)
        assert same.min() > 2 > -2 > other.max()
        np.testing.assert_allclose(odds(parts[1:], parts[:-1]), other, atol=0.01)  # either may be the query
    np.testing.assert_allclose(model.parts(pictures[:1]), parts[:1], atol=0.02)  # whatever else is in the batch


def test_it_says_what_a_file_can_t_be(tmp_path: Path) -> None:
    (tmp_path / "none.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"none\.jpg"):
        shipped_pairs().prepare(tmp_path / "none.jpg")


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_and_a_missing_file_named(name: str, tmp_path: Path) -> None:
    for file in FILES:
        for path in (MODELS / file, (MODELS / file).with_suffix(".json")):
            shutil.copy(path, tmp_path)
    PairModel(tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=f"{name}: not the file"):
        PairModel(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=f"{name}: no such model file"):
        PairModel(tmp_path)


def test_the_shipped_files_are_what_was_written_down() -> None:
    for name in FILES:
        facts = json.loads((MODELS / name).with_suffix(".json").read_text())
        assert facts["sha256"] == sha256_of(MODELS / name)
    assert facts["copies_kept"] > 0.95 > 0.1 > facts["look_alikes_kept"]
    text = b"".join((MODELS / name).read_bytes() for name in FILES)
    assert str(Path.home()).encode() not in text and b"site-packages" not in text
