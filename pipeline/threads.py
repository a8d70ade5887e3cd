"""Threads for a scan: the pictures that they read are decoded in processes, one for each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from twinpix.encoder.contained import Decoders
from twinpix.encoder.door import decode_in


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def decoding_threads(
    workers: int | None = None, at_start: Callable[[], object] = lambda: None
) -> Iterator[ThreadPoolExecutor]:
    """Threads in which `read_picture` has files decoded in contained processes. At the end nothing is waited for.

    A thread waits while its process decodes, and the other way round: a pair keeps one core busy.

    Args:
        workers: how many; all cores by default.
        at_start: called in each thread.
    """
    decoders = Decoders()

    def start() -> None:
        decode_in(decoders)
        at_start()

    pool = ThreadPoolExecutor(workers or cores(), "twinpix", start)
    try:
        yield pool
    finally:
        decoders.close()
        pool.shutdown(wait=True, cancel_futures=True)
