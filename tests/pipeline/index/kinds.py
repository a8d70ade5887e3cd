"""The kinds of index that are made here, and vectors to put into them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Index
from twinpix.pipeline.index.flat import FlatIndex
from twinpix.pipeline.index.ivf import IvfIndex
from twinpix.pipeline.index.rabitq import RabitqIndex

Floats = NDArray[np.float32]
Make = Callable[[Floats], Index]


def cloud(n: int, dim: int = 64, inner: int = 16, seed: int = 0) -> Floats:
    """Unit vectors that differ in few of their dimensions, as embeddings do."""
    dice = np.random.default_rng(seed)
    rows = dice.standard_normal((n, inner)) @ dice.standard_normal((inner, dim)) + 0.02 * dice.standard_normal((n, dim))
    unit: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def everywhere(sample: Floats, codes: str) -> IvfIndex:
    """An index of cells that looks into all of them."""
    index = RabitqIndex(sample, 20) if codes == "RaBitQ" else IvfIndex(sample, 20, codes)
    index.probes = index.cells
    return index


LOCAL: dict[str, Make] = {
    "flat": lambda sample: FlatIndex(sample.shape[1]),
    "flat, fewer dimensions": FlatIndex.like,
    "ivf": lambda sample: everywhere(sample, "Flat"),
    "ivf-sq8": lambda sample: everywhere(sample, "SQ8"),
    "ivf-rabitq": lambda sample: everywhere(sample, "RaBitQ"),
}
