"""This process as an engine: a thread for each core, as in `find-duplicates`. What may crash is outside: decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from twinpix.pipeline.scan.engine import Task
from twinpix.pipeline.second_look.look_again import faiss_alone, one_thread_each
from twinpix.pipeline.threads import cores, decoding_threads


class LocalEngine:
    """Threads, with decoding in contained processes. See `Engine`."""

    name = "local"

    def __init__(self, pool: ThreadPoolExecutor, workers: int) -> None:
        self._pool, self._workers = pool, workers

    @property
    def workers(self) -> int:
        """See `Engine`."""
        return self._workers

    def embed(self, tasks: Sequence[Task]) -> Iterator[None]:
        """See `Engine`."""
        return self.run(tasks)

    def run(self, tasks: Sequence[Task]) -> Iterator[None]:
        """See `Engine`."""
        waiting: list[Future[None]] = [self._pool.submit(task.run) for task in tasks]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def local_engine(workers: int | None = None) -> Iterator[LocalEngine]:
    """Threads for the time of a scan.

    Args:
        workers: how many; all cores by default.
    """
    workers = workers or cores()
    with one_thread_each(), decoding_threads(workers, faiss_alone) as pool:
        yield LocalEngine(pool, workers)
