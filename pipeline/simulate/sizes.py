"""How full the cells would be, from where a sample of the vectors lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.simulate.setting import Setting


@dataclass(frozen=True)
class Sizes:
    """Vectors in the cells.

    Attributes:
        mean: of a cell.
        squares: sum over all cells of the squared sizes: what comparing inside them takes.
        each: int64 (k,), as if gamma-distributed with that mean and variance; a sample can't tell each cell's own.
    """

    mean: float
    squares: float
    each: NDArray[np.int64]

    @classmethod
    def of(cls, assigned: NDArray[np.int32], setting: Setting) -> Sizes:
        """From the nearest cells of a sample, int32 (n, m)."""
        n, k = len(assigned), setting.cells
        counts = np.bincount(assigned.ravel(), minlength=k).astype(np.float64)
        mean = setting.rows / k
        # two of the sample in one cell: without bias, however few of the sample a cell holds
        squares = max(setting.images**2 * float((counts * (counts - 1)).sum()) / (n * (n - 1)), k * mean**2)
        variance = max(squares / (k * mean**2) - 1, 1e-6)
        each = np.random.default_rng(k).gamma(1 / variance, mean * variance, k)
        return cls(mean, squares, each.astype(np.int64))

    @property
    def of_a_vector(self) -> float:
        """The size of the cell of an average vector: large cells hold more of them."""
        return self.squares / (self.mean * len(self.each))

    @property
    def large(self) -> float:
        """One cell in a thousand holds more."""
        return float(np.quantile(self.each, 0.999))

    def above(self, members: int) -> int:
        """Cells of more vectors than that."""
        return int((self.each > members).sum())

    def all_over(self, values: Sequence[float], sizes: Sequence[int]) -> tuple[float, float]:
        """The sum over all cells of what was measured in cells that were chosen in proportion to their size.

        Returns:
            The sum, and its relative standard error (jackknife); it grows about with the square of the size.
        """
        each, size = np.array(values, np.float64) / sizes, np.array(sizes, np.float64)
        whole = self.squares * each.mean() / size.mean()
        if len(each) < 2 or whole == 0:
            return whole, 0.0
        without = (each.sum() - each) / (size.sum() - size) * self.squares
        return float(whole), float(np.sqrt((len(each) - 1) * ((without - without.mean()) ** 2).mean()) / whole)
