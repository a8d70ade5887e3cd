"""Reviews over small albums, and their server: in this process for requests, in one of its own for a browser."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.duplicates import candidate_pairs
from twinpix.pipeline.review.desk import Desk
from twinpix.pipeline.review.review import Review
from twinpix.pipeline.review.server import listen, new_token, server
from twinpix.pipeline.stream import encode_images

Paint = Callable[..., Image.Image]
MakeReview = Callable[..., Review]


@pytest.fixture
def pictures(tmp_path: Path, paint: Paint) -> Path:
    """Three groups: byte copies (0), a re-encoded copy (1), a worn one (2) and a picture alone."""
    folder = tmp_path / "pictures"
    (folder / "copies").mkdir(parents=True)
    for seed in range(4):
        detailed(paint, seed).save(folder / f"{seed}.png")
    shutil.copyfile(folder / "0.png", folder / "copies" / "0 again.png")
    detailed(paint, 1).save(folder / "copies" / "1.jpg", quality=85)
    detailed(paint, 2).resize((120, 90)).save(folder / "copies" / "2 small.jpg", quality=60)
    return folder


def detailed(paint: Paint, seed: int) -> Image.Image:
    """A picture with enough detail for a second look."""
    fine = np.asarray(paint(seed, 480, 360, 96), np.float32)
    return Image.fromarray((0.5 * fine + 0.5 * np.asarray(paint(seed + 100, 480, 360), np.float32)).astype(np.uint8))


@pytest.fixture
def make_review(encoder: OnnxEncoder) -> MakeReview:
    """`make_review(folder, **options)`: what `twinpix review` would show."""

    def make(folder: Path, **options: Any) -> Review:
        began = time.time_ns()
        found = candidate_pairs(encode_images(folder, encoder=encoder), encoder)
        return Review(found, [folder.resolve()], since_ns=began, **options)

    return make


@dataclass
class Running:
    """A review's server.

    Attributes:
        port: on which it listens.
        token: of its link.
        stop: ends it as Ctrl-C would; what the command's exit code was, or 0.
    """

    port: int
    token: str
    stop: Callable[[], int]

    @property
    def address(self) -> str:
        """The link."""
        return f"http://127.0.0.1:{self.port}/#{self.token}"

    def request(self, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """An honest request, unless the headers say otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        if method == "POST":
            sent = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json", **sent}
        connection.request(method, target, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data


@pytest.fixture
def served() -> Iterator[Callable[[Review], Running]]:
    """`served(review)`: its server, in a thread of this process; stopped at the end."""
    started: list[Running] = []

    def start(review: Review) -> Running:
        door, token = listen(0), new_token()
        port = door.getsockname()[1]
        desk = Desk(review)
        running = server(desk, port, token)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [door]})
        thread.start()

        def stop() -> int:
            running.should_exit = True
            thread.join()
            desk.close()
            door.close()
            return 0

        started.append(Running(port, token, stop))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def serving() -> Iterator[Callable[..., Running]]:
    """`serving(folder, *options)`: the command itself, `twinpix review`; stopped at the end."""
    started: list[Running] = []

    def start(folder: Path, *options: str | Path) -> Running:
        command = [Path(sys.executable).parent / "twinpix", "review", folder, "--no-browser", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/#(\S+)", process.stdout.readline())
        assert found

        def stop() -> int:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            return process.wait(20)

        started.append(Running(int(found[1]), found[2], stop))
        return started[-1]

    yield start
    for one in started:
        one.stop()


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright. Where there is none the test is skipped, but not in CI."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        missing = "no Chromium on this machine: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("TWINPIX_BROWSER") == "required" else pytest.skip(missing)
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """`visit(address, **context)`: a page of its own; it fails on any script error, and on any request elsewhere."""
    contexts, troubles = [], list[str]()

    def open_page(address: str, **options: Any) -> Any:
        own = address.split("#")[0]
        ours = (own, f"blob:{own}", "data:")
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        page.on("console", lambda said: troubles.append(said.text) if "Content Security" in said.text else None)
        page.on("request", lambda asked: None if asked.url.startswith(ours) else troubles.append(asked.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles
