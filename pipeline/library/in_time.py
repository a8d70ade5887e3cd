"""Reading off a disk that may never answer: done in a thread, which is left behind when its time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from twinpix.encoder.contained import READ_SECONDS, TICK
from twinpix.encoder.decode import IN_MEMORY
from twinpix.encoder.door import elsewhere
from twinpix.encoder.errors import DecodingError, ImageError

T = TypeVar("T")


class Deadline:
    """When a file must have been read: in a minute, and in one more for each 64 MB of a large one."""

    def __init__(self) -> None:
        self._moment = time.monotonic() + READ_SECONDS

    def of_size(self, size: int) -> None:
        """The file turns out to have so many bytes."""
        self._moment += READ_SECONDS * (size // IN_MEMORY)

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() > self._moment


def in_time(read: Callable[[Deadline], T]) -> T:
    """What `read` returns or raises, if it does so in time.

    Raises:
        ImageError: it does not (`timed_out`).
        DecodingError: the scan that this belongs to has been ended meanwhile.
    """
    deadline, outcome, decoder = Deadline(), Future[T](), elsewhere()
    thread = threading.Thread(target=_run, args=(read, deadline, outcome), name="twinpix reads", daemon=True)
    thread.start()
    while True:
        thread.join(TICK)
        if outcome.done():
            return outcome.result()
        if deadline.is_over:
            raise ImageError("timed_out", f"takes longer than {READ_SECONDS:.0f} seconds to read")
        if decoder is not None and decoder.is_closed:
            raise DecodingError("the scan has been ended")


def _run(read: Callable[[Deadline], T], deadline: Deadline, outcome: Future[T]) -> None:
    try:
        outcome.set_result(read(deadline))
    except BaseException as error:  # whatever it is, it is raised where it is waited for
        outcome.set_exception(error)
