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
        image_seconds, pair_seconds: of CPU.
    """

    image_bytes: float
    pair_bytes: float
    image_seconds: float
    pair_seconds: float


def reduce_costs() -> Reduced:
    """Pairs of two here and there, merged from two cells each, and grouped."""
    clock, found = Clock(), _pairs()
    clock.rest()
    with clock("images"):
        paths = _paths()
    with clock("pairs"):
        star_groups(paths, *merge([found, found]))
    tracemalloc.start()
    named = [(path, str(path)) for path in _paths()]
    images = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    star_groups(paths, *merge([found, found]))
    pairs = tracemalloc.get_traced_memory()[1] - images - len(named) * 8  # an array of all images counts with them
    tracemalloc.stop()
    return Reduced(images / IMAGES, pairs / PAIRS, clock.seconds["images"] / IMAGES, clock.seconds["pairs"] / PAIRS)


def _paths() -> list[Path]:
    return [Path(f"/photos/{row // 1000:06}/{row:012}.jpg") for row in range(IMAGES)]


def _pairs() -> Pairs:
    rows = np.random.default_rng(0).permutation(IMAGES)[: 2 * PAIRS].reshape(2, PAIRS)
    return rows.min(0), rows.max(0), np.full(PAIRS, 0.01, np.float32)
