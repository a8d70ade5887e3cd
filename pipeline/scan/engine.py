"""What runs the stages: tasks that each write one file, in any order, as often as need be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twinpix.pipeline.scan import store

Progress = Callable[[str, int, int], None]  # a stage, and how many of its tasks are done, of how many


@dataclass(frozen=True)
class Task:
    """One call of a stage's function.

    Attributes:
        function: at the top of a module, so that other processes find it by name.
        arguments: plain values; `target` comes after them.
        target: the file that it writes. Where that is there, the task is done.
    """

    function: Callable[..., None]
    arguments: tuple[Any, ...]
    target: str

    def run(self) -> None:
        """Do it."""
        self.function(*self.arguments, self.target)


class Engine(Protocol):
    """Runs tasks.

    Attributes:
        name: as people name it.
        workers: how many tasks run at the same time.
    """

    name: str

    @property
    def workers(self) -> int: ...

    def embed(self, tasks: Sequence[Task]) -> Iterator[None]:
        """The same as `run`, for tasks that need an encoder."""

    def run(self, tasks: Sequence[Task]) -> Iterator[None]:
        """Run tasks in any order, and those of workers that die once more; yields as each is done.

        Raises:
            TwinpixError, OSError: of a task.
        """


class Run:
    """One scan on an engine.

    Attributes:
        resumed: by stage, how many tasks had been done before.
        done: how many this run has done.
        files: all stage files that it rests on.
    """

    def __init__(self, engine: Engine, progress: Progress) -> None:
        self.engine, self._progress = engine, progress
        self.resumed: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.files: set[str] = set()

    def perform(self, stage: str, tasks: Sequence[Task], already: int = 0) -> list[str]:
        """Have the tasks done that are not; their files, in the order of the tasks.

        Args:
            already: how many of the stage's tasks there were before these, for the progress.
        """
        waiting = [task for task in tasks if not store.is_done(task.target)]
        there = len(tasks) - len(waiting)
        self.resumed[stage] = self.resumed.get(stage, 0) + there
        self.done[stage] = self.done.get(stage, 0) + len(waiting)
        self.files.update(task.target for task in tasks)
        total = already + len(tasks)
        self._progress(stage, already + there, total)
        run = self.engine.embed if stage == EMBED else self.engine.run
        for count, _ in enumerate(run(waiting) if waiting else (), 1):
            self._progress(stage, already + there + count, total)
        return [task.target for task in tasks]


EMBED, CELLS, JOIN, LOOK, RELATE = "embedding", "cells", "joining", "looking again", "relating"
