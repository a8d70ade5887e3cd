"""Which index for how many vectors, and what it is worth."""

from __future__ import annotations

import numpy as np

from twinpix.encoder.errors import InputError
from twinpix.pipeline.index import EXACT, Index, IndexUsed, Vectors
from twinpix.pipeline.index.ivf import TRAINED_ON, IvfIndex, cells_for
from twinpix.pipeline.index.near import Rows, flat_index
from twinpix.pipeline.index.rabitq import RabitqIndex
from twinpix.pipeline.index.recall import own_pairs, plant, recall, recall_of_pairs

EXACT_UP_TO = (
    100_000  # vectors: comparing all of them with all takes about 40 s on two cores, and 100 times that of 1e6
)
CELLS_UP_TO = 2_000_000  # vectors: beyond, one bit a value, for memory; `rabitq`
KINDS = {"exact": "", "ivf": "Flat", "ivf-sq8": "SQ8", "ivf-rabitq": "RaBitQ"}
WANTED = 0.999  # recall that the number of cells to look into is chosen for
CHOSEN_ON, MEASURED_ON = 500, 1000  # planted copies, and pictures whose own pairs are found by comparing with all
FEWEST_PROBES = 4


def kind_for(images: int, wanted: str | None = None) -> str:
    """One of `KINDS`: what was asked for, or what is right for so many.

    Raises:
        InputError: there is no such kind.
    """
    if wanted is None:
        return "exact" if images <= EXACT_UP_TO else "ivf" if images <= CELLS_UP_TO else "ivf-rabitq"
    if wanted not in KINDS:
        raise InputError(f"no index is called {wanted!r}: choose one of {', '.join(KINDS)}")
    return wanted


def build_index(
    vectors: Vectors, reach: float, most: int, wanted: str | None = None, by_name: Rows | None = None
) -> tuple[Index, IndexUsed]:
    """An index of all rows, for pairs within `reach` (L2) of which the `most` nearest of each row count (0: all).

    Args:
        vectors: float32 (n, dim).
        wanted: one of `KINDS`; by default it follows from n.
        by_name: int (n,), rows in an order that does not depend on how they came; as they are, by default.

    Raises:
        InputError: there is no such kind.
    """
    kind = kind_for(len(vectors), wanted)
    if kind == "exact" or len(vectors) < 2:
        return flat_index(vectors), EXACT
    by_name = np.arange(len(vectors)) if by_name is None else by_name
    cells = cells_for(len(vectors))
    sample = vectors[_spread(by_name, TRAINED_ON * cells)]
    index = RabitqIndex(sample, cells) if kind == "ivf-rabitq" else IvfIndex(sample, cells, KINDS[kind])
    del sample
    index.add(np.arange(len(vectors)), vectors)
    chosen_on, measured_on = (
        _Test(vectors, _spread(by_name, count, seed), reach, most, seed)
        for seed, count in enumerate((CHOSEN_ON, MEASURED_ON), 1)
    )
    _choose_probes(index, chosen_on)
    planted, pairs = len(measured_on.planted.rows), len(measured_on.pairs[0])
    return index, IndexUsed(index.name, measured_on.recall(index), planted, index.cells, index.probes, pairs)


class _Test:
    """Planted copies of some rows, and the pairs that these are in."""

    def __init__(self, vectors: Vectors, rows: Rows, reach: float, most: int, seed: int) -> None:
        self._vectors, self._reach, self._most = vectors, reach, most
        self.planted = plant(vectors, rows, reach, most, seed)
        self.pairs = own_pairs(vectors, rows, reach, most)

    def recall(self, index: Index) -> float:
        """Of copies or of pairs, whichever is lower, 0..1."""
        pairs = recall_of_pairs(index, self._vectors, self.pairs, self._reach, self._most)
        return min(pairs, recall(index, self._vectors, self.planted, self._reach, self._most))


def _choose_probes(index: IvfIndex, test: _Test) -> None:
    index.probes = FEWEST_PROBES
    while index.probes < index.cells and test.recall(index) < WANTED:
        index.probes = 2 * index.probes


def _spread(rows: Rows, count: int, seed: int | None = None) -> Rows:
    # evenly by name, or drawn
    if count >= len(rows):
        return rows
    if seed is None:
        return rows[np.linspace(0, len(rows) - 1, count).astype(np.intp)]
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))]
