"""All distances at once equal the ones computed one by one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.pipeline.classic import distances
from twinpix.pipeline.classic.distances import l2, nearest_orientation_l2, one_minus_ssim

Floats = NDArray[np.float32]


def pictures(count: int, seed: int = 0) -> Floats:
    """Smooth grey pictures (n, 1024), some near one another."""
    dice = np.random.default_rng(seed)
    coarse = dice.random((count, 8, 8)).repeat(4, 1).repeat(4, 2)
    coarse[1::3] = coarse[::3][: len(coarse[1::3])] * 0.9
    return (coarse + 0.05 * dice.random((count, 32, 32))).clip(0, 1).reshape(count, -1).astype(np.float32)


def test_l2_equals_the_plain_definition() -> None:
    a, b = pictures(7), pictures(5, seed=1)
    b[3] = a[2]
    b[4] = a[6] + np.float32(1e-4)
    expected = np.linalg.norm(a[:, None].astype(np.float64) - b[None], axis=2)
    assert l2(a, b) == pytest.approx(expected, rel=1e-4)
    assert l2(a, b)[2, 3] == 0
    assert l2(a, b).dtype == np.float32
    assert l2(a[:0], b).shape == (0, 5)


def test_l2_of_many_equal_vectors_takes_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "EXACT_VALUES", 4096)
    assert not l2(np.repeat(pictures(1), 50, 0), np.repeat(pictures(1), 40, 0)).any()


def test_ssim_equals_that_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    a, b = pictures(6), pictures(4, seed=1)
    b[0] = a[0]
    found = one_minus_ssim(a, b)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            _, values = metrics.structural_similarity(
                x.reshape(32, 32).astype(np.float64), y.reshape(32, 32).astype(np.float64), win_size=7,
                data_range=1.0, use_sample_covariance=False, full=True,
            )  # fmt: skip
            assert 1 - found[i, j] == pytest.approx(values[3:-3:5, 3:-3:5].mean(), abs=1e-4)
    assert found[0, 0] == 0


def test_ssim_equals_a_naive_loop_also_over_several_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE", 2)
    a, b = pictures(5), pictures(3, seed=1)
    expected = [[1 - naive_ssim(x.reshape(32, 32), y.reshape(32, 32)) for y in b] for x in a]
    assert one_minus_ssim(a, b) == pytest.approx(np.array(expected), abs=1e-4)
    assert one_minus_ssim(b, a) == pytest.approx(one_minus_ssim(a, b).T, abs=1e-6)


def naive_ssim(x: Floats, y: Floats) -> float:
    values = []
    for row in range(0, 26, 5):
        for column in range(0, 26, 5):
            p, q = (v[row : row + 7, column : column + 7].ravel().astype(np.float64) for v in (x, y))
            covariance = np.cov(p, q, bias=True)
            light = (2 * p.mean() * q.mean() + 1e-4) / (p.mean() ** 2 + q.mean() ** 2 + 1e-4)
            values.append(light * (2 * covariance[0, 1] + 9e-4) / (covariance[0, 0] + covariance[1, 1] + 9e-4))
    return float(np.mean(values))


def test_the_nearest_orientation_of_either_counts() -> None:
    dice = np.random.default_rng(0)
    a, b = (dice.integers(0, 2, (n, 8 * 16)).astype(np.float32) for n in (6, 4))
    x, y = a.reshape(6, 8, 16), b.reshape(4, 8, 16)
    expected = [
        [
            min(*(np.linalg.norm(p[k] - q[0]) for k in range(8)), *(np.linalg.norm(p[0] - q[k]) for k in range(8)))
            for q in y
        ]
        for p in x
    ]
    assert nearest_orientation_l2(a, b) == pytest.approx(np.array(expected), abs=1e-5)
    assert np.array_equal(nearest_orientation_l2(b, a), nearest_orientation_l2(a, b).T)
