"""What making groups of all pairs in one process takes, measured on some."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinpix.pipeline.group import star_groups
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.scan.cells import merge
from twinpix.pipeline.simulate.clock import Clock

PAIRS, IMAGES = 20_000, 100_000


@dataclass(frozen=True)
class Reduced:
    """Costs of the last stage.

    Attributes:
        image_bytes, pair_bytes: memory, for each image (its name) and each pair.
        pair_seconds: of CPU.
    """

    image_bytes: float
    pair_bytes: float
    pair_seconds: float


def reduce_costs() -> Reduced:
    """Pairs of two here and there, merged from two cells each, and grouped."""
    clock, paths = Clock(), list[Path]()
    tracemalloc.start()
    paths.extend(Path(f"/photos/{row // 1000:06}/{row:012}.jpg") for row in range(IMAGES))
    names = [str(path) for path in paths]
    named = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    found = _pairs()
    with clock("reduce"):
        star_groups(paths, *merge([found, found]))
    tracemalloc.start()
    star_groups(paths, *merge([found, found]))
    peak = tracemalloc.get_traced_memory()[1] - IMAGES * 8  # an array of all images is counted with the images
    tracemalloc.stop()
    return Reduced((named + len(names) * 8) / IMAGES, peak / PAIRS, clock.seconds["reduce"] / PAIRS)


def _pairs() -> Pairs:
    rows = np.random.default_rng(0).permutation(IMAGES)[: 2 * PAIRS].reshape(2, PAIRS)
    return rows.min(0), rows.max(0), np.full(PAIRS, 0.01, np.float32)
