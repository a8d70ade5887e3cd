"""A service that runs: `twinpix serve` in a process of its own, on loopback, with small limits."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

httpx = pytest.importorskip("httpx")
for needed in ("starlette", "uvicorn", "python_multipart", "prometheus_client"):
    pytest.importorskip(needed)

CAP = 1_000_000  # bytes
LIMITS = ("--max-body", "1", "--max-pixels", "1", "--queue", "3", "--workers", "2", "--receive-seconds", "2")


@dataclass
class Served:
    """A running service.

    Attributes:
        process: its process.
        address: where it listens.
        library: its library.
        said: what it told until it listened.
    """

    process: subprocess.Popen[str]
    address: str
    library: Path
    said: str

    @property
    def port(self) -> int:
        """On 127.0.0.1."""
        return int(self.address.rpartition(":")[2])

    def client(self, **settings: Any) -> Any:
        """Asks it."""
        return httpx.Client(base_url=self.address, timeout=60, **settings)

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """One request on a connection of its own."""
        with self.client() as client:
            return client.request(method, path, **given)

    def check(self, data: bytes, query: str = "", kind: str = "image/png") -> dict[str, Any]:
        """The answer to a picture."""
        answer = self.ask("POST", f"/check{query}", content=data, headers={"content-type": kind})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def add(self, data: bytes, query: str = "") -> Any:
        """Keep a picture."""
        return self.ask("POST", f"/images{query}", content=data, headers={"content-type": "image/png"})

    def received(self) -> float:
        """Bytes that it has read from clients."""
        text = self.ask("GET", "/metrics").text
        (line,) = (line for line in text.splitlines() if line.startswith("twinpix_received_bytes_total"))
        return float(line.split()[1])

    def stop(self) -> int:
        """As an operator would; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


Serve = Callable[..., AbstractContextManager[Served]]


@pytest.fixture(scope="session")
def serve() -> Serve:
    """`serve(library, *options)`: start one, and end it."""

    @contextmanager
    def start(library: Path, *options: str) -> Iterator[Served]:
        words = [str(Path(sys.executable).with_name("twinpix")), "serve", "--library", str(library), "--port", "0"]
        own = os.environ | {"TWINPIX_DATA": str(library.parent / "data")}
        with subprocess.Popen(
            [*words, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=own
        ) as process:
            try:
                assert process.stdout is not None
                said = ""  # it may tell what it made good before it tells its address
                for line in process.stdout:
                    said += line
                    if "http://" in line:
                        break
                assert "http://" in said, said
                yield Served(process, "http://" + said.split("http://")[1].split()[0], library, said)
            finally:
                process.kill()

    return start


@pytest.fixture(scope="module")
def served(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests of a file, with an empty library."""
    with serve(tmp_path_factory.mktemp("service") / "library", *LIMITS) as running:
        yield running
        assert running.stop() == 0


def drawn(seed: int, width: int = 200, height: int = 150) -> Image.Image:
    """A picture with detail; other seeds are unrelated pictures."""
    dice = np.random.default_rng(seed)
    coarse, fine = (
        Image.fromarray(dice.integers(0, 256, (cells * 3 // 4, cells, 3), dtype=np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        for cells in (12, 96)
    )
    return Image.blend(coarse, fine, 0.5)


def packed(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def name_of(data: bytes) -> str:
    """The id of a picture."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@pytest.fixture(scope="session")
def draw() -> Callable[..., bytes]:
    """`draw(seed, kind="PNG", size=None, **options)`: the bytes of a picture file."""

    def make(seed: int, kind: str = "PNG", size: tuple[int, int] | None = None, **options: Any) -> bytes:
        picture = drawn(seed)
        return packed(picture if size is None else picture.resize(size), kind, **options)

    return make
