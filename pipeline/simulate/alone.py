"""A process that joins one cell, for `clock.peak_of_join`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from twinpix.pipeline.peak_memory import peak_mb
from twinpix.pipeline.scan.cells import join
from twinpix.pipeline.simulate.clock import one_thread


def main() -> None:
    """Join the cell of a folder."""
    vectors = np.load(Path(sys.argv[1], "cell.npy"), allow_pickle=False)
    with one_thread():
        join(vectors, np.arange(len(vectors)), *json.loads(sys.argv[2]))
    print(peak_mb() or "nan")


if __name__ == "__main__":
    main()
