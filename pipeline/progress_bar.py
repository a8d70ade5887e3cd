"""What `progress_meter` shows on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from twinpix.pipeline.stream import Chunk


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Images or pairs a second."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f} {task.fields['unit']}/s")


class Bar:
    """Counts finished chunks; shows them while `bar` is open."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._skipped = bar, 0
        self._task = bar.add_task("Encoding", total=None, skipped=0, unit="images")
        self._pairs: TaskID | None = None

    def __call__(self, chunk: Chunk, total: int) -> None:
        """One more chunk of `total` files in all."""
        self._skipped += len(chunk.skipped)
        done = len(chunk.paths) + len(chunk.skipped)
        self._bar.update(self._task, advance=done, total=total, skipped=self._skipped)

    def looking(self, done: int, total: int) -> None:
        """So many of `total` pairs have had a second look."""
        if self._pairs is None:
            self._pairs = self._bar.add_task("Looking again, at most", total=total, skipped=self._skipped, unit="pairs")
        self._bar.update(self._pairs, completed=done)


@contextmanager
def shown() -> Iterator[Bar]:
    """On stderr, until it is left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[skipped]} skipped"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bar(bar)
