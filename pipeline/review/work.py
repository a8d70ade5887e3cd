"""What takes longer than a request: one piece of work at a time, in a thread that can be asked how far it is."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread
from typing import Any

from twinpix.encoder.errors import InputError, TwinpixError
from twinpix.pipeline.show import safe

Job = Callable[[Callable[[int, int], None]], Any]


class Work:
    """The piece of work in hand, or the last one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._state: dict[str, Any] = {"name": None, "done": 0, "total": 0, "running": False}

    def state(self) -> dict[str, Any]:
        """How far it is; once it is done, its `result` or `error`."""
        with self._lock:
            return dict(self._state)

    def start(self, name: str, job: Job) -> None:
        """Begin a piece of work; it is given a callable for (done, total).

        Raises:
            InputError: another one is not done yet.
        """
        with self._lock:
            if self._state["running"]:
                raise InputError("one moment: something else is still being done")
            self._state = {"name": name, "done": 0, "total": 0, "running": True}
        Thread(target=self._run, args=(job,), name="twinpix-work").start()

    def _run(self, job: Job) -> None:
        try:
            outcome = {"result": job(self._progress)}
        except TwinpixError as error:
            outcome = {"error": safe(str(error))}
        except Exception as error:  # whatever it is, the page must not wait for ever
            outcome = {"error": safe(f"unexpected {type(error).__name__}: {error}")}
        self._update(running=False, **outcome)

    def _progress(self, done: int, total: int) -> None:
        self._update(done=done, total=total)

    def _update(self, **changes: Any) -> None:
        with self._lock:
            self._state.update(changes)
