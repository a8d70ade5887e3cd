"""Drawn vectors, and the command that measures on them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.pipeline.bench.drawn_vectors import draw_vectors, share_within
from twinpix.pipeline.bench.scale import scale
from twinpix.pipeline.bench.scale_check import expected_pairs

MAKEFILE = Path(__file__).parents[3] / "Makefile"


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
    assert all(50 < row["peak_mb"] < 500 for row in rows)
    assert all(row["checked_recall"] == 1 and row["checked_pairs"] == row["pairs"] for row in rows)
    assert "ratio" in capsys.readouterr().out
    assert "<svg" in page.read_text()


def test_make_bench_plots_it_too() -> None:
    asked = ["make", "-n", "-f", str(MAKEFILE), "bench", f"VENV={sys.prefix}", "DIR=photos"]
    plain, full = (subprocess.run([*asked, *more], capture_output=True, text=True) for more in ([], ["SCALE=1"]))
    assert "twinpix bench" in plain.stdout and "twinpix scale" not in plain.stdout
    assert "twinpix bench" in full.stdout
    assert 'twinpix scale "photos" --sizes 10000,100000,1000000 --json scale.json --html scale.html' in full.stdout


def test_what_is_missed_shows(tmp_path: Path) -> None:
    """Pairs of a sample by comparing with all, against NumPy: those within reach, the 60 nearest of each row."""
    dice = np.random.default_rng(0)
    vectors = np.repeat(dice.standard_normal((20, 32)), 90, 0) + 0.05 * dice.standard_normal((1800, 32))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    sample = np.array([3, 400, 401])
    distance = np.linalg.norm(vectors[sample][:, None] - vectors[None], axis=2)
    wanted = set[tuple[int, int]]()
    for row, to in zip(sample.tolist(), distance, strict=True):
        near = [int(j) for j in np.argsort(to)[1:61] if to[j] <= 0.6]
        assert len(near) == 60
        wanted |= {(min(row, j), max(row, j)) for j in near}
    assert expected_pairs(vectors, sample, 0.6).tolist() == sorted(i * 1800 + j for i, j in wanted)


def test_sizes_are_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--sizes"):
        scale(tmp_path, "many")
    with pytest.raises(InputError, match="--within"):
        scale(tmp_path, "1000", within=1.0)
    with pytest.raises(InputError, match="ivf-rabitq"):
        scale(tmp_path, "1000", index="hnsw")
