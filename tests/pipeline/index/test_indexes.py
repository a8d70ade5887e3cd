"""Which pairs an index gives, and which index is chosen; that each keeps the contract is in `test_contract`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pipeline.index.kinds import LOCAL, Floats, Make, cloud, everywhere
from twinpix.encoder.errors import InputError
from twinpix.pipeline.index import IndexUsed, exact_distances, policy
from twinpix.pipeline.index import near as near_module
from twinpix.pipeline.index.faiss_l2 import main_dimensions
from twinpix.pipeline.index.flat import FlatIndex
from twinpix.pipeline.index.near import CROWD, HUBS, candidate_pairs, flat_index, pairs_within
from twinpix.pipeline.index.policy import build_index, kind_for
from twinpix.pipeline.index.recall import own_pairs, recall_of_pairs
from twinpix.pipeline.second_look.look_again import nearest_candidates


@pytest.fixture(params=LOCAL)
def make(request: pytest.FixtureRequest) -> Make:
    return LOCAL[request.param]


def test_which_dimensions_matter() -> None:
    assert main_dimensions(cloud(900)) is not None
    assert main_dimensions(cloud(900)).d_out <= 32  # type: ignore[union-attr]
    assert main_dimensions(cloud(900, inner=64)) is None
    assert main_dimensions(cloud(100)) is None


# -- candidates: as if all pairs had been listed first


def listed(vectors: Floats, reach: float, sure: float, most: int) -> list[tuple[int, int]]:
    i, j = np.triu_indices(len(vectors), 1)
    distance = exact_distances(vectors, i, j)
    within = distance <= reach
    kept = nearest_candidates((i[within], j[within], distance[within]), sure, most)
    return sorted(zip(kept[0].tolist(), kept[1].tolist(), strict=True))


def with_copies(n: int = 800) -> Floats:
    vectors = cloud(n)
    vectors[n // 2 : n // 2 + 40] = vectors[0]  # more equal ones than are asked for
    vectors[-60:] = vectors[:60] + np.random.default_rng(3).normal(0, 0.01, (60, 64)).astype(np.float32)
    return vectors


@pytest.mark.parametrize("crowded", [0.0, 1e9])
@pytest.mark.parametrize(("reach", "sure", "most"), [(0.4, 0.03, 5), (1.2, 0.03, 5), (1.2, 0.1, 60), (0.5, 0.5, 0)])
def test_same_candidates_as_of_all_pairs(
    make: Make, monkeypatch: pytest.MonkeyPatch, crowded: float, reach: float, sure: float, most: int
) -> None:
    monkeypatch.setattr(near_module, "CROWDED", crowded)
    monkeypatch.setattr(near_module, "QUERY_BLOCK", 190)
    monkeypatch.setattr(near_module, "FOUND_AT_ONCE", 3000)
    vectors = with_copies()
    index = make(vectors)
    index.add(np.arange(len(vectors)), vectors)
    i, j, distance = candidate_pairs(vectors, index, reach, sure, most)
    found, expected = list(zip(i.tolist(), j.tolist(), strict=True)), listed(vectors, reach, sure, most)
    if index.is_exact:
        assert found == expected
    assert len(set(found) & set(expected)) >= 0.99 * len(expected)
    assert (distance == exact_distances(vectors, i, j)).all()


def test_ties_are_broken_by_rank_whatever_the_order() -> None:
    vectors = with_copies()
    names = np.random.default_rng(5).permutation(len(vectors))  # the names' places, by row
    found = []
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(len(vectors))
        moved = vectors[order]
        index = FlatIndex(64)
        index.add(np.arange(len(moved)), moved)
        i, j, _ = candidate_pairs(moved, index, 1.2, 0.001, 3, names[order])
        found.append({frozenset(pair) for pair in zip(names[order][i].tolist(), names[order][j].tolist(), strict=True)})
    assert found[0] == found[1]


def crowd(n: int, size: int) -> Floats:
    """`size` vectors that nearly are one, as of blank scans, among `n` others."""
    vectors = cloud(n + size)
    vectors[n:] = vectors[n] + np.random.default_rng(3).normal(0, 1e-5, (size, 64)).astype(np.float32)
    return vectors


@pytest.mark.parametrize("reach", [0.05, 1.3], ids=["few within reach", "only the nearest asked for"])
def test_a_crowd_keeps_few_pairs_and_holds_together(make: Make, reach: float) -> None:
    vectors, size = crowd(900, 700), 700
    names = np.random.default_rng(5).permutation(len(vectors))
    index = make(vectors)
    index.add(np.arange(len(vectors)), vectors)
    i, j, distance = candidate_pairs(vectors, index, reach, 0.01, 20, names)
    inside = (i >= 900) & (distance <= 0.01)
    assert size - 1 <= inside.sum() <= HUBS * size
    first = 900 + int(names[900:].argmin())
    beside = np.concatenate([j[inside & (i == first)], i[inside & (j == first)]])
    assert len(set(beside.tolist())) >= (size - 1 if index.is_exact else 0.9 * size)


def test_up_to_so_many_each_pair_counts() -> None:
    for size, pairs in (
        (CROWD + 1, (CROWD + 1) * CROWD // 2),
        (CROWD + 2, HUBS * (CROWD + 2) - HUBS * (HUBS + 1) // 2),
    ):
        vectors = crowd(100, size)
        found = candidate_pairs(vectors, flat_index(vectors), 0.02, 0.01, 20)
        assert (found[2] <= 0.01).sum() == pairs
        whole, ends = pairs_within(vectors, 0.01), list[int]()
        assert len(whole[2]) == size * (size - 1) // 2, "all pairs, where these are asked for"
        own = candidate_pairs(vectors, flat_index(vectors), 0.01, 0.01, 0, within=ends.append)
        assert sum(ends) == 2 * len(whole[2]) and set(zip(*own, strict=True)) <= set(zip(*whole, strict=True))
        assert len(own[2]) == len(whole[2]) if size <= CROWD + 1 else len(own[2]) <= 2 * HUBS * size


def test_a_crowd_is_the_same_in_any_order_and_any_portion() -> None:
    vectors = crowd(300, 400)
    names = np.random.default_rng(5).permutation(len(vectors))
    found = []
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(len(vectors))
        moved = vectors[order]
        for portion in (len(vectors), 97):
            pairs = set[frozenset[int]]()
            for start in range(0, len(vectors), portion):
                rows = np.arange(start, min(start + portion, len(vectors)))
                i, j, _ = candidate_pairs(moved, flat_index(moved), 0.02, 0.01, 20, names[order], rows)
                pairs |= {
                    frozenset(pair) for pair in zip(names[order][i].tolist(), names[order][j].tolist(), strict=True)
                }
            found.append(pairs)
    assert found[0] and all(other == found[0] for other in found)


# -- the policy


def test_exact_as_far_as_that_is_fast() -> None:
    assert kind_for(policy.EXACT_UP_TO) == "exact"
    assert kind_for(policy.EXACT_UP_TO + 1) == "ivf"
    assert kind_for(2_000_000) == "ivf"
    assert kind_for(2_000_001) == "ivf-rabitq"
    assert kind_for(3, "ivf-sq8") == "ivf-sq8"
    with pytest.raises(InputError, match="exact, ivf, ivf-sq8"):
        kind_for(3, "hnsw")


def test_exact_needs_no_measurement() -> None:
    index, used = build_index(cloud(300), 0.5, 10)
    assert (len(index), used) == (300, IndexUsed())
    assert used.is_exact


@pytest.mark.parametrize("kind", ["ivf", "ivf-sq8", "ivf-rabitq"])
@pytest.mark.parametrize("most", [0, 10])
def test_the_recall_that_is_told_is_that_of_pairs(kind: str, most: int) -> None:
    vectors = cloud(6000, inner=24)
    dice = np.random.default_rng(9)
    rows, away = dice.permutation(5000)[:1000], dice.standard_normal((1000, 64)).astype(np.float32)
    away *= dice.uniform(0, 0.5, (1000, 1)).astype(np.float32) / np.linalg.norm(away, axis=1, keepdims=True)
    vectors[5000:] = vectors[rows] + away
    index, used = build_index(vectors, 0.6, most, kind)
    assert not used.is_exact
    assert (used.cells, used.planted > 500) == (310, True)
    assert 0 < used.probes < used.cells
    assert used.recall >= 0.98
    assert len(index) == 6000  # what was planted is gone
    found = {
        (a, b) for a, b in zip(*(c.tolist() for c in candidate_pairs(vectors, index, 0.6, 0.1, 60)[:2]), strict=True)
    }
    share = np.mean([(int(row), 5000 + k) in found for k, row in enumerate(rows)])
    assert share >= used.recall - 0.02


@pytest.mark.parametrize("kind", ["ivf", "ivf-sq8", "ivf-rabitq"])
def test_few_vectors_in_cells(kind: str) -> None:
    for n in (0, 1, 2, 7):
        vectors = cloud(7)[:n]
        index, _ = build_index(vectors, 2.0, 0, kind)
        assert len(candidate_pairs(vectors, index, 2.0, 2.0, 0)[0]) <= n * (n - 1) // 2


def test_what_is_missed_among_its_own_pairs_shows() -> None:
    vectors = cloud(2000, inner=48)
    index = everywhere(vectors, "Flat")
    index.add(np.arange(2000), vectors)
    pairs = own_pairs(vectors, np.arange(0, 2000, 10), 1.1, 50)
    distance = np.linalg.norm(vectors[::10][:, None] - vectors[None], axis=2)
    distance[np.arange(200), np.arange(0, 2000, 10)] = np.inf
    assert len(pairs[0]) == np.minimum((distance <= 1.1).sum(1), 50).sum() > 300
    assert recall_of_pairs(index, vectors, pairs, 1.1, 50) == recall_of_pairs(index, vectors, pairs, 1.1, 0) == 1
    index.probes = 1
    both = recall_of_pairs(index, vectors, pairs, 1.1, 0)
    found = {
        (a, b) for a, b in zip(*(c.tolist() for c in candidate_pairs(vectors, index, 1.1, 1.1, 0)[:2]), strict=True)
    }
    wanted = [(min(a, b), max(a, b)) for a, b in zip(*(c.tolist() for c in pairs), strict=True)]
    assert both == pytest.approx(np.mean([pair in found for pair in wanted]))
    assert both < 0.9


def test_blind_cells_show_in_the_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "FEWEST_PROBES", 1)
    monkeypatch.setattr(policy, "WANTED", 0.0)
    _, used = build_index(cloud(6000, inner=48), 1.2, 0, "ivf")
    assert used.probes == 1
    assert used.recall < 0.9
