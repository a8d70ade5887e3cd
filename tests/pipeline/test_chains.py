"""No member beyond the threshold of its representative, whatever the pictures and their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.duplicates import group_duplicates
from twinpix.pipeline.report import Embeddings, Report
from twinpix.pipeline.stream import encode_images

Floats = NDArray[np.float32]
THRESHOLD = 0.3


def grouped(embeddings: Embeddings, encoder: OnnxEncoder, order: list[int], index: str | None = None) -> Report:
    paths = tuple(embeddings.paths[k] for k in order)
    moved = Embeddings(paths, embeddings.vectors[order], encoder.fingerprint)
    return group_duplicates(moved, encoder, THRESHOLD, index=index)


def check(embeddings: Embeddings, encoder: OnnxEncoder) -> Report:
    """The report, if it keeps what it promises in any order."""
    vector = dict(zip(embeddings.paths, embeddings.vectors, strict=True))
    order = list(range(len(embeddings.paths)))
    report = grouped(embeddings, encoder, order)
    for group in report.groups:
        far = [float(np.linalg.norm(vector[path] - vector[group.files[0]])) for path in group.files]
        assert max(far) <= THRESHOLD + 1e-6
        assert group.max_l2_distance == pytest.approx(max(far), abs=1e-6)
    for seed in range(3):
        other = grouped(embeddings, encoder, np.random.default_rng(seed).permutation(order).tolist())
        assert (other.groups, other.matches) == (report.groups, report.matches)
    return report


def unit(vectors: NDArray[np.float64]) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def embedded(vectors: Floats, encoder: OnnxEncoder) -> Embeddings:
    return Embeddings(tuple(Path(f"/a/{k:03}.jpg") for k in range(len(vectors))), vectors, encoder.fingerprint)


def test_a_chain_of_26(encoder: OnnxEncoder) -> None:
    angles = np.arange(26) * 0.2  # neighbours are 0.2 apart, the next ones 0.4
    vectors = np.zeros((26, 256), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    report = check(embedded(vectors, encoder), encoder)
    assert len(report.matches) == 25
    assert max(len(group.files) for group in report.groups) == 3
    inside = sum(len(group.files) - 1 for group in report.groups)
    assert report.links == len(report.matches) - inside


def test_bursts(encoder: OnnxEncoder) -> None:
    dice = np.random.default_rng(0)
    places = np.repeat(dice.standard_normal((12, 256)), 20, axis=0)
    drift = np.cumsum(dice.standard_normal((240, 256)), axis=0) * 0.05
    report = check(embedded(unit(places + drift), encoder), encoder)
    assert report.groups


def test_500_flat_images(encoder: OnnxEncoder, tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    for k in range(500):
        colour = tuple(dice.integers(0, 256, 3).tolist())
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{k:03}.png")
    check(encode_images(tmp_path, encoder=encoder), encoder)


def test_the_report_says_which_index_it_was(encoder: OnnxEncoder) -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((500, 256)))
    vectors[250:260] = vectors[:10]
    report = grouped(embedded(vectors, encoder), encoder, list(range(500)), "ivf")
    assert report.index.name.endswith("Flat")
    assert report.index.cells > 1
    assert len(report.groups) == 10
    assert grouped(embedded(vectors, encoder), encoder, list(range(500))).index.is_exact
