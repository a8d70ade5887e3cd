"""Reading off a disk that may never answer: done in a thread, which is left behind when its time is up."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, cast

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


def ends_by_itself(path: Path) -> bool:
    """Whether a file lies on a disk of this machine, as far as that is known (Linux): its kernel gives up in the end.

    To hand each file over to another thread costs a tenth of a scan of small ones.
    """
    try:
        return sys.platform == "linux" and os.major(os.lstat(path).st_dev) != 0
    except OSError:
        return True  # who reads it is told why


class _Reader(Generic[T]):
    """A thread that reads for another one, as long as that needs it: one for each file costs a third of a scan."""

    def __init__(self) -> None:
        self.jobs = SimpleQueue[tuple[Callable[[Deadline], T], Deadline] | None]()
        self.outcomes = SimpleQueue[tuple[T | None, BaseException | None]]()
        arguments = self.jobs, self.outcomes  # it must not keep the reader alive
        threading.Thread(target=_read_on, args=arguments, name="twinpix reads", daemon=True).start()

    def __del__(self) -> None:
        self.jobs.put(None)


_own = threading.local()


def in_time(read: Callable[[Deadline], T]) -> T:
    """What `read` returns or raises, if it does so in time.

    Raises:
        ImageError: it does not (`timed_out`).
        DecodingError: the scan that this belongs to has been ended meanwhile.
    """
    deadline, decoder = Deadline(), elsewhere()
    reader: _Reader[T] = vars(_own).pop("reader", None) or _Reader()
    reader.jobs.put((read, deadline))
    while True:
        with suppress(Empty):
            value, error = reader.outcomes.get(timeout=TICK)
            _own.reader = reader  # one that is late is left behind
            if error is not None:
                raise error
            return cast("T", value)
        if deadline.is_over:
            raise ImageError("timed_out", f"takes longer than {READ_SECONDS:.0f} seconds to read")
        if decoder is not None and decoder.is_closed:
            raise DecodingError("the scan has been ended")


def _read_on(
    jobs: SimpleQueue[tuple[Callable[[Deadline], T], Deadline] | None],
    outcomes: SimpleQueue[tuple[T | None, BaseException | None]],
) -> None:
    while (job := jobs.get()) is not None:
        read, deadline = job
        try:
            outcomes.put((read(deadline), None))
        except BaseException as error:  # whatever it is, it is raised where it is waited for
            outcomes.put((None, error))
        del job, read
