"""Drawn vectors, and the command that measures on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.pipeline.bench.drawn_vectors import draw_vectors, share_within
from twinpix.pipeline.bench.scale import scale


def test_drawn_vectors() -> None:
    dice = np.random.default_rng(0)
    real = dice.standard_normal((300, 32)).astype(np.float32)
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    edits = 0.01 * dice.standard_normal((50, 32)).astype(np.float32)
    drawn = draw_vectors(1000, real, edits)
    assert drawn.vectors.shape == (1000, 32)
    assert np.linalg.norm(drawn.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    gap = np.linalg.norm(drawn.vectors[drawn.planted[:, 0]] - drawn.vectors[drawn.planted[:, 1]], axis=1)
    assert (len(gap), gap.max() < 0.12, gap.min() > 0) == (100, True, True)
    assert (draw_vectors(1000, real, edits).vectors == drawn.vectors).all()
    assert share_within(drawn.vectors, 2.0) == pytest.approx(1)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(30):
        levels = np.random.default_rng(k).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(levels).resize((80, 60)).save(tmp_path / f"{k}.png")
    numbers, page = tmp_path / "scale.json", tmp_path / "scale.html"
    assert scale(tmp_path, "600,1200", json=numbers, html=page) == 0
    rows = json.loads(numbers.read_text())["sizes"]
    assert [row["vectors"] for row in rows] == [600, 1200]
    assert all(row["recall"] == 1 and row["planted"] > 20 and row["ratio"] > 0 for row in rows)
    assert all(50 < row["peak_mb"] < 2000 for row in rows)
    assert "ratio" in capsys.readouterr().out
    assert "<svg" in page.read_text()


def test_sizes_are_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--sizes"):
        scale(tmp_path, "many")
