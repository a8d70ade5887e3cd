"""Crowds of one file are one picture to compare: the groups are the same, the pairs are not n x n."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline import copies
from twinpix.pipeline.act.make import make_plan
from twinpix.pipeline.classic.metrics import METRICS
from twinpix.pipeline.classic.scan import find_by
from twinpix.pipeline.copies import crowds, marks_of
from twinpix.pipeline.duplicates import find_duplicates, group_duplicates
from twinpix.pipeline.report import Report
from twinpix.pipeline.scan.local import local_engine
from twinpix.pipeline.scan.scan import scan
from twinpix.pipeline.scan.scanned import Options
from twinpix.pipeline.scan.source import FRESH
from twinpix.pipeline.show import report_dict
from twinpix.pipeline.stream import encode_images

Paint = Callable[..., Image.Image]


@pytest.fixture
def album(tmp_path: Path, paint: Paint) -> Path:
    """Nine files of one picture, eight of a smaller copy, one of a darker one; a pair; blank pages; two others."""
    folder = tmp_path / "album"
    (folder / "below").mkdir(parents=True)
    paint(1, 300, 200, 40).save(folder / "b0.png")
    paint(1, 300, 200, 40).resize((150, 100)).save(folder / "c0.jpg", quality=80)
    for k in range(1, 9):
        shutil.copy(folder / "b0.png", folder / ("below" if k % 2 else ".") / f"b{k}.png")
    for k in range(1, 8):
        shutil.copy(folder / "c0.jpg", folder / f"c{k}.jpg")
    paint(1, 300, 200, 40).point(lambda level: level * 0.8).save(folder / "darker.png")
    for k in range(6):
        Image.new("RGB", (100 + k % 2, 80), "white").save(folder / f"white{k}.png")
    paint(2, 300, 200, 40).save(folder / "d.png")
    paint(2, 300, 200, 40).save(folder / "d.jpg")
    for seed in (3, 4):
        paint(seed, 300, 200, 40).save(folder / f"{seed}.png")
    time.sleep(2 * FRESH)
    return folder


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "CROWD", 4)


def said(report: Report) -> list[tuple[tuple[Path, ...], tuple[object, ...]]]:
    return [(group.files, group.relations) for group in report.groups]


@pytest.mark.parametrize("wanted", [{}, {"threshold": 0.3}, {"verify": False}])
def test_the_groups_are_those_of_all_pairs(
    album: Path, encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, float | bool]
) -> None:
    everything = find_duplicates(album, encoder=encoder, **wanted)  # type: ignore[arg-type]
    monkeypatch.setattr(copies, "CROWD", 4)
    report = find_duplicates(album, encoder=encoder, **wanted)  # type: ignore[arg-type]
    assert said(report) == said(everything) and len(report.groups[0].files) >= 17
    assert set(report.matches) < set(everything.matches)
    assert len(report.matches) < 70 < 17 * 16 / 2 < len(everything.matches)
    assert (report.threshold, report.images) == (everything.threshold, everything.images)


@pytest.mark.parametrize("name", ["phash", "ssim", "colorhash", "euclidean"])
def test_classic_metrics_do_the_same(album: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    everything = find_by(METRICS[name], album)
    monkeypatch.setattr(copies, "CROWD", 4)
    report = find_by(METRICS[name], album)
    assert report.groups == everything.groups
    values, all_values = ({(m.query, m.reference): m.value for m in found.matches} for found in (report, everything))
    assert set(values) < set(all_values)
    # the last bits of a product of matrices depend on their shapes
    assert values == pytest.approx({pair: all_values[pair] for pair in values}, abs=1e-4)


@pytest.mark.usefixtures("crowded")
def test_a_scan_says_the_same(album: Path, encoder: OnnxEncoder, tmp_path: Path) -> None:
    report = find_duplicates(album, encoder=encoder)
    with local_engine(2) as engine:
        exact = scan([str(album)], engine, str(tmp_path / "exact"), encoder)
        cells = scan([str(album)], engine, str(tmp_path / "cells"), encoder, options=Options(index="cells"))
    assert report_dict(exact.report) == report_dict(report)
    assert [group.files for group in cells.report.groups] == [group.files for group in report.groups]
    assert len(cells.report.matches) == len(report.matches)


@pytest.mark.usefixtures("crowded")
def test_embeddings_of_files_that_are_gone_are_compared_as_they_are(album: Path, encoder: OnnxEncoder) -> None:
    embeddings = encode_images(album, encoder=encoder)
    shutil.rmtree(album)
    report = group_duplicates(embeddings, encoder, verify=False)
    assert len(report.matches) >= 17 * 16 / 2


@pytest.mark.usefixtures("crowded")
def test_equal_vectors_of_different_files_are_no_crowd(album: Path, encoder: OnnxEncoder) -> None:
    embeddings = encode_images(album, encoder=encoder)
    marks = marks_of(embeddings.vectors)
    white = [row for row, path in enumerate(embeddings.paths) if path.name.startswith("white")]
    assert len({int(marks[row]) for row in white}) == 1  # one embedding, but three files and three
    left = crowds(embeddings.paths, marks, {})
    assert {embeddings.paths[row].name[0] for row in left.left.tolist()} == {"b", "c"}
    assert {embeddings.paths[row].name for row in left.of.tolist()} == {"b0.png", "c0.jpg"}


def test_marks_tell_vectors_apart() -> None:
    vectors = np.random.default_rng(0).standard_normal((20_000, 16)).astype(np.float32)
    assert len(np.unique(marks_of(vectors))) == 20_000
    vectors[1], vectors[2] = vectors[0], vectors[0][::-1]
    marks = marks_of(vectors)
    assert marks[0] == marks[1] != marks[2]
    assert np.array_equal(marks_of(vectors[7:11]), marks[7:11])
    assert len(marks_of(vectors[:0])) == 0


def test_thousands_of_one_file(tmp_path: Path, paint: Paint, encoder: OnnxEncoder) -> None:
    paint(1).save(tmp_path / "first.png")
    for k in range(2000):
        (tmp_path / f"{k:04}.png").hardlink_to(tmp_path / "first.png")
    report = find_duplicates(tmp_path, encoder=encoder)
    assert [len(group.files) for group in report.groups] == [2001] and len(report.matches) == 2000


def test_a_plan_is_the_same_whichever_of_them_stays(
    album: Path, encoder: OnnxEncoder, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "newest.png").write_bytes((album / "b0.png").read_bytes())
    paint(1, 300, 200, 40).save(album / "e0.jpg", quality=95)
    for k in range(1, 6):
        shutil.copy2(album / "e0.jpg", album / f"e{k}.jpg")
    os.utime(album / "newest.png", (2e9, 2e9))
    everything = make_plan(find_duplicates(album, encoder=encoder), "newest")
    monkeypatch.setattr(copies, "CROWD", 4)
    plan = make_plan(find_duplicates(album, encoder=encoder), "newest")
    assert plan.groups == everything.groups
    (group,) = (one for one in plan.groups if one.files[0].path.name == "newest.png")
    assert {file.path.name for file in group.files if file.goes} >= {f"e{k}.jpg" for k in range(6)}
