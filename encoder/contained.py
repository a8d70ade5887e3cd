"""Decoding in processes of its own: a file that crashes, hangs or floods a decoder costs itself, and nothing else."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode_worker import MEMORY, OUT_OF_MEMORY, PREPROCESSINGS, SECONDS, TIMED_OUT
from twinpix.encoder.errors import DecodingError, ImageError
from twinpix.encoder.header import Header
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.wire import WireError, receive, send

T = TypeVar("T")
WORKER = Path(__file__).with_name("decode_worker.py")
READ_SECONDS = 60.0  # for a file of up to 64 MB to come off a disk that has to wake up, or a slow network
TICK, GRACE = 0.2, 2.0  # s
KILLED = -9  # exit code
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# bytes; glibc would give memory back after each picture and ask for it again, page by page, for the next one
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


class Worker:
    """One decoding process, of use to one thread at a time.

    Raises:
        DecodingError: it does not start.
        OSError: too many processes or open files.
    """

    def __init__(self) -> None:
        self._deadline = float("inf")
        self._overdue = False
        if not sys.executable or getattr(sys, "frozen", False):  # the frozen program would start itself, over and over
            raise DecodingError(
                "images of a scan are decoded in processes, and there is no Python interpreter to start"
            )
        # isolated, and without `site`: it needs nothing but the places where its owner finds Pillow and NumPy
        places = [os.path.abspath(place) for place in sys.path if place]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", WORKER, str(SECONDS), str(MEMORY), *places],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | ONE_THREAD | KEEP_MEMORY,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._remarks: IO[bytes] | None = self._process.stderr  # until it has started

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def ask(self, facts: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes] | None:
        """One request, one reply; None where it died over it."""
        self._deadline = time.monotonic() + READ_SECONDS + SECONDS + 1
        try:
            self._await_start()
            send(self._requests, facts, len(body), (body,))
            return receive(self._replies)
        except (OSError, WireError):
            return None
        finally:
            self._deadline = float("inf")

    def _await_start(self) -> None:
        if self._remarks is not None:
            try:
                ready = receive(self._replies)
            except WireError:
                ready = None
            if ready is None:
                with suppress(subprocess.TimeoutExpired):
                    if self._process.wait(GRACE) == KILLED:
                        raise OSError("killed before it had started")
                said = self._remarks.read().decode(errors="replace").strip().splitlines() or ["it says nothing"]
                raise DecodingError(f"{sys.executable} can't be started to decode images in: {said[-1]}")
            self._remarks.close()
            self._remarks = None

    def kill(self, overdue_only: bool = False) -> None:
        """End it: at once, or if it takes longer than it gives itself."""
        if overdue_only and time.monotonic() < self._deadline:
            return
        self._overdue = overdue_only
        self._process.kill()

    def bury(self) -> int:
        """Wait for its end, and hasten it.

        Returns:
            What it died of: its exit code, or TIMED_OUT.
        """
        code = None
        for _ in range(2):
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(GRACE)
                break
            self._process.kill()
        for stream in (self._requests, self._replies, self._remarks):
            with suppress(OSError):  # a request that was not sent
                if stream is not None:
                    stream.close()
        return TIMED_OUT if self._overdue or code is None else code


class Decoders:
    """Decoding processes, as many as there are threads that ask at the same time. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._closed, self._watched = threading.Event(), False

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that run now."""
        with self._lock:
            return tuple(self._all)

    @property
    def is_closed(self) -> bool:
        """Whether it is of no more use."""
        return self._closed.is_set()

    def decode(self, source: str | bytes, at_least: int | None, jpeg_at_least: int | None = None) -> Image.Image:
        """As `twinpix.encoder.decode.decode`, level by level.

        Raises:
            ImageError: as there, and `decoder_crashed`, `timed_out`, `out_of_memory`.
            DecodingError, OSError: no process can be started.
        """
        return Image.fromarray(self._ask(source, {"at_least": at_least, "jpeg_at_least": jpeg_at_least}, _levels))

    def film(self, source: str | bytes) -> Image.Image:
        """As `twinpix.encoder.film.decode_film`, level by level; errors as in `decode`."""
        return Image.fromarray(self._ask(source, {"film": True}, _levels))

    def header(self, source: str | bytes) -> Header:
        """As `twinpix.encoder.header.read_header`; errors as in `decode`."""
        return self._ask(source, {"header": True}, _header)

    def prepare(self, source: str | bytes, preprocess: Preprocess) -> NDArray[np.uint8]:
        """The same, and preprocessed; a preprocessing that no worker knows is done here."""
        kind = type(preprocess)
        if PREPROCESSINGS.get(kind.__name__) is not kind:
            return preprocess(self.decode(source, preprocess.size, preprocess.jpeg_at_least))
        wish = {
            "at_least": preprocess.size, "jpeg_at_least": preprocess.jpeg_at_least, "preprocess": kind.__name__,
            "settings": preprocess.to_dict(),
        }  # fmt: skip
        return self._ask(source, wish, _levels).copy()

    def _ask(
        self, source: str | bytes, wish: dict[str, Any], understood: Callable[[dict[str, Any], bytes], T | None]
    ) -> T:
        is_path = isinstance(source, str)
        body = os.fsencode(os.path.abspath(source)) if isinstance(source, str) else source
        outcome, code = self._answer({**wish, "path": is_path}, body, understood)
        if code == KILLED and not self._closed.is_set():  # by somebody else: no fault of the file's
            outcome, code = self._answer({**wish, "path": is_path}, body, understood)
        if outcome is None:
            reason, message = _epitaph(code)
            raise ImageError(reason, f"{source if isinstance(source, str) else 'the image'}: {message}")
        if isinstance(outcome, ImageError):
            raise outcome
        return outcome

    def _answer(
        self, facts: dict[str, Any], body: bytes, understood: Callable[[dict[str, Any], bytes], T | None]
    ) -> tuple[T | ImageError | None, int]:
        # and if there is none, what the process that was asked died of
        worker = self._take()
        try:
            reply = worker.ask(facts, body)
        except BaseException:  # interrupted in the middle of a reply
            worker.kill()
            self._drop(worker)
            raise
        outcome = None if reply is None else _refusal(reply[0]) or understood(*reply)
        if outcome is None:
            return None, self._drop(worker)
        self._give_back(worker)
        return outcome, 0

    def close(self) -> None:
        """End all processes, also those at work: whoever waits for one is told that it crashed."""
        with self._lock:
            self._closed.set()
            idle, self._idle = self._idle, []
            for worker in self._all:
                worker.kill()
        for worker in idle:
            self._drop(worker)

    def _take(self) -> Worker:
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self._start()
            if worker.is_alive():
                return worker
            self._drop(worker)

    def _start(self) -> Worker:
        with self._lock:
            if self._closed.is_set():
                raise DecodingError("the decoding processes have been ended")
            worker = Worker()
            if not self._watched:
                self._watched = True
                threading.Thread(target=self._end_overdue, name="twinpix deadlines", daemon=True).start()
            self._all.add(worker)
        return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._idle.append(worker)
                return
        self._drop(worker)

    def _drop(self, worker: Worker) -> int:
        code = worker.bury()
        with self._lock:
            self._all.discard(worker)
        return code

    def _end_overdue(self) -> None:
        while not self._closed.wait(TICK):
            with self._lock:
                for worker in self._all:
                    worker.kill(overdue_only=True)


def _refusal(facts: dict[str, Any]) -> ImageError | None:
    return ImageError(str(facts["reason"]), str(facts.get("message"))) if "reason" in facts else None


# nothing that a worker says is taken on trust: a hostile file may speak in its place


def _header(facts: dict[str, Any], body: bytes) -> Header | None:
    try:
        width, height, pictures, bits = (int(facts[name]) for name in ("width", "height", "pictures", "bits"))
        told = Header(str(facts["format"])[:16], width, height, pictures, bits, float(facts["coarseness"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return told if min(told.width, told.height) >= 0 and math.isfinite(told.coarseness) else None


def _levels(facts: dict[str, Any], body: bytes) -> NDArray[np.uint8] | None:
    try:
        a, b, c = map(int, facts["shape"])
    except (KeyError, TypeError, ValueError):
        return None
    if min(a, b, c) < 1 or 3 not in (a, c) or a * b * c != len(body):
        return None
    return np.frombuffer(body, np.uint8).reshape(a, b, c)


def _epitaph(code: int) -> tuple[str, str]:
    if code == TIMED_OUT:
        return "timed_out", f"takes longer than {SECONDS:.0f} seconds to decode"
    if code == OUT_OF_MEMORY:
        return "out_of_memory", f"takes more than {MEMORY >> 20} MB to decode"
    died_of = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
    return "decoder_crashed", f"its decoder crashed ({died_of})"
