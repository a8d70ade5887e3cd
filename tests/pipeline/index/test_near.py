"""FAISS against brute force on the same contract."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.encoder.errors import MissingPackageError
from twinpix.pipeline.index import by_distance, exact_distances, first_of_each, near
from twinpix.pipeline.index.near import pairs_within

Floats = NDArray[np.float32]


def sphere(n: int, dim: int = 32, seed: int = 0) -> Floats:
    vectors = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def brute_force(vectors: Floats, limit: float) -> list[tuple[int, int]]:
    found = []
    for i in range(len(vectors) - 1):
        gap = np.linalg.norm(vectors[i + 1 :] - vectors[i], axis=1)
        found += [(i, int(j) + i + 1) for j in np.flatnonzero(gap <= limit)]
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 5000])
@pytest.mark.parametrize("levels", [1, 7, 1 << 20])  # few: many ties
def test_by_distance_orders_as_lexsort(count: int, levels: int) -> None:
    dice = np.random.default_rng(levels)
    groups, ties = dice.integers(0, 9, count), dice.permutation(count)
    distances = (dice.integers(0, levels, count) / levels).astype(np.float32)
    assert np.array_equal(by_distance(groups, distances, ties), np.lexsort((ties, distances, groups)))
    ordered = np.sort(groups)
    assert np.array_equal(ordered[first_of_each(ordered)], np.unique(groups))


@pytest.mark.parametrize("n", [2, 5, 1023, 1024, 1025, 2053])
@pytest.mark.parametrize("limit", [0.3, 0.9])
def test_same_pairs_and_distances_as_numpy(monkeypatch: pytest.MonkeyPatch, n: int, limit: float) -> None:
    monkeypatch.setattr(near, "QUERY_BLOCK", 1024)
    vectors = sphere(n)
    twins = vectors[: n // 2] + np.random.default_rng(1).normal(0, 0.02, (n // 2, 32)).astype(np.float32)
    vectors = np.concatenate([vectors, twins / np.linalg.norm(twins, axis=1, keepdims=True)])
    i, j, distance = pairs_within(vectors, limit)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == brute_force(vectors, limit)
    assert len(i) >= n // 2
    assert distance == pytest.approx(np.linalg.norm(vectors[i] - vectors[j], axis=1), abs=1e-6)
    assert distance.dtype == np.float32


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_for_a_pair(n: int) -> None:
    assert [column.tolist() for column in pairs_within(sphere(5)[:n], 2.0)] == [[], [], []]


def test_zero_finds_equal_rows_only_at_exactly_zero() -> None:
    vectors = sphere(3000, 256)
    vectors[2999] = vectors[0]
    vectors[1500] = vectors[1100]
    vectors[7] = vectors[6] + np.float32(1e-6)
    i, j, distance = pairs_within(vectors, 0.0)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 2999), (1100, 1500)]
    assert (distance == 0).all()


def test_the_limit_itself_is_included() -> None:
    angles = np.radians([0, 30, 60, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    limit = float(exact_distances(vectors, np.array([0]), np.array([1]))[0])
    pairs = list(zip(*(column.tolist() for column in pairs_within(vectors, limit)[:2]), strict=True))
    assert (0, 1) in pairs
    assert (0, 2) not in pairs
    assert (0, 1) not in list(zip(*(c.tolist() for c in pairs_within(vectors, limit - 1e-4)[:2]), strict=True))


def test_two_finds_every_pair_even_opposite_ones() -> None:
    vectors = sphere(200)
    vectors[1] = -vectors[0]
    assert len(pairs_within(vectors, 2.0)[0]) == 200 * 199 // 2


def test_exact_distances_in_blocks() -> None:
    vectors = sphere(300)
    i, j = (np.random.default_rng(k).integers(0, 300, 1000) for k in (1, 2))
    expected = np.linalg.norm(vectors[i] - vectors[j], axis=1)
    for block in (1, 7, 999, 1000, 10_000):
        assert np.allclose(exact_distances(vectors, i, j, block), expected, atol=1e-6)
    assert (exact_distances(vectors, i, i) == 0).all()


def test_without_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingPackageError, match=r"twinpix\[cpu\]"):
        pairs_within(sphere(3), 1.0)
