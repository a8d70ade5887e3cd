"""Threads for a scan: the pictures that they read are decoded in processes, one for each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

from twinpix.encoder.contained import Decoders
from twinpix.encoder.door import decode_in
from twinpix.encoder.errors import InputError

_shared: ContextVar[Decoders | None] = ContextVar("decoding processes", default=None)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def sharing_decoders() -> Iterator[None]:
    """One scan after the other within uses the same decoding processes: each takes a quarter of a second to start."""
    decoders = Decoders()
    before = _shared.set(decoders)
    try:
        yield
    finally:
        _shared.reset(before)
        decoders.close()


@contextmanager
def decoding_threads(
    workers: int | None = None, at_start: Callable[[], object] = lambda: None
) -> Iterator[ThreadPoolExecutor]:
    """Threads in which `read_picture` has files decoded in contained processes. At the end nothing is waited for.

    A thread waits while its process decodes, and the other way round: a pair keeps one core busy.

    Args:
        workers: how many; all cores by default.
        at_start: called in each thread.

    Raises:
        InputError: there are to be none.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers: at least 1, not {workers}")
    shared = _shared.get()
    decoders = shared if shared is not None and not shared.is_closed else Decoders()

    def start() -> None:
        decode_in(decoders)
        at_start()

    pool = ThreadPoolExecutor(workers or cores(), "twinpix", start)
    try:
        yield pool
    except BaseException:  # whoever waits for a picture waits no longer
        decoders.close()
        raise
    finally:
        if decoders is not shared:
            decoders.close()
        pool.shutdown(wait=True, cancel_futures=True)
