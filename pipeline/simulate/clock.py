"""Seconds of CPU, and the peak memory of a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from twinpix.encoder.errors import InputError
from twinpix.pipeline.index import Vectors, import_faiss
from twinpix.pipeline.simulate.setting import Setting

REST = 0.1  # seconds


class Clock:
    """Adds up seconds of CPU by name, of all threads of this process."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def rest(self) -> None:
        """Wait until the threads of BLAS that drew vectors before have ended to spin: they would be counted."""
        time.sleep(REST)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        begun = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begun


@contextmanager
def one_thread() -> Iterator[None]:
    """FAISS as in the workers of an engine."""
    faiss = import_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def peak_of_join(vectors: Vectors, setting: Setting) -> float:
    """Peak memory of a process that joins one cell and does nothing else, MB.

    Raises:
        InputError: it died, for want of memory perhaps.
    """
    with tempfile.TemporaryDirectory(prefix="twinpix-simulate-") as folder:
        np.save(Path(folder, "cell.npy"), vectors)
        numbers = json.dumps([setting.reach, setting.sure, setting.most])
        command = [sys.executable, "-m", "twinpix.pipeline.simulate.alone", folder, numbers]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        said, _ = process.communicate()
    if process.returncode != 0:
        raise InputError(
            f"joining a cell of {len(vectors):,} vectors in a process of its own failed ({process.returncode})"
        )
    return float(said)
