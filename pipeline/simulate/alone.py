"""A process that joins one cell, for `clock.peak_of_join`."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from twinpix.pipeline.scan.cells import join
from twinpix.pipeline.simulate.clock import one_thread


def main() -> None:
    """Join the cell of a folder."""
    vectors = np.load(Path(sys.argv[1], "cell.npy"), allow_pickle=False)
    with one_thread():
        join(vectors, np.arange(len(vectors)), *json.loads(sys.argv[2]))
    print(_peak_mb())


def _peak_mb() -> float:
    # what the kernel tells of a child (ru_maxrss) is at least what its parent held
    with suppress(FileNotFoundError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


if __name__ == "__main__":
    main()
