"""`compare`, and `find-duplicates --metric`, as people run them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from twinpix.encoder.errors import InputError
from twinpix.pipeline.classic import scan
from twinpix.pipeline.classic.metrics import METRICS
from twinpix.pipeline.classic.scan import find_by, near_pairs
from twinpix.pipeline.cli import app

Paint = Callable[..., Image.Image]


def run(*args: str | Path) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def error_line(result: Any) -> str:
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return str(result.stderr)


def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "torchvision", "torchvision.models"):
        monkeypatch.setitem(__import__("sys").modules, name, None)


# -- compare


def test_compare(album: Path) -> None:
    same = run("compare", album / "a.png", album / "a.webp", "--metric", "phash")
    other = run("compare", album / "a.png", album / "b.png", "--metric", "phash")
    assert (same.exit_code, other.exit_code) == (0, 1)
    assert same.stdout == "duplicate: phash 0, threshold 10 (Hamming distance, 0..64 bits, smaller is closer)\n"
    assert other.stdout.startswith("not a duplicate: phash ")


def test_compare_with_a_threshold_on_the_metrics_own_scale(album: Path) -> None:
    pair = ("compare", album / "a.png", album / "b.png", "--metric")
    assert run(*pair, "phash", "--threshold", "64").exit_code == 0
    assert run(*pair, "ssim", "--threshold", "-1").exit_code == 0
    assert run(*pair, "ssim", "--threshold", "1").exit_code == 1
    assert "SSIM value, -1..1" in error_line(run(*pair, "ssim", "--threshold", "3"))
    assert "name one with --metric" in error_line(run(*pair, "all", "--threshold", "3"))


def test_compare_json(album: Path) -> None:
    values = json.loads(run("compare", album / "a.png", album / "a.webp", "--metric", "ssim", "--json").stdout)
    assert values == {"schema": 1, "metric": "ssim", "scale": METRICS["ssim"].scale, "value": 1.0,
                      "threshold": METRICS["ssim"].threshold, "duplicate": True}  # fmt: skip


def test_compare_by_all_without_torch(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_torch(monkeypatch)
    result = run("compare", album / "a.png", album / "b.png")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1 + len(METRICS) - result.stderr.count("\n")
    assert "left out: cnn-cosine: the CNN needs torch" in result.stderr
    values = json.loads(run("compare", album / "a.png", album / "b.png", "--json").stdout)
    assert {"euclidean", "cosine", "ssim"} <= {row["metric"] for row in values["metrics"]}
    assert {"cnn-euclidean", "cnn-cosine"} <= {row["metric"] for row in values["left_out"]}
    named = run("compare", album / "a.png", album / "b.png", "--metric", "cnn-cosine")
    assert "twinpix[train]" in error_line(named)


def test_compare_refuses(album: Path, tmp_path: Path) -> None:
    pair = ("compare", album / "a.png", album / "b.png")
    assert "no metric is called 'nope': choose from euclidean" in error_line(run(*pair, "--metric", "nope"))
    assert "phash has none" in error_line(run(*pair, "--metric", "phash", "--weights", tmp_path / "w.pth"))
    assert "notes.txt: not an image" in error_line(run("compare", album / "a.png", album / "notes.txt"))
    assert "gone.png: no such file" in error_line(run("compare", album / "gone.png", album / "a.png"))


# -- find-duplicates --metric


@pytest.mark.parametrize("name", ["euclidean", "cosine", "ssim", "ahash", "phash", "dhash", "whash", "pdq8"])
def test_find_duplicates(name: str, album: Path) -> None:
    if name == "pdq8":
        pytest.importorskip("pdqhash")
    result = run("find-duplicates", album, "--metric", name, "--json")
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    assert (values["schema"], values["metric"], values["scale"]) == (1, name, METRICS[name].scale)
    assert values["images"] == 5
    (group,) = values["groups"]
    assert {Path(file).name for file in group["files"]} == {"a.png", "a.webp", "a copy.png"}
    best = 1 if METRICS[name].bounds[0] < 0 else 0
    assert group["farthest_value"] == best
    assert [set(match) for match in values["matches"]] == [{"query", "reference", "value"}] * 3
    assert {match["value"] for match in values["matches"]} == {best}
    assert "l2_distance" not in result.stdout
    assert [s["reason"] for s in values["skipped"]] == ["not_an_image"]


def test_find_duplicates_for_people(album: Path) -> None:
    result = run("find-duplicates", album, "--metric", "phash")
    assert "Group 1: 3 files, phash up to 0\n" in result.stdout
    assert "5 images, 1 group, 2 duplicates, 1 files skipped\n" in result.stdout
    assert "threshold 10 (Hamming distance, 0..64 bits, smaller is closer); no second look" in result.stdout
    assert "L2" not in result.stdout


def test_exit_codes_of_a_scan(album: Path) -> None:
    assert run("find-duplicates", album, "--metric", "phash", "--fail-on-duplicates").exit_code == 1
    assert run("find-duplicates", album / "b.png", "--metric", "phash", "--fail-on-duplicates").exit_code == 0
    (album / "cut.png").write_bytes((album / "a.png").read_bytes()[:-500])
    result = run("find-duplicates", album, "--metric", "phash")
    assert result.exit_code == 3
    assert "cut.png" in result.stderr


def test_the_threshold_is_on_the_metrics_own_scale(album: Path) -> None:
    def matches(threshold: str) -> int:
        values = json.loads(
            run("find-duplicates", album, "--metric", "ssim", "--threshold", threshold, "--json").stdout
        )
        assert values["threshold"] == float(threshold)
        return len(values["matches"])

    assert (matches("-1"), matches("1")) == (10, 3)


def test_find_duplicates_refuses(album: Path) -> None:
    named = ("find-duplicates", album, "--metric")
    assert "no metric is called 'nope': choose from euclidean" in error_line(run(*named, "nope"))
    assert "goes without --model" in error_line(run(*named, "phash", "--model", album / "x.onnx"))
    assert "goes without --verify" in error_line(run(*named, "phash", "--verify"))
    assert "0..64 bits" in error_line(run(*named, "phash", "--threshold", "65"))
    assert "--metric cnn" in error_line(run("find-duplicates", album, "--weights", album / "w.pth"))
    assert "no such folder" in error_line(run(*named, "phash", album / "gone"))


def test_an_empty_folder(tmp_path: Path) -> None:
    result = run("find-duplicates", tmp_path, "--metric", "ssim")
    assert result.exit_code == 0
    assert "0 images, no duplicates, 0 files skipped" in result.stdout


# -- blocks


@pytest.mark.parametrize(("name", "limit"), [("euclidean", 1.5), ("ssim", 0.5)])
def test_blocks_find_what_one_piece_finds(name: str, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    dim = METRICS[name].make().dim
    vectors = np.random.default_rng(0).random((4, dim)).repeat(5, 0).astype(np.float32)
    vectors += np.random.default_rng(1).random(vectors.shape).astype(np.float32) / 20
    distances = METRICS[name].distances
    whole = near_pairs(vectors, distances, limit)
    monkeypatch.setattr(scan, "BLOCK", 7)
    pieces = near_pairs(vectors, distances, limit)
    assert 40 <= len(whole[0]) < 190
    assert (
        pairs(pieces)
        == pairs(whole)
        == {(i, j) for i, j in zip(*np.nonzero(distances(vectors, vectors) <= limit), strict=True) if i < j}
    )


def pairs(found: Any) -> set[tuple[int, int]]:
    return set(zip(found[0].tolist(), found[1].tolist(), strict=True))


def test_a_flood_of_pairs_is_refused(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MAX_PAIRS", 9)
    with pytest.raises(InputError, match="stricter"):
        find_by(METRICS["ssim"], album, threshold=-1)
