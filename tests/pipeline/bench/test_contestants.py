"""Which methods take part."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.errors import InputError, ModelError
from twinpix.encoder.onnx import MODELS, OnnxEncoder, load_encoder
from twinpix.pipeline.bench.cli import bench
from twinpix.pipeline.bench.contestants import (
    EMBEDDING,
    LABELS,
    Choice,
    baseline_method,
    encoder_method,
    enter,
    load_methods,
    metric_method,
)
from twinpix.pipeline.bench.method import Plain
from twinpix.pipeline.classic.metrics import METRICS

Paint = Callable[..., Image.Image]
SHIPPED = MODELS / "twinpix.onnx"


def test_every_metric_has_a_label() -> None:
    assert set(LABELS) == set(METRICS)


def test_names() -> None:
    assert Choice(("pdq", "twinpix")).wanted() == ("twinpix", "pdq")
    assert {"twinpix", "embedding", "phash", "pdq", "ssim"} <= set(Choice().wanted())
    assert not {"cnn-cosine", "autoencoder"} & set(Choice().wanted())
    assert set(METRICS) < set(Choice(("all",)).wanted())
    assert "autoencoder" in Choice(("phash",), baseline=Path("a.onnx")).wanted()
    with pytest.raises(InputError, match="choose from twinpix, embedding"):
        Choice(("phash", "nonsense")).wanted()
    with pytest.raises(InputError, match="--baseline"):
        Choice(("autoencoder",)).wanted()


def test_the_shipped_encoder(encoder: OnnxEncoder, paint: Paint) -> None:
    method = encoder_method(EMBEDDING, "embedding alone", encoder, 3)
    pictures = [paint(seed) for seed in range(3)]
    assert np.array_equal(method.encode(pictures), encoder(pictures))
    assert method.threshold == encoder.calibration.library_threshold(3)
    contestants, left_out = enter(Choice(("twinpix", "embedding")), pictures)
    assert [contestant.name.split()[0] for contestant in contestants] == ["twinpix", "embedding"]
    assert contestants[0].method is contestants[1].method  # a copy is encoded once for both
    assert left_out == []


def test_models_are_rows_beside_the_shipped_encoder(paint: Paint, other: Path) -> None:
    pictures = [paint(seed) for seed in range(3)]
    contestants, left_out = enter(Choice(("twinpix", "embedding"), (other, other)), pictures)
    shipped, mine = load_encoder(), load_encoder(other)
    names = [contestant.name for contestant in contestants]
    assert names == [f"twinpix {shipped.fingerprint[:6]}", "embedding alone", mine.name]
    assert contestants[2].method.key == str(other)
    assert np.array_equal(contestants[1].method.encode(pictures), shipped(pictures))
    assert left_out == []


def test_the_shipped_file_as_a_model_is_no_second_row(paint: Paint) -> None:
    pictures = [paint(seed) for seed in range(3)]
    contestants, left_out = enter(Choice(("embedding",), (SHIPPED,)), pictures)
    assert [contestant.name for contestant in contestants] == ["embedding alone"]
    assert left_out == [f"{SHIPPED} has no row of its own: it is the shipped encoder"]
    contestants, left_out = enter(Choice(("euclidean",), (SHIPPED,)), pictures)
    assert [contestant.name for contestant in contestants] == [load_encoder().name, "Euclidean"]
    assert left_out == []


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    for methods in ((), ("euclidean",)):
        choice = Choice(methods, models=(SHIPPED, tmp_path / "none.onnx"))
        with pytest.raises(ModelError):
            choice.check()
        with pytest.raises(ModelError):
            load_methods(choice, 3)


def test_phash_counts_bits(paint: Paint) -> None:
    imagehash = pytest.importorskip("imagehash")
    pair = [paint(1), paint(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    method = metric_method("phash")
    a, b = method.encode(pair)
    assert ((a - b) ** 2).sum() == imagehash.phash(pair[0]) - imagehash.phash(pair[1])
    assert method.threshold == pytest.approx(10**0.5)
    assert method.on_scale(10**0.5) == 10


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    methods, _, left_out = load_methods(Choice(("phash", "euclidean")), 3)
    assert list(methods) == ["euclidean"]
    assert len(left_out) == 1
    assert "phash is left out" in left_out[0]
    with pytest.raises(InputError, match="phash is left out"):
        enter(Choice(("phash",)), [Image.new("RGB", (9, 9))] * 3)


def test_blocks_separate_what_is_close(paint: Paint) -> None:
    method = baseline_method(SHIPPED)  # any encoder will do
    dice = np.random.default_rng(0)
    centres = np.eye(40, 64, dtype=np.float32)
    vectors = (centres.repeat(3, 0) + 0.01 * dice.standard_normal((120, 64))).astype(np.float32)
    unrelated = Plain(method, vectors).unrelated()
    assert unrelated.pairs == 7140
    assert 0 < len(unrelated.scores) < 3000  # only pairs inside one of 20 blocks are compared
    own = Plain(method, vectors).to_own(np.arange(3), [paint(0)] * 3, vectors[[0, 1, 110]])
    assert own[:2].tolist() == [0, 0]


def test_help_names_every_method() -> None:
    text = " ".join((bench.__doc__ or "").split())
    assert all(f" {name}" in text for name in (*METRICS, "twinpix", "embedding", "autoencoder"))
