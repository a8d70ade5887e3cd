"""Members of one cell of very many, drawn without drawing all the vectors that lie elsewhere.

From some vectors that were found in the cell a Markov chain goes on inside it: preconditioned Crank-Nicolson steps
(Cotter et al. 2013), which keep the distribution within a cloud as it is, and are taken back where they leave the cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.scan.cells import Cells
from twinpix.pipeline.simulate.likeness import Floats, Likeness

RIVALS = 256  # the nearest other centres, one of which a vector that leaves would belong to
FORGOTTEN, ALL_BUT = 0.2, 0.9  # what is left of the correlation with where a chain began, in so many of them at most
STEPS, MOST_STEPS = (0.15, 0.95), 200
AT_ONCE = 4096


class Inside:
    """Whether vectors have a cell among their nearest.

    Args:
        cells: all of them.
        cell: the one.
        nearest: m, among so many.
    """

    def __init__(self, cells: Cells, cell: int, nearest: int) -> None:
        gap = ((cells.centres - cells.centres[cell]) ** 2).sum(1)
        rivals = np.argpartition(gap, min(RIVALS, len(gap) - 1))[: RIVALS + 1]
        self._centres, self._nearest = cells.centres[rivals], nearest
        self._lengths, self._own = (self._centres**2).sum(1), int(np.flatnonzero(rivals == cell)[0])

    def __call__(self, turned: Floats) -> NDArray[np.bool_]:
        """Vectors as of `centres.turned`, float32 (n, d) -> bool (n,); here and there a rival farther off is missed."""
        squared = self._lengths - 2 * turned @ self._centres.T
        return np.asarray((squared < squared[:, self._own, None]).sum(1) < self._nearest)


class Turn:
    """Places in the axes of a likeness -> vectors of norm 1 in the dimensions of the centres, without a detour."""

    def __init__(self, likeness: Likeness, cells: Cells) -> None:
        basis = np.eye(likeness.dim, dtype=np.float32) if cells.basis is None else cells.basis
        self._shift = np.zeros(len(basis), np.float32) if cells.shift is None else cells.shift
        self._matrix, self._mean = likeness.axes.T @ basis.T, basis @ likeness.mean
        self._across, self._length = 2 * likeness.axes.T @ likeness.mean, float(likeness.mean @ likeness.mean)

    def __call__(self, places: Floats) -> Floats:
        """Float32 (n, d) -> float32 (n, d')."""
        squared = np.einsum("nd,nd->n", places, places) + places @ self._across + self._length
        whole = places @ self._matrix + self._mean
        return np.asarray(whole / np.sqrt(np.maximum(squared, 1e-12))[:, None] + self._shift, np.float32)


def fill(
    likeness: Likeness, turn: Turn, inside: Inside, middles: Floats, noise: Floats, count: int,
    dice: np.random.Generator,
) -> Floats:  # fmt: skip
    """Members of a cell, float32 (count, dim), norm 1.

    Args:
        middles, noise: float32 (n, d), n >= 1, of vectors that lie in it; as many chains begin at each.
    """
    which = dice.permutation(count) % len(noise)
    parts = []
    for begin in range(0, count, AT_ONCE):
        some = which[begin : begin + AT_ONCE]
        chains = _Chains(likeness, turn, inside, middles[some], noise[some], dice)
        parts.append(likeness.vectors(middles[some] + chains.run()))
    return np.concatenate(parts)


class _Chains:
    """As many as there are rows, side by side."""

    def __init__(
        self, likeness: Likeness, turn: Turn, inside: Inside, middles: Floats, noise: Floats, dice: np.random.Generator
    ) -> None:
        self._likeness, self._turn, self._inside, self._dice = likeness, turn, inside, dice
        self._middles, self._noise = middles, noise

    def run(self) -> Floats:
        """Where they are when nearly all have forgotten where they began, from the middles of their clouds."""
        left = np.zeros(len(self._noise))  # log of the correlation with the beginning
        for _ in range(MOST_STEPS):
            left += self._step()
            if np.quantile(left, ALL_BUT) < np.log(FORGOTTEN):
                break
        return self._noise

    def _step(self) -> NDArray[np.float64]:
        # of all sizes: small ones leave corners, large ones go far
        step = STEPS[0] * (STEPS[1] / STEPS[0]) ** self._dice.random(len(self._noise))
        fresh = self._likeness.noise(len(self._noise), self._dice)
        stay, go = (part[:, None].astype(np.float32) for part in (np.sqrt(1 - step**2), step))
        moved = stay * self._noise + go * fresh
        kept = self._inside(self._turn(self._middles + moved))
        self._noise[kept] = moved[kept]
        return np.where(kept, 0.5 * np.log(1 - step**2), 0.0)
