"""A bounded queue before a few threads: what does not fit is refused at once, and nothing waits beyond its time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from twinpix.encoder.contained import Decoders
from twinpix.encoder.door import decode_in
from twinpix.pipeline.second_look.look_again import faiss_alone
from twinpix.pipeline.service.bounds import Bounds
from twinpix.pipeline.service.problem import Problem

T = TypeVar("T")
BUSY = "the queue is full: try again in a moment"


class Gone(Exception):
    """The client has gone: there is nobody to answer."""


class Work:
    """Threads that decode in contained processes, look and write.

    Args:
        bounds: how many, how many requests wait for them, and how long.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds, self._decoders = bounds, Decoders()
        self._pool = ThreadPoolExecutor(bounds.workers, "twinpix service", self._start)
        self._lock, self._accepted, self._begun = threading.Lock(), 0, 0

    def _start(self) -> None:
        decode_in(self._decoders)
        faiss_alone()

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return max(0, self._accepted - self._begun)

    @property
    def working(self) -> int:
        """Requests that are worked on."""
        return self._begun

    def refuse_if_full(self) -> None:
        """Raises Problem (429) where there is no room: said before a body is read, too."""
        if self._accepted >= self._bounds.workers + self._bounds.waiting:
            raise Problem(429, BUSY, "busy")

    async def do(self, job: Callable[[float], T], gone: Callable[[], Awaitable[object]]) -> T:
        """Have a job done.

        Args:
            job: called in a thread with its deadline (monotonic, s), which it keeps itself.
            gone: returns when the client has gone. What no thread has begun is dropped then.

        Raises:
            Problem: 429: no room; 503: no thread had time for it.
            Gone: the client has gone.
        """
        self.refuse_if_full()
        deadline = time.monotonic() + self._bounds.seconds
        future: Future[T] = self._pool.submit(self._run, job, deadline)
        with self._lock:
            self._accepted += 1
        future.add_done_callback(self._done)
        answer, left = asyncio.wrap_future(future), asyncio.ensure_future(gone())
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # even if nobody waits for it
        try:
            both: set[asyncio.Future[Any]] = {answer, left}
            await asyncio.wait(both, timeout=self._bounds.seconds, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done() and not left.done() and not future.cancel():
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)  # begun: it ends by itself
            if answer.cancelled() or future.cancelled():
                raise Problem(503, "too much to do: nobody had time for this request", "overloaded")
            if not answer.done():
                raise Gone
            return answer.result()
        finally:
            future.cancel()
            left.cancel()

    def _run(self, job: Callable[[float], T], deadline: float) -> T:
        with self._lock:
            self._begun += 1
        try:
            return job(deadline)
        finally:
            with self._lock:
                self._begun -= 1

    def _done(self, future: Future[Any]) -> None:
        with self._lock:
            self._accepted -= 1

    def close(self) -> None:
        """End it: jobs that wait are dropped, those that run are waited for, their decoders are not."""
        self._decoders.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
