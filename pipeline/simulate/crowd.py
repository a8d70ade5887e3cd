"""The picture that everybody has: all its copies lie in the same few cells, and all are near one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinpix.pipeline.scan.cells import join
from twinpix.pipeline.simulate.clock import Clock
from twinpix.pipeline.simulate.collection import Collection
from twinpix.pipeline.simulate.sample import Joined
from twinpix.pipeline.simulate.setting import Setting

MOST = 50_000  # of its copies, that are drawn; beyond, cost grows with the square
PAIRS_AT_ONCE = 4_000_000  # that are looked for here
PAIR_BYTES = 60  # of a process, for each pair that it finds, about: keys, their sorted copy, both ends, distances


@dataclass(frozen=True)
class Crowd:
    """What it adds.

    Attributes:
        size: of a cell that holds it.
        hot: how many such cells are joined in portions.
        portions: of each of them, as `cell_pairs` has it.
        memory: MB that the pairs of one portion take.
        seconds: of CPU, in all of its cells.
        pairs: that are found among its copies.
    """

    size: int
    hot: int
    portions: int
    memory: float
    seconds: float
    pairs: float


def join_crowd(collection: Collection, setting: Setting, beside: Joined, dice: np.random.Generator) -> Crowd:
    """Join a cell that holds the crowd, beside what it holds anyway; a portion of it, where it is large.

    Args:
        beside: a cell without it.
    """
    count, size = collection.crowded, beside.size + collection.crowded
    if count < 2:
        return Crowd(size, 0, 1, 0.0, 0.0, 0.0)
    drawn = min(count, MOST)
    copies = collection.move(np.repeat(beside.members[:1], drawn, 0), dice)
    whole = np.concatenate([copies, beside.members])
    rows = np.arange(drawn) if drawn * drawn <= PAIRS_AT_ONCE else np.arange(max(16, PAIRS_AT_ONCE // drawn))
    clock = Clock()
    clock.rest()
    with clock("join"):
        i, j, _ = join(whole, np.arange(len(whole)), setting.reach, setting.sure, setting.most, None, rows)
    # what is among the nearest of one end counts: both ends are known of pairs within the portion
    share = float(((i < len(rows)) & (j < len(rows))).sum()) / (len(rows) * (len(rows) - 1) / 2)
    portions = -(-(setting.together + size) // setting.hot)
    seconds = clock.seconds["join"] * (count / len(rows)) * (count / drawn) * setting.nearest
    pairs = share * count * (count - 1) / 2
    memory = pairs / portions * PAIR_BYTES / (1 << 20)
    return Crowd(size, setting.nearest if portions > 1 else 0, portions, memory, seconds, pairs)
