"""The progress line: on stderr, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from twinpix.pipeline.stream import Chunk


class Meter(Protocol):
    """What is told how far a scan is."""

    def __call__(self, chunk: Chunk, total: int) -> None:
        """One more chunk of `total` files in all."""

    def looking(self, done: int, total: int) -> None:
        """So many of `total` pairs have had a second look."""


class _Silent:
    def __call__(self, chunk: Chunk, total: int) -> None:
        pass

    def looking(self, done: int, total: int) -> None:
        pass


@contextmanager
def progress_meter() -> Iterator[Meter]:
    """A callable for `find_duplicates(progress=...)`; silent when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from twinpix.pipeline.progress_bar import shown  # rich is slow to load

    with shown() as meter:
        yield meter
