"""Ray as an engine: an actor pool of Ray Data embeds, tasks of Ray Core do the rest. Work goes by files.

A worker or an actor that dies costs the task that it was at: Ray runs it again elsewhere.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from twinpix.encoder.contained import Decoders
from twinpix.encoder.door import decode_in
from twinpix.encoder.errors import MissingPackageError, TwinpixError
from twinpix.pipeline.scan.engine import Task
from twinpix.pipeline.second_look.look import import_cv2
from twinpix.pipeline.second_look.look_again import faiss_alone
from twinpix.pipeline.threads import cores

RETRIES = 10  # of a task, when its worker dies
REACHED = 10.0  # s, in which a cluster answers
WAITING = 4  # tasks for each worker that Ray holds at a time
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # a page for each worker that dies
    "RAY_worker_niceness": "0",  # as everything else: behind all other programs it would stand still on a busy machine
}


class EngineError(TwinpixError):
    """The cluster can't do the work."""


def import_ray() -> Any:
    """The ray module.

    Raises:
        MissingPackageError: it is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingPackageError("--engine ray needs the extra: pip install 'twinpix[cpu,ray]'") from None
    return ray


@contextmanager
def ray_engine(workers: int | None = None, address: str | None = None, gpus: float = 0.0) -> Iterator[RayEngine]:
    """A Ray cluster for the time of a scan: the one that runs at `address`, or one of this machine's cores.

    Args:
        workers: how many tasks at a time; all cores by default.
        gpus: of each actor that embeds; a share, where several use one.

    Raises:
        MissingPackageError: Ray is not installed.
        EngineError: it does not start, or there is no cluster at `address`.
    """
    if address is not None and "RAY_AUTH_MODE" not in os.environ and _has_token():
        os.environ["RAY_AUTH_MODE"] = "token"  # Ray itself shows a token of its own accord to `auto` alone
    ray = import_ray()
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    begun = not ray.is_initialized()
    if begun:
        _check_there(address)
        here = {} if address is not None else {"num_cpus": workers or cores(), "include_dashboard": False}
        try:
            # "local": without it, Ray joins whatever cluster was started on this machine last
            ray.init(
                address or "local", log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **here
            )
        except Exception as error:  # connection, resources, a version of its own: Ray raises many kinds
            said = " ".join(str(error).split())[:200]
            raise EngineError(f"Ray{f' at {address}' if address else ''} can't be used ({said})") from None
    try:
        yield RayEngine(ray, workers or max(1, int(ray.cluster_resources().get("CPU", 1))), gpus)
    finally:
        if begun:
            ray.shutdown()


def _has_token() -> bool:
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or Path("~/.ray/auth_token").expanduser().is_file()


def _check_there(address: str | None) -> None:
    # Ray itself would try for minutes
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACHED).close()
    except (OSError, OverflowError) as error:
        raise EngineError(f"no Ray cluster answers at {address} ({error})") from None


class RayEngine:
    """Ray. See `Engine`."""

    name = "ray"

    def __init__(self, ray: Any, workers: int, gpus: float = 0.0) -> None:
        self._ray, self._workers, self._gpus = ray, workers, gpus
        self._remote = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_run)

    @property
    def workers(self) -> int:
        """See `Engine`."""
        return self._workers

    def embed(self, tasks: Sequence[Task]) -> Iterator[None]:
        """See `Engine`: each actor loads the encoder once."""
        data = self._ray.data
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        rows = [{"task": self._ray.cloudpickle.dumps(task)} for task in tasks]
        done = data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            Actor,
            batch_size=1,
            # a pool of a fixed size may wait for ever for CPUs that it holds itself
            compute=data.ActorPoolStrategy(min_size=1, max_size=min(self._workers, len(tasks))),
            num_cpus=1,
            num_gpus=self._gpus,
        )
        with self._own_errors():
            for batch in done.iter_batches(batch_size=1, prefetch_batches=0):
                _raise(pickle.loads(bytes(batch["failed"][0])))
                yield

    def run(self, tasks: Sequence[Task]) -> Iterator[None]:
        """See `Engine`."""
        coming, waiting = iter(tasks), list[Any]()
        with self._own_errors():
            while True:
                while len(waiting) < WAITING * self._workers and (task := next(coming, None)) is not None:
                    waiting.append(self._remote.remote(task))
                if not waiting:
                    return
                done, waiting = self._ray.wait(waiting)
                for one in done:
                    _raise(self._ray.get(one))
                    yield

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        # Ray's account of what went wrong is a page long
        try:
            yield
        except self._ray.exceptions.RayError as error:
            said = " ".join(str(error).split())[:300]
            raise EngineError(f"Ray gave up ({type(error).__name__}: {said})") from None


def _raise(failed: Exception | None) -> None:
    if failed is not None:
        raise failed


class Actor:
    """Embeds shards, one after the other."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Run a task; the batch holds one."""
        return {"failed": [pickle.dumps(_run(pickle.loads(bytes(batch["task"][0]))))]}


def _run(task: Task) -> Exception | None:
    # what a task raises on purpose is an outcome: Ray would wrap it, log it, and run the task again
    decode_in(_decoders())
    try:
        task.run()
    except (TwinpixError, OSError) as error:
        return error
    return None


@lru_cache(1)
def _decoders() -> Decoders:
    # of this process, which lives for many tasks
    faiss_alone()
    import_cv2().setNumThreads(1)
    return Decoders()
