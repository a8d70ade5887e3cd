"""A few cells of very many, as full as they would be, and joined by the scan's own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.index import Pairs
from twinpix.pipeline.scan.cells import Cells, join
from twinpix.pipeline.simulate.centres import turned
from twinpix.pipeline.simulate.clock import Clock
from twinpix.pipeline.simulate.collection import Collection
from twinpix.pipeline.simulate.fill import Inside, Turn, fill
from twinpix.pipeline.simulate.likeness import Floats
from twinpix.pipeline.simulate.setting import HOT, Setting

FEWEST, MOST = 4, 32  # cells,
MEMBERS = 40_000  # with about so many vectors in all, where that is more than the fewest
SCOUTS = 12  # vectors a cell are drawn to see how full the chosen ones are, and where in them chains begin
MOST_SCOUTS, BLOCK = 1 << 20, 1 << 13
WARM = 4000  # smaller cells are joined twice: of thousands in a row none is the first


@dataclass(frozen=True)
class Joined:
    """One cell that was joined.

    Attributes:
        members: float32 (s, dim).
        size: how many vectors it would hold; those of `members`, unless that is more than is filled.
        seconds: of CPU, for all of them.
        pairs: that all of them would be found to be, each counted by the share of its cells that this one is.
    """

    members: Floats
    size: int
    seconds: float
    pairs: float


def choose(assigned: NDArray[np.int32], mean: float, dice: np.random.Generator) -> list[int]:
    """Cells, in proportion to their size: those of some vectors.

    Args:
        assigned: int32 (n, m), the nearest cells of a sample.
        mean: vectors that a cell would hold.
    """
    count = int(np.clip(MEMBERS / mean, FEWEST, MOST))
    rows = dice.integers(0, len(assigned), count)
    return [int(cell) for cell in assigned[rows, dice.integers(0, assigned.shape[1], count)]]


def join_cells(
    collection: Collection, setting: Setting, cells: Cells, chosen: Sequence[int], dice: np.random.Generator
) -> list[Joined]:
    """Fill the chosen cells as full as they would be, and join each."""
    turn, insides = Turn(collection.likeness, cells), [Inside(cells, cell, setting.nearest) for cell in chosen]
    scouts = min(MOST_SCOUTS, SCOUTS * len(cells))
    return [
        _join(collection, setting, cells, turn, inside, *found, dice)
        for inside, found in zip(insides, _scout(collection, turn, insides, scouts, dice), strict=True)
        if len(found[0])
    ]


def _scout(
    collection: Collection, turn: Turn, insides: Sequence[Inside], scouts: int, dice: np.random.Generator
) -> list[tuple[Floats, Floats, float]]:
    # of each cell: drawn vectors that lie in it (middles, noise), and the share of all that do
    likeness, found = collection.likeness, [list[tuple[Floats, Floats]]() for _ in insides]
    drawn = 0
    while drawn < scouts:
        middles = likeness.middles[dice.integers(0, len(likeness.anchors), BLOCK)]
        noise = likeness.noise(BLOCK, dice)
        there = turn(middles + noise)
        for inside, parts in zip(insides, found, strict=True):
            where = inside(there)
            parts.append((middles[where], noise[where]))
        drawn += BLOCK
    told = []
    for parts in found:
        middles, noise = (np.concatenate(part) for part in zip(*parts, strict=True))
        told.append((middles, noise, len(noise) / drawn))
    return told


def _join(
    collection: Collection, setting: Setting, cells: Cells, turn: Turn, inside: Inside, middles: Floats, noise: Floats,
    share: float, dice: np.random.Generator,
) -> Joined:  # fmt: skip
    size = max(2, round(share * setting.images))
    count = min(size, HOT)
    members = _with_copies(
        collection, cells, inside, fill(collection.likeness, turn, inside, middles, noise, count, dice), dice
    )
    clock = Clock()
    clock.rest()
    if count < WARM:
        join(members, np.arange(count), setting.reach, setting.sure, setting.most)
    with clock("join"):
        pairs = join(members, np.arange(count), setting.reach, setting.sure, setting.most)
    factor = (size / count) ** 2  # beyond: a hot cell, joined in portions of the same work
    return Joined(members, size, factor * clock.seconds["join"], factor * _weighed(members, pairs, cells, setting))


def _with_copies(
    collection: Collection, cells: Cells, inside: Inside, members: Floats, dice: np.random.Generator
) -> Floats:
    # the share of them that are copies: of members, where both lie in the cell, or else of vectors that lie elsewhere
    copied = round(collection.copies * len(members))
    originals = dice.integers(0, max(1, len(members) - copied), copied)
    copies = collection.move(members[originals], dice)
    copies = copies[inside(turned(cells, copies))]
    return np.concatenate([members[: len(members) - len(copies)], copies])


def _weighed(members: Floats, pairs: Pairs, cells: Cells, setting: Setting) -> float:
    # a pair is found in each cell that both ends lie in
    if len(pairs[0]) == 0:
        return 0.0
    rows, at = np.unique(np.concatenate(pairs[:2]), return_inverse=True)
    nearest = cells.assign(members[rows], setting.nearest)
    one, other = nearest[at[: len(pairs[0])]], nearest[at[len(pairs[0]) :]]
    return float((1 / np.maximum(1, (one[:, :, None] == other[:, None, :]).sum((1, 2)))).sum())
