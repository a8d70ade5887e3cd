"""Cells against comparing everything with everything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from twinpix.pipeline.index import Pairs, import_faiss
from twinpix.pipeline.index.near import pairs_within
from twinpix.pipeline.scan import cells as module
from twinpix.pipeline.scan.cells import Cells, fit_cells, join, meet, merge

Vectors = NDArray[np.float32]
REACH = 0.5


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the workers of an engine."""
    faiss = import_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """3,000 in loose clusters, every fifth beside the one before it."""
    dice = np.random.default_rng(0)
    centres = dice.normal(size=(60, 32))
    rows = unit((centres[dice.integers(0, 60, 3000)] + 0.5 * dice.normal(size=(3000, 32))).astype(np.float32))
    rows[4::5] = unit(rows[3::5] + 0.05 * dice.normal(size=(600, 32)).astype(np.float32))
    return rows


def through_cells(vectors: Vectors, cells: Cells, m: int, most: int = 0, sure: float = 0.0) -> Pairs:
    nearest = cells.assign(vectors, m)
    members = (np.flatnonzero((nearest == cell).any(1)) for cell in range(len(cells)))
    return merge(join(vectors[rows], rows.astype(np.int64), REACH, sure, most) for rows in members)


def as_set(pairs: Pairs) -> set[tuple[int, int, float]]:
    return set(zip(*(column.tolist() for column in pairs), strict=True))


def test_the_nearest_cells_are_those_that_brute_force_finds(vectors: Vectors) -> None:
    cells = fit_cells(vectors, 40)
    assert len(cells) == 40 and cells.basis is None  # 32 dimensions, and all are needed
    gap = np.linalg.norm(vectors[:, None] - cells.centres[None], axis=2)
    assert (cells.assign(vectors, 3) == np.argsort(gap, 1)[:, :3]).mean() > 0.999
    assert cells.assign(vectors[:0], 3).shape == (0, 3)
    assert cells.assign(vectors[:5], 100).shape == (5, 40)


def test_the_same_sample_gives_the_same_cells(vectors: Vectors) -> None:
    assert np.array_equal(fit_cells(vectors, 40).centres, fit_cells(vectors, 40).centres)
    assert len(fit_cells(vectors[:7], 40)) == 7


def test_vectors_in_few_dimensions_are_turned_to_them(vectors: Vectors) -> None:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(256, 32)))[0].T.astype(np.float32)
    cells = fit_cells(vectors @ turn, 40)
    assert cells.basis is not None and cells.centres.shape[1] <= 40
    plain = np.array((vectors @ turn - (vectors @ turn).mean(0)) @ cells.basis.T)
    gap = np.linalg.norm(plain[:, None] - cells.centres[None], axis=2)
    assert (cells.assign(vectors @ turn, 1)[:, 0] == gap.argmin(1)).mean() > 0.99


def test_a_graph_finds_the_nearest_of_many_cells(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    flat, graph = (Cells(vectors[:1000]) for _ in range(2))
    wanted = flat.assign(vectors, 2)
    monkeypatch.setattr(module, "GRAPH_FROM", 1000)
    found = graph.assign(vectors, 2)
    assert "HNSW" in type(graph._index).__name__
    assert (wanted[:, 0] == found[:, 0]).mean() > 0.99


def test_all_in_one_cell_is_comparing_everything(vectors: Vectors) -> None:
    assert as_set(through_cells(vectors, Cells(vectors[:1]), 1)) == as_set(pairs_within(vectors, REACH))


def test_more_cells_for_each_vector_lose_fewer_pairs(vectors: Vectors) -> None:
    cells, wanted = fit_cells(vectors, 300), as_set(pairs_within(vectors, REACH))
    found = [as_set(through_cells(vectors, cells, m)) for m in (1, 2, 8)]
    assert all(pairs <= wanted for pairs in found)  # and at the same distances, to the last bit
    shares = [len(pairs) / len(wanted) for pairs in found]
    assert shares[0] < shares[1] < shares[2] and shares[2] > 0.995
    i, j, _ = pairs_within(vectors, REACH)
    assert meet(cells, vectors[i], vectors[j], 2).mean() == pytest.approx(shares[1])


def test_what_is_among_the_nearest_of_all_is_among_those_of_a_cell(vectors: Vectors) -> None:
    everything = as_set(join(vectors, np.arange(len(vectors)), REACH, 0.1, 3))
    cells = fit_cells(vectors, 10)
    found = as_set(through_cells(vectors, cells, 10, 3, 0.1))  # every vector in every cell
    assert found == everything
    in_some = as_set(through_cells(vectors, cells, 4, 3, 0.1))
    i, j, _ = (np.array(column) for column in zip(*everything, strict=True))
    together = meet(cells, vectors[i.astype(int)], vectors[j.astype(int)], 4)
    assert {pair for pair, here in zip(everything, together, strict=True) if here} <= in_some


@pytest.mark.parametrize("most", [0, 2])
def test_portions_of_a_hot_cell_are_the_whole(vectors: Vectors, most: int) -> None:
    ids = np.arange(len(vectors)) * 3
    whole = join(vectors, ids, REACH, 0.1, most)
    parts = [
        join(vectors, ids, REACH, 0.1, most, seen_from=rows) for rows in np.array_split(np.arange(len(vectors)), 7)
    ]
    assert as_set(merge(parts)) == as_set(whole)
    assert [column.tolist() for column in merge(parts)] == [column.tolist() for column in whole]


def test_few_vectors_or_none() -> None:
    for n in (0, 1):
        rows = np.ones((n, 4), np.float32)
        assert len(join(rows, np.arange(n), 1.0, 0.1, 5)[0]) == 0
    assert len(merge([])[0]) == 0
    i, j, distance = join(np.ones((3, 4), np.float32), np.array([5, 7, 9]), 1.0, 0.1, 5)
    assert (i.tolist(), j.tolist(), distance.tolist()) == ([5, 5, 7], [7, 9, 9], [0, 0, 0])
