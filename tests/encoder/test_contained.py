"""Decoding in processes that may die: each failure costs its file, and nothing is left behind."""

from __future__ import annotations

import faulthandler
import io
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder import contained
from twinpix.encoder.contained import Decoders
from twinpix.encoder.decode import decode
from twinpix.encoder.decode_worker import OUT_OF_MEMORY, Watch
from twinpix.encoder.errors import DecodingError, ImageError
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.recipe import Recipe
from twinpix.encoder.wire import WireError, receive, send

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]
FAILING = Path(__file__).with_name("failing_worker.py")
ASK, FAILURES = (runpy.run_path(str(FAILING))[name] for name in ("ASK", "FAILURES"))


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    """Some that are closed at the end."""
    made = Decoders()
    yield made
    made.close()
    assert not made.workers


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers whose decoder fails where a file asks for it, and that have two seconds for a picture."""
    monkeypatch.setattr(contained, "WORKER", FAILING)
    monkeypatch.setattr(contained, "SECONDS", 2.0)


def reason(decoders: Decoders, source: str | bytes) -> str:
    with pytest.raises(ImageError) as raised:
        decoders.decode(source, None)
    return raised.value.reason


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_costs_its_file_alone(
    failing: None, decoders: Decoders, paint: Paint, pack: Pack, tmp_path: Path, name: str
) -> None:
    good = pack(paint(0, 64, 48), "PNG")
    bad = tmp_path / "bad.png"
    bad.write_bytes(good + ASK + name.encode())
    assert decoders.decode(good, None).size == (64, 48)
    with pytest.raises(ImageError, match=str(bad)) as raised:
        decoders.decode(str(bad), None)
    assert raised.value.reason == FAILURES[name][1], str(raised.value)
    assert decoders.decode(good, None).size == (64, 48)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("at_least", [None, 32])
def test_levels_are_those_of_decoding_here(
    decoders: Decoders, paint: Paint, pack: Pack, tmp_path: Path, kind: str, at_least: int | None
) -> None:
    data = pack(paint(1, 900, 650), kind)
    path = tmp_path / "\udcff name\n"
    path.write_bytes(data)
    here = decode(data, at_least)
    for source in (data, str(path)):
        assert np.array_equal(np.asarray(decoders.decode(source, at_least)), np.asarray(here))
    smaller = decode(data, at_least, jpeg_at_least=20)
    assert np.array_equal(np.asarray(decoders.decode(data, at_least, 20)), np.asarray(smaller))


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(48),
        Preprocess(32, "bicubic"),
        Preprocess(48, despeckle=True),
        Preprocess(200, despeckle=True, reducing_gap=1.2),
        Recipe(40, width=50, fit="crop", crop_pct=0.9, mean=(0.5, 0.4, 0.3)),
    ],
)
def test_preprocessing_there_is_preprocessing_here(
    decoders: Decoders, paint: Paint, pack: Pack, preprocess: Preprocess
) -> None:
    levels = np.asarray(paint(2, 700, 500)).copy()
    levels[np.random.default_rng(0).random(levels.shape[:2]) < 0.05] = 255  # salt
    for kind in ("PNG", "JPEG"):
        data = pack(Image.fromarray(levels), kind)
        here = preprocess(decode(data, preprocess.size, jpeg_at_least=preprocess.jpeg_at_least))
        there = decoders.prepare(data, preprocess)
        assert (there.dtype, there.shape) == (here.dtype, here.shape)
        assert np.array_equal(there, here)
        there[:] = 0  # its owner's


def test_a_preprocessing_of_ones_own(decoders: Decoders, paint: Paint, pack: Pack) -> None:
    class Negative(Preprocess):
        def __call__(self, picture: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
            return 255 - super().__call__(picture)

    data = pack(paint(2, 300, 200), "PNG")
    assert np.array_equal(decoders.prepare(data, Negative(16)), 255 - decoders.prepare(data, Preprocess(16)))


@pytest.mark.parametrize(
    ("content", "expected"), [(b"", "empty_file"), (b"text", "not_an_image"), (b"8BPS....", "unsupported_format")]
)
def test_errors_are_those_of_decoding_here(decoders: Decoders, tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "\udcfe.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError) as here:
        decode(str(path))
    with pytest.raises(ImageError) as there:
        decoders.decode(str(path), None)
    assert here.value.reason == there.value.reason == expected
    assert str(here.value) == str(there.value)
    assert reason(decoders, str(tmp_path / "gone")) == "vanished"


def test_threads_share_them(decoders: Decoders, paint: Paint, pack: Pack) -> None:
    files = [pack(paint(seed, 80, 60), "PNG") for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda data: decoders.decode(data, None), files))
    assert [picture.tobytes() for picture in found] == [decode(data).tobytes() for data in files]
    assert len(decoders.workers) <= 4


def test_a_worker_that_died_idle_costs_nothing(decoders: Decoders, paint: Paint, pack: Pack) -> None:
    data = pack(paint(0, 64, 48), "PNG")
    decoders.decode(data, None)
    (worker,) = decoders.workers
    os.kill(worker.pid, signal.SIGKILL)
    time.sleep(0.2)
    assert decoders.decode(data, None).size == (64, 48)


def test_a_worker_that_somebody_kills_at_work_costs_nothing(
    failing: None, decoders: Decoders, paint: Paint, pack: Pack
) -> None:
    decoders.decode(pack(paint(0, 64, 48), "PNG"), None)
    (worker,) = decoders.workers
    os.kill(worker.pid, signal.SIGSTOP)  # it will be at work for ever
    threading.Timer(0.5, os.kill, (worker.pid, signal.SIGKILL)).start()
    assert decoders.decode(pack(paint(0, 64, 48), "PNG"), None).size == (64, 48)
    assert decoders.workers != (worker,)


def test_a_worker_that_somebody_kills_at_its_start_costs_nothing(
    decoders: Decoders, paint: Paint, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = list[int]()

    class Killed(contained.Worker):
        def __init__(self) -> None:
            super().__init__()
            if not started:
                self._process.kill()
            started.append(self.pid)

    monkeypatch.setattr(contained, "Worker", Killed)
    assert decoders.decode(pack(paint(0, 64, 48), "PNG"), None).size == (64, 48)
    assert len(started) == 2


def test_a_worker_that_stands_still_is_ended(
    decoders: Decoders, paint: Paint, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pack(paint(0, 64, 48), "PNG")
    decoders.decode(data, None)
    monkeypatch.setattr(contained, "READ_SECONDS", -8.0)
    (worker,) = decoders.workers
    os.kill(worker.pid, signal.SIGSTOP)
    assert reason(decoders, data) == "timed_out"


def test_closing_waits_for_nobody(failing: None, paint: Paint, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contained, "SECONDS", 60.0)
    decoders, outcome = Decoders(), list[str]()
    data = pack(paint(0, 64, 48), "PNG") + ASK + b"sleep"
    decoders.decode(pack(paint(0, 64, 48), "PNG"), None)  # the process has started
    thread = threading.Thread(target=lambda: outcome.append(reason(decoders, data)))
    thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    decoders.close()
    thread.join(30)
    assert outcome == ["decoder_crashed"]
    assert time.monotonic() - begun < 20
    with pytest.raises(DecodingError, match="ended"):
        decoders.decode(data, None)


def test_no_process_to_decode_in(decoders: Decoders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "worker.py"
    broken.write_text("import no_such_module\n")
    monkeypatch.setattr(contained, "WORKER", broken)
    with pytest.raises(DecodingError, match="No module named 'no_such_module'"):
        decoders.decode(b"", None)


def test_a_frozen_program_does_not_start_itself(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(DecodingError, match="no Python interpreter"):
        decoders.decode(b"", None)


def test_a_worker_imports_little() -> None:
    command: list[str | Path] = [
        sys.executable,
        "-I",
        "-S",
        "-X",
        "importtime",
        contained.WORKER,
        "8",
        "500000000",
        *sys.path,
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    names = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert {"PIL", "numpy", "twinpix"} <= names
    assert not names & {
        "faiss",
        "onnxruntime",
        "cv2",
        "typer",
        "rich",
        "torch",
        "asyncio",
        "sqlite3",
        "multiprocessing",
    }


def test_messages() -> None:
    pipe = io.BytesIO()
    send(pipe, {"name": "\udcff"}, 5, (b"ab", b"cde"))
    whole = pipe.getvalue()
    assert receive(io.BytesIO(whole)) == ({"name": "\udcff"}, b"abcde")
    assert receive(io.BytesIO()) is None
    for bad in (whole[:-1], whole[:5], whole[:14], b"\xff" * 12, b"\0\0\0\1" + bytes(8) + b"[", bytes(12)):
        with pytest.raises(WireError):
            receive(io.BytesIO(bad))


def children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in done.stdout.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


SCAN = """
import sys
from pathlib import Path
from twinpix.encoder import contained
import twinpix
contained.WORKER, contained.SECONDS = Path(sys.argv[1]), float(sys.argv[3])
print(len(twinpix.encode_images(sys.argv[2]).paths))
"""


def test_the_timer_runs_before_the_first_picture_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[object]()
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, **_: done.append(seconds))
    monkeypatch.setattr(threading, "Thread", lambda **_: SimpleNamespace(start=lambda: done.append("thread")))
    Watch(2.0, 1 << 30)
    assert done == [2.0, "thread"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize(
    ("name", "how"), [("sleep", signal.SIGINT), ("sleep", signal.SIGKILL), ("hang", signal.SIGKILL)]
)
def test_no_orphans(album: Path, paint: Paint, pack: Pack, how: signal.Signals, name: str) -> None:
    for i in range(8):
        (album / f"stuck{i}.png").write_bytes(pack(paint(i, 64, 48), "PNG") + ASK + name.encode())
    seconds = "60" if name == "sleep" else "3"  # the lock of the interpreter is held: only its own timer ends it
    command: list[str | Path] = [sys.executable, "-c", SCAN, FAILING, album, seconds]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        workers: list[int] = []
        while not workers and process.poll() is None:
            time.sleep(0.1)
            workers = children(process.pid)
        time.sleep(1.5)
        workers = children(process.pid)
        assert workers
        process.send_signal(how)
        begun = time.monotonic()
        process.wait(30)
        while any(map(is_running, workers)) and time.monotonic() - begun < 20:
            time.sleep(0.05)
        assert not [pid for pid in workers if is_running(pid)]


def test_works_without_a_main_guard(album: Path, tmp_path: Path) -> None:
    program = "import twinpix\nprint('main')\nprint(len(twinpix.encode_images({!r}, workers=2).paths))\n"
    script = tmp_path / "no_guard.py"
    script.write_text(program.format(str(album)))
    # in the folder lie modules that nobody must import
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("PIL", "numpy", "json", "struct"):
        (trap / f"{name}.py").write_text("print('trapped')\n")
    for arguments, text in (
        (["-P", "-c", script.read_text()], None),
        ([str(script)], None),
        (["-P", "-"], script.read_text()),
    ):
        done = subprocess.run(
            [sys.executable, *arguments], input=text, capture_output=True, text=True, cwd=trap, check=False
        )
        assert (done.returncode, done.stdout.split()) == (0, ["main", "5"]), done.stderr


def test_memory_watch_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    worker: ModuleType = sys.modules["twinpix.encoder.decode_worker"]
    assert 10 << 20 < worker.__dict__["resident"]() < 20 << 30
    assert 10 << 20 < worker.__dict__["_peak"]() < 20 << 30
    assert OUT_OF_MEMORY not in (0, 1)
