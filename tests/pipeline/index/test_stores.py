"""What stores do beyond the contract: stay, refuse, page, fail in one line."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twinpix
from tests.pipeline.index.conftest import running_milvus
from tests.pipeline.index.kinds import cloud
from twinpix.encoder.errors import FingerprintError, InputError, MissingPackageError
from twinpix.pipeline.index import milvus
from twinpix.pipeline.index.place import Place, parse_place
from twinpix.pipeline.index.stored import StoreError
from twinpix.pipeline.index.stores import open_index

MODEL = "0123456789abcdef"
VECTORS = cloud(300)


@pytest.fixture(params=["milvus_file", "milvus_server", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A store, and the name of an index in it that no other test has."""
    store = str(request.getfixturevalue(request.param))
    name = f"t{abs(hash(request.node.name)) % 10**9}"
    return f"{store}{'&' if '?' in store else '?'}name={name}"


def test_it_is_still_there_when_it_is_opened_again(url: str) -> None:
    with open_index(url, 64, MODEL) as index:
        index.add(np.arange(300), VECTORS)
        index.remove(np.arange(10))
        ids, told = index.search(VECTORS[:5], 3)
    with open_index(url, 64, MODEL) as index:
        assert (len(index), index.ids().tolist()) == (290, list(range(10, 300)))
        again = index.search(VECTORS[:5], 3)
    assert (again[0] == ids).all() and (again[1] == told).all()


def test_another_process_finds_what_was_added(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    code = """if True:
        import sys, numpy as np, twinpix
        index = twinpix.open_index(sys.argv[1], 3, "abc")
        if sys.argv[2] == "add": index.add(np.array([2**40]), np.eye(3, dtype=np.float32)[:1])
        print(index.search(np.eye(3, dtype=np.float32)[:1], 1))"""
    for what in ("add", "look"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "v.db"), what], capture_output=True, text=True, check=False
        )
        assert "1099511627776" in done.stdout, done.stderr
        assert done.stderr == ""


def test_another_encoder_or_length_is_refused_and_another_name_is_another_index(url: str) -> None:
    with open_index(url, 64, MODEL) as index:
        index.add(np.arange(3), VECTORS[:3])
    with pytest.raises(FingerprintError, match=f"encoder {MODEL}"):
        open_index(url, 64, "fedcba9876543210")
    with pytest.raises(InputError, match="64 values, not 65"):
        open_index(url, 65, MODEL)
    for ending in ("x", "__x", "_"):
        with open_index(f"{url}{ending}", 65, "fedcba9876543210") as other:
            assert len(other) == 0
    with open_index(url, 64, MODEL) as index:
        assert len(index) == 3


def test_fingerprints_of_any_letters(url: str) -> None:
    odd = "twinpix phash/é 'x\""
    with open_index(url, 3, odd) as index:
        index.add(np.array([1]), np.eye(3, dtype=np.float32)[:1])
    with open_index(url, 3, odd) as index:
        assert len(index) == 1


def test_several_threads(url: str) -> None:
    with open_index(url, 64, MODEL) as index, ThreadPoolExecutor(6) as threads:
        index.add(np.arange(200), VECTORS[:200])
        found = list(threads.map(lambda k: index.search(VECTORS[[k]], 1)[0][0, 0], range(60)))
        list(threads.map(lambda k: index.add(np.array([k]), VECTORS[[k]]), range(200, 230)))
        assert (found, len(index)) == (list(range(60)), 230)


# -- more hits than Milvus tells at once


@pytest.mark.parametrize("how", ["exact", "hnsw"])
def test_no_cap_cuts_anything_off(milvus_file: str, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(milvus, "CAP", 40)
    monkeypatch.setattr(milvus, "FEW", 15)
    vectors = VECTORS.copy()
    vectors[100:200] = vectors[0]  # more equally near ones than it tells
    with open_index(f"{milvus_file}?name=cap_{how}&index={how}", 64, MODEL) as index:
        index.add(2**40 + np.arange(300), vectors)
        rows, ids, told = index.range_search(vectors[:3], 2.0)
        assert np.bincount(rows).tolist() == [300, 300, 300]
        assert (np.sort(ids[rows == 0]) == 2**40 + np.arange(300)).all()
        assert (told[rows == 0] == 0).sum() == 101
        ids, told = index.search(vectors[:2], 250)
        assert (ids >= 0).all() and [len(set(row)) for row in ids.tolist()] == [250, 250]
        truth = np.sort(np.linalg.norm(vectors - vectors[1], axis=1))[:250]
        assert told[1] == pytest.approx(truth, abs=1e-6)


def test_a_server_that_tells_fewer_says_so_and_is_asked_again(
    milvus_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What servers answer (Milvus 2.4 and later): `topk [16384] is invalid, it should be in range [1, 100]`."""
    with open_index(f"{milvus_file}?name=lower_cap", 64, MODEL) as index:
        index.add(np.arange(300), VECTORS)
        asking = index._client.search  # type: ignore[attr-defined]

        def search(collection: str, limit: int, **more: Any) -> Any:
            if limit > 50:
                from pymilvus import MilvusException

                raise MilvusException(65535, f"topk [{limit}] is invalid, it should be in range [1, 50]")
            return asking(collection, limit=limit, **more)

        monkeypatch.setattr(index._client, "search", search)  # type: ignore[attr-defined]
        assert len(index.range_search(VECTORS[:2], 2.0)[0]) == 600
        assert (index.search(VECTORS[:2], 200)[0] >= 0).all()


# -- what goes wrong


def test_nobody_there() -> None:
    for url in ("http://user:secret@127.0.0.1:9", "postgresql://user:secret@127.0.0.1:9/x"):
        pytest.importorskip("pymilvus" if "http" in url else "psycopg")
        with pytest.raises(StoreError, match=r"running") as raised:
            open_index(url, 64, MODEL)
        assert "\n" not in str(raised.value) and "secret" not in str(raised.value)


def test_a_wrong_password(postgresql: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    if "postgres:@" not in postgresql:
        pytest.skip("the server is somebody's own: its pg_hba.conf stays as it is")
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS carol")
        connection.execute("CREATE ROLE carol LOGIN PASSWORD 'right'")
        hba = Path(connection.execute("SHOW hba_file").fetchone()[0])
        before = hba.read_text()
        hba.write_text("local all carol scram-sha-256\nhost all carol all scram-sha-256\n" + before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SELECT pg_sleep(0.2)")
        wrong = postgresql.replace("postgres:@", "carol:wr0ng@", 1)
        with pytest.raises(StoreError, match='password authentication failed for user "carol"') as raised:
            open_index(wrong, 64, MODEL)
        hba.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
    assert "\n" not in str(raised.value) and "wr0ng" not in str(raised.value)


def test_a_table_of_somebody_else(postgresql: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS invoices (id int)")
    with pytest.raises(InputError, match="not twinpix's"):
        open_index(f"{postgresql}&name=invoices", 64, MODEL)


def test_a_connection_that_broke_is_made_anew(postgresql: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    with open_index(f"{postgresql}&name=broken", 64, MODEL) as index:
        index.add(np.arange(3), VECTORS[:3])
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        with pytest.raises(StoreError):
            len(index)
        assert len(index) == 3


def test_somebody_elses_hnsw_index_makes_exact_search_no_less_exact(postgresql: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    vectors = cloud(2000)
    with open_index(f"{postgresql}&name=watched", 64, MODEL) as index:
        index.add(np.arange(2000), vectors)
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute("CREATE INDEX IF NOT EXISTS theirs ON watched USING hnsw (vector vector_l2_ops)")
            connection.execute("ALTER DATABASE postgres SET hnsw.ef_search = 1")
        with open_index(f"{postgresql}&name=watched", 64, MODEL) as again:
            truth = np.linalg.norm(vectors[:20, None] - vectors[None], axis=2).argsort(1)[:, :50]
            assert (again.search(vectors[:20], 50)[0] == truth).all()
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute("ALTER DATABASE postgres RESET hnsw.ef_search")


def test_a_milvus_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("milvus_lite")
    monkeypatch.setattr(milvus, "CALL_SECONDS", 1)
    with running_milvus(tmp_path) as (process, url):
        index = open_index(url, 64, MODEL)
        process.kill()
        process.wait()
        with pytest.raises(StoreError) as raised:
            index.search(VECTORS[:1], 1)
    assert "\n" not in str(raised.value)


def test_hnsw_of_pgvector_takes_2000_values() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(InputError, match="2000 values, not 2001"):
        open_index("postgresql://127.0.0.1:9/x?index=hnsw", 2001, MODEL)


def test_milvus_keeps_the_kind_it_was_made_with(milvus_file: str) -> None:
    with open_index(f"{milvus_file}?name=kept&index=hnsw", 64, MODEL) as index:
        assert not index.is_exact
    with open_index(f"{milvus_file}?name=kept", 64, MODEL) as index:
        assert not index.is_exact
    with pytest.raises(InputError, match="HNSW"):
        open_index(f"{milvus_file}?name=kept&index=exact", 64, MODEL)


@pytest.mark.parametrize(
    ("missing", "url", "extra"),
    [
        ("pymilvus", "http://127.0.0.1:9", "twinpix[milvus]"),
        ("psycopg", "postgresql://127.0.0.1:9/x", "twinpix[pgvector]"),
        ("pgvector.psycopg", "postgresql://127.0.0.1:9/x", "twinpix[pgvector]"),
    ],
)
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str, url: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingPackageError) as raised:
        open_index(url, 64, MODEL)
    assert extra in str(raised.value)


def test_a_file_needs_milvus_lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymilvus")
    monkeypatch.setattr(milvus, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"twinpix\[milvus-lite\]"):
        open_index(str(tmp_path / "x.db"), 64, MODEL)


# -- URLs


def test_places(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    assert parse_place(f"{file}?name=photos&index=hnsw") == Place("milvus", str(file), "", "photos", "hnsw")
    assert parse_place("http://h:1/db") == Place("milvus", "http://h:1/db")
    assert parse_place("milvus://ro%40ot:p%3Aw@h:1") == Place("milvus", "http://h:1", "ro@ot:p:w")
    assert parse_place("https://token@h") == Place("milvus", "https://h", "token")
    place = parse_place("postgresql://me:secret@h:2/db?sslmode=require&name=a")
    assert place == Place("postgresql", "postgresql://me:secret@h:2/db?sslmode=require", "", "a")
    assert str(place) == "postgresql://me@h:2/db?sslmode=require (a)"
    assert parse_place("postgres:///db").store == "postgresql"


@pytest.mark.parametrize(
    "url",
    ["", "x", "x.txt", "ftp://h/x", "http://", "http://h:port", "x.db?nme=1", "x.db?index=ivf", "/no/such/x.db",
     "postgresql://h/d?name=A", 'postgresql://h/d?name=a"b', "x.db?name=", "http://[::1"],
)  # fmt: skip
def test_what_is_no_place(url: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_place(url)
    assert "\n" not in str(raised.value)


def test_importing_twinpix_loads_no_client() -> None:
    code = "import sys, twinpix; print([m for m in ('pymilvus', 'psycopg', 'grpc', 'pgvector') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert twinpix.StoreError.__doc__
