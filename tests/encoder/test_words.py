"""The shipped word model: what goes in, what comes out, and that damage is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from twinpix.encoder.errors import ModelError
from twinpix.encoder.onnx import MODELS
from twinpix.encoder.session import sha256_of
from twinpix.encoder.words import WORDS, WordModel, shipped_words


def test_it_finds_where_words_are() -> None:
    skimage = pytest.importorskip("skimage")
    with Image.open(Path(skimage.__file__).parent / "data" / "coffee.png") as photo:
        picture = photo.convert("L").resize((384, 256))
    plain = shipped_words().where(np.asarray(picture))
    assert plain.dtype == np.float32 and plain.shape == (32, 48)
    font = ImageFont.load_default(30)
    ImageDraw.Draw(picture).text((192, 225), "Then who told them?", 255, font, "mm", stroke_width=2, stroke_fill=0)
    written = shipped_words().where(np.asarray(picture)) > 0
    assert written[26:30, 12:36].mean() > 0.7 and written[:22].mean() < 0.02 > (plain > 0).mean()


def test_any_size_up_to_384_will_do() -> None:
    for high, wide in ((384, 384), (7, 40), (383, 100), (8, 8)):
        assert shipped_words().where(np.zeros((high, wide), np.uint8)).shape == (high // 8, wide // 8)


def test_a_flipped_bit_is_found_and_a_missing_file_named(tmp_path: Path) -> None:
    for path in (MODELS / WORDS, (MODELS / WORDS).with_suffix(".json")):
        shutil.copy(path, tmp_path)
    WordModel(tmp_path)
    data = bytearray((tmp_path / WORDS).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / WORDS).write_bytes(data)
    with pytest.raises(ModelError, match=f"{WORDS}: not the file"):
        WordModel(tmp_path)
    (tmp_path / WORDS).unlink()
    with pytest.raises(ModelError, match=f"{WORDS}: no such model file"):
        WordModel(tmp_path)


def test_the_shipped_file_is_what_was_written_down() -> None:
    facts = json.loads((MODELS / WORDS).with_suffix(".json").read_text())
    assert facts["sha256"] == sha256_of(MODELS / WORDS)
    assert facts["found"] > 0.8 > 0.02 > facts["falsely"]
    text = (MODELS / WORDS).read_bytes()
    assert str(Path.home()).encode() not in text and b"site-packages" not in text
