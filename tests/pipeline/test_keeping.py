"""Pictures that are kept from their encoding to the coarse look."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder, load_encoder
from twinpix.encoder.pairs import PREPROCESS, Parts, shipped_pairs
from twinpix.pipeline import keeping as module
from twinpix.pipeline.duplicates import find_duplicates, group_duplicates
from twinpix.pipeline.keeping import Keeping, keeping, kept_by
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.report import Embeddings
from twinpix.pipeline.second_look import eye
from twinpix.pipeline.second_look.parts import parts
from twinpix.pipeline.stream import encode_images

Paint = Callable[..., Image.Image]


@pytest.fixture
def folder(tmp_path: Path, paint: Paint) -> Path:
    """12 unlike pictures, and a crop of the first."""
    (place := tmp_path / "photos").mkdir()
    for seed in range(12):
        paint(seed, 480, 360, 40).save(place / f"{seed:02}.png")
    paint(0, 480, 360, 40).crop((60, 40, 400, 300)).save(place / "crop.png")
    time.sleep(2 * module.TICK / 1e9)  # what is younger than a run is read again
    return place


@pytest.fixture
def read_again(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The files that coarse looks read."""
    read: list[Any] = []

    def noted(source: Any) -> Parts:
        read.append(source)
        return parts(source)

    monkeypatch.setattr(eye, "parts", noted)
    return read


def test_an_encoder_that_keeps_is_that_encoder(encoder: OnnxEncoder, folder: Path) -> None:
    keeps, files = keeping(encoder), sorted(folder.iterdir())
    assert (keeps.name, keeps.dim, keeps.fingerprint) == (encoder.name, encoder.dim, encoder.fingerprint)
    assert keeps.max_distance == encoder.max_distance and keeps.calibration is encoder.calibration
    vectors = keeps.encode(np.stack([keeps.prepare(file) for file in files]))
    assert np.array_equal(vectors, encoder(files))
    embedded = Embeddings(tuple(files), vectors, encoder.fingerprint)
    kept = kept_by(keeps, embedded)
    for row, file in enumerate(files):
        assert_array_equal(kept(row), shipped_pairs().prepare(file), "as the pair model prepares it")
    assert kept_by(encoder, embedded)(0) is None
    assert keeping(encoder, threshold=0.5) is keeping(encoder, verify=False) is encoder, "no look follows"
    files[0].write_bytes(files[1].read_bytes())
    files[2].unlink()
    assert [kept(row) is None for row in range(4)] == [True, False, True, False], "what has changed is read again"


def test_pictures_that_may_be_prepared_otherwise_are_not_kept(encoder: OnnxEncoder, folder: Path) -> None:
    class OfOnesOwn(OnnxEncoder):
        pass

    other = load_encoder()
    other.preprocess = replace(PREPROCESS, despeckle=False)
    file = folder / "00.png"
    for one, is_kept in ((load_encoder(), True), (other, False), (OfOnesOwn(encoder.path), False)):
        keeps = Keeping(one)
        assert (keeps.kept(file, keeps.encode(keeps.prepare(file)[None])[0]) is not None) == is_kept


def test_no_more_is_kept_than_fits(encoder: OnnxEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    keeps, pictures = Keeping(encoder), np.random.default_rng(0).integers(0, 256, (4, 3, 96, 96), dtype=np.uint8)
    vectors = np.concatenate([keeps.encode(pictures[:2]), keeps.encode(pictures[2:])])
    assert [keeps.kept(folder / "00.png", vector) is not None for vector in vectors] == [True, True, False, False]


@pytest.mark.parametrize("remembered", [False, True])
def test_no_file_is_read_again_for_a_coarse_look(folder: Path, read_again: list[Any], remembered: bool) -> None:
    library = Library(folder.parent / "library") if remembered else None
    report = find_duplicates(folder, library=library)
    assert report.looked_at > 0 and not read_again
    assert [sorted(file.name for file in group.files) for group in report.groups] == [["00.png", "crop.png"]]


def test_nothing_depends_on_what_was_kept(
    folder: Path, encoder: OnnxEncoder, read_again: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = find_duplicates(folder)
    assert group_duplicates(encode_images(folder), encoder) == kept
    assert len(read_again) > 2
    monkeypatch.setattr(module, "KEPT", 5)
    assert find_duplicates(folder, workers=1) == kept
