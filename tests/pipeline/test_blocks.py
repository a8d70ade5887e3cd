"""K-means blocks: known clusters, what is compared, and what a border loses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.pipeline.blocks import Blocks
from twinpix.pipeline.index.near import pairs_within


def heaps(count: int, each: int, seed: int = 0) -> NDArray[np.float32]:
    """`count` tight heaps, 10 apart on an axis each; row r lies in heap r % count."""
    centres = 10 * np.eye(count, dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, 0.1, (count * each, count)).astype(np.float32)
    return np.asarray(centres[np.arange(count * each) % count] + noise, np.float32)


def test_heaps_are_found() -> None:
    vectors = heaps(5, 30)
    blocks = Blocks.fit(vectors, k=5).assign(vectors)
    assert blocks.dtype == np.int64 and blocks.shape == (150,)
    for heap in range(5):
        assert len(set(blocks[heap::5].tolist())) == 1
    assert sorted(set(blocks.tolist())) == [0, 1, 2, 3, 4]


def test_nearest_centre_by_hand() -> None:
    blocks = Blocks(np.array([[0, 0], [4, 0], [0, 9]], np.float32))
    assert blocks.assign(np.array([[1.9, 0], [2.1, 0], [0, 5], [100, 1]], np.float32)).tolist() == [0, 1, 2, 1]


def test_pairs_inside_a_block_only() -> None:
    blocks = Blocks(np.array([[0.0], [10.0]], np.float32))
    vectors = np.array([[4.9], [9.0], [5.1], [4.0], [9.5]], np.float32)  # the border is at 5
    i, j, distance = blocks.pairs(vectors, 1.0)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 3), (1, 4)]
    assert distance.tolist() == pytest.approx([0.9, 0.5], abs=1e-6)
    i, j, _ = pairs_within(vectors, 1.0)
    assert (0, 2) in zip(i.tolist(), j.tolist(), strict=True)  # 0.2 apart, and lost


def test_one_block_loses_nothing() -> None:
    vectors = np.random.default_rng(1).normal(size=(200, 6)).astype(np.float32)
    got, expected = Blocks.fit(vectors, k=1).pairs(vectors, 1.5), pairs_within(vectors, 1.5)
    assert len(expected[0]) > 100
    for column in range(3):
        assert np.array_equal(got[column], expected[column])


def test_seed_decides() -> None:
    vectors = np.random.default_rng(2).normal(size=(300, 8)).astype(np.float32)
    first, again, other = (Blocks.fit(vectors, seed=seed).assign(vectors) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert len(np.unique(first)) == 20


@pytest.mark.parametrize("n", [0, 1, 3, 20])
def test_no_more_blocks_than_vectors(n: int) -> None:
    vectors = heaps(20, 1)[:n]
    blocks = Blocks.fit(vectors, k=20)
    assert blocks.assign(vectors).tolist() == list(range(n))
    assert [len(column) for column in blocks.pairs(vectors, 100.0)] == [0, 0, 0]


def test_repeated_vectors() -> None:
    vectors = np.ones((50, 4), np.float32)
    i, _, distance = Blocks.fit(vectors, k=3).pairs(vectors, 0.5)
    assert len(i) == 50 * 49 // 2 and not distance.any()


def test_no_block_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one block, not 0"):
        Blocks.fit(heaps(2, 2), k=0)
