"""Every kind of index on one contract, against NumPy; those in stores on real running engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest

from tests.pipeline.index.kinds import LOCAL, Floats, Make, cloud
from twinpix.encoder.errors import InputError
from twinpix.pipeline.index import Index, exact_distances
from twinpix.pipeline.index.stored import StoredIndex
from twinpix.pipeline.index.stores import open_index

STORES = {
    "milvus file": ("milvus_file", "exact"),
    "milvus file, hnsw": ("milvus_file", "hnsw"),
    "milvus server": ("milvus_server", "exact"),
    "pgvector": ("postgresql", "exact"),
    "pgvector, hnsw": ("postgresql", "hnsw"),
}
APPROXIMATE = ("ivf", "ivf-sq8", "ivf-rabitq", "milvus file, hnsw", "pgvector, hnsw")
OFF = {"ivf-sq8": 0.03}  # L2, by which a distance may be off; that of FAISS's float32 by default
N = 900
numbers = count()


@pytest.fixture(params=[*LOCAL, *STORES])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(kind: str, request: pytest.FixtureRequest) -> Iterator[Make]:
    """What makes an empty index; those in stores are emptied and closed afterwards."""
    if kind in LOCAL:
        yield LOCAL[kind]
        return
    engine, how = STORES[kind]
    url, opened = request.getfixturevalue(engine), list[StoredIndex]()

    def open_one(sample: Floats) -> Index:
        more = f"name=contract{next(numbers)}&index={how}"
        opened.append(open_index(f"{url}{'&' if '?' in url else '?'}{more}", sample.shape[1], "0123456789abcdef"))
        return opened[-1]

    yield open_one
    for index in opened:
        index.remove(index.ids())
        index.close()


@pytest.fixture
def off(kind: str) -> float:
    return OFF.get(kind, 3.2e-3 if kind in LOCAL else 1e-6)


def filled(make: Make, vectors: Floats, first: int = 100) -> Index:
    index = make(vectors)
    index.add(np.arange(first, first + len(vectors)), vectors)
    return index


def distances(vectors: Floats, queries: Floats) -> Floats:
    return np.asarray(np.linalg.norm(queries[:, None] - vectors[None], axis=2), np.float32)


def test_it_says_what_it_is(make: Make, kind: str) -> None:
    index = make(cloud(N))
    assert index.is_exact == (kind not in APPROXIMATE)
    assert index.name
    assert 0 <= index.error <= 0.02


def test_search_finds_the_nearest(make: Make, kind: str, off: float) -> None:
    vectors = cloud(N)
    index, truth = filled(make, vectors), distances(vectors, vectors[:20])
    ids, told = index.search(vectors[:20], 10)
    assert (ids.shape, told.shape) == ((20, 10), (20, 10))
    assert (str(ids.dtype), str(told.dtype)) == ("int64", "float32")
    assert (ids[:, 0] == np.arange(100, 120)).all()
    nearest = truth.argsort(1)[:, :10] + 100
    if kind in STORES and kind not in APPROXIMATE:
        assert (ids == nearest).all()
    assert np.mean([len(set(a) & set(b)) for a, b in zip(ids, nearest, strict=True)]) > 9.5
    true = truth[np.arange(20)[:, None], ids - 100]
    assert told == pytest.approx(true, abs=10 * off)  # fewer dimensions make distances smaller
    assert (told <= true + max(index.error, 1e-6)).all()
    assert (np.diff(told, axis=1) >= 0).all()


def test_plain_l2_not_squared(make: Make, off: float) -> None:
    vectors = cloud(N)
    index, truth = filled(make, vectors), distances(vectors, vectors[:2])
    ids, told = index.search(vectors[:2], N)
    found = ids >= 0
    assert found.mean() > 0.99
    assert truth.max() > 1.5
    assert told[found] == pytest.approx(np.take_along_axis(truth, ids - 100, 1)[found], abs=max(off, 0.03))


def test_range_search_misses_nothing_and_invents_nothing(make: Make, off: float) -> None:
    vectors = cloud(N)
    index, truth = filled(make, vectors), distances(vectors, vectors)
    for reach, queries in ((0.0, 20), (0.3, 20), (0.7, 20), (1.3, 2)):  # below 1 and above: squares lie on either side
        rows, ids, told = index.range_search(vectors[:queries], reach + index.error)
        found = set(zip(rows.tolist(), (ids - 100).tolist(), strict=True))
        near = np.nonzero(truth[:queries] <= reach)
        wanted = set(zip(*(column.tolist() for column in near), strict=True))
        assert wanted <= found
        assert len(wanted) >= queries
        assert len(found) == len(rows)  # nothing twice
        true = truth[rows, ids - 100]
        assert (told <= true + max(index.error, 1e-6)).all()
        assert (true <= reach + 10 * off).all()
        assert told.dtype == np.float32 and (np.diff(rows) >= 0).all()


def test_the_limit_itself_is_included(make: Make) -> None:
    vectors = cloud(N)
    index = filled(make, vectors)
    limit = float(exact_distances(vectors, np.array([3]), np.array([7]))[0])
    assert 107 in index.range_search(vectors[[3]], limit + index.error)[1]


def test_equal_vectors_are_at_zero(make: Make, kind: str) -> None:
    vectors = cloud(N)
    vectors[[5, 700]] = vectors[4]
    index = filled(make, vectors)
    for query in (vectors[[4]], np.repeat(vectors[[4]], 25, 0)):  # of many at once, stores compute otherwise
        ids, told = index.search(query, 3)
        assert {*ids[-1].tolist()} == {104, 105, 800}
        assert told[-1].max() <= (0 if kind in STORES else index.error)
        rows, ids, told = index.range_search(query, index.error)
        assert {104, 105, 800} <= {*ids[rows == len(query) - 1].tolist()}
        if kind in STORES:
            assert (told == 0).all()


def test_add_and_remove(make: Make) -> None:
    vectors = cloud(N)
    index = make(vectors)
    index.add(np.arange(500), vectors[:500])
    index.add(np.arange(500, N), vectors[500:])
    assert (len(index), sorted(index.ids().tolist())) == (N, list(range(N)))
    index.remove(np.arange(0, N, 2))
    index.remove(np.array([5000]))
    index.remove(np.empty(0, np.int64))
    assert (len(index), sorted(index.ids().tolist())) == (N // 2, list(range(1, N, 2)))
    assert index.search(vectors[[7, 8]], 1)[0][0, 0] == 7
    assert 8 not in index.search(vectors[[8]], 400)[0]
    assert 8 not in index.range_search(vectors[[8]], 2.0)[1]
    index.add(np.array([8]), vectors[[9]])  # the same id, another vector
    assert index.search(vectors[[9]], 2)[0][0].tolist() in ([8, 9], [9, 8])


def test_an_id_is_in_it_once(make: Make) -> None:
    vectors = cloud(N)
    index = filled(make, vectors)
    for ids in ([3, 100], [3, 3]):
        with pytest.raises(InputError, match=r"in the index already|twice"):
            index.add(np.array(ids), vectors[:2])
    assert (len(index), 3 in index.ids()) == (N, False)  # none of them
    index.remove(np.array([100]))
    index.add(np.array([100]), vectors[:1])
    assert len(index) == N


def test_nothing_in_it(make: Make) -> None:
    vectors = cloud(N)
    index = make(vectors)
    assert (len(index), index.ids().tolist()) == (0, [])
    ids, told = index.search(vectors[:2], 3)
    assert (ids == -1).all() and np.isinf(told).all()
    assert [len(column) for column in index.range_search(vectors[:2], 2.0)] == [0, 0, 0]
    index.remove(np.array([1]))
    index.add(np.empty(0, np.int64), vectors[:0])
    assert len(index) == 0


def test_no_queries(make: Make) -> None:
    index = filled(make, cloud(N))
    assert index.search(cloud(N)[:0], 3)[0].shape == (0, 3)
    assert [len(column) for column in index.range_search(cloud(N)[:0], 2.0)] == [0, 0, 0]


def test_fewer_than_k(make: Make) -> None:
    vectors = cloud(N)
    index = make(vectors)
    index.add(np.arange(3), vectors[:3])
    ids, told = index.search(vectors[:1], 5)
    assert sorted(ids[0, :3].tolist()) == [0, 1, 2]
    assert ids[0, 3:].tolist() == [-1, -1]
    assert np.isinf(told[0, 3:]).all()


def test_ids_of_64_bits(make: Make) -> None:
    vectors, far = cloud(N), np.array([0, 2**31, 2**40 + 1, 2**63 - 1])
    index = make(vectors)
    index.add(far, vectors[:4])
    assert sorted(index.ids().tolist()) == far.tolist()
    assert index.search(vectors[:4], 1)[0][:, 0].tolist() == far.tolist()
    assert index.range_search(vectors[[3]], index.error)[1].tolist() == [2**63 - 1]
    index.remove(far[[3]])
    assert 2**63 - 1 not in index.ids()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda index, v: index.add(np.arange(2), v[:2, :63]), "64 values"),
        (lambda index, v: index.add(np.arange(2), v[0]), "64 values"),
        (lambda index, v: index.add(np.arange(3), v[:2]), "one id"),
        (lambda index, v: index.add(np.array([-1]), v[:1]), "from 0"),
        (lambda index, v: index.add(np.array([1]), np.full((1, 64), np.nan, np.float32)), "NaN"),
        (lambda index, v: index.search(v[:1, :5], 3), "64 values"),
        (lambda index, v: index.search(np.full((1, 64), np.inf, np.float32), 3), "NaN or infinity"),
        (lambda index, v: index.search(v[:1], 0), "1 or more"),
        (lambda index, v: index.range_search(v[:1, :5], 1.0), "64 values"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(
    local_and_one_store: Index, spoil: Callable[[Index, Floats], object], said: str
) -> None:
    with pytest.raises(InputError, match=said) as raised:
        spoil(local_and_one_store, cloud(N))
    assert "\n" not in str(raised.value)
    assert len(local_and_one_store) == 0


@pytest.fixture(params=["flat, fewer dimensions", "ivf", "milvus file", "pgvector"])
def local_and_one_store(request: pytest.FixtureRequest) -> Iterator[Index]:
    if request.param in LOCAL:
        yield LOCAL[request.param](cloud(N))
        return
    url = request.getfixturevalue(STORES[request.param][0])
    with open_index(f"{url}{'&' if '?' in url else '?'}name=refusing", 64, "0123456789abcdef") as index:
        yield index
