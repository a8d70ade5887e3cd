"""How a scan of so many images would be set up."""

from __future__ import annotations

from dataclasses import dataclass

from twinpix.pipeline.candidates import Limits
from twinpix.pipeline.index.ivf import TRAINED_ON, cells_for
from twinpix.pipeline.second_look.look_again import NEAREST as NEAREST_PAIRS

NEAREST = 3  # cells of each vector
HOT = 50_000  # vectors: a cell of more is joined in portions, by several tasks
PAIRS_AT_ONCE = 4_000_000  # that a portion may find; 60 bytes each while it does


@dataclass(frozen=True)
class Setting:
    """Of the join.

    Attributes:
        images: N.
        cells: k.
        nearest: m, how many cells each vector is put into.
        trained_on: vectors in all, from which the cells are learned.
        reach, sure: L2, as of `scan.cells.join`.
        most: beyond `sure`, of each vector; 0: all.
    """

    images: int
    cells: int
    nearest: int
    trained_on: int
    reach: float
    sure: float
    most: int

    @property
    def rows(self) -> int:
        """Vectors in all cells together."""
        return self.images * self.nearest


def setting_for(images: int, limit: Limits, cells: int | None = None, nearest: int = NEAREST) -> Setting:
    """What a scan would choose.

    Args:
        limit: of `duplicates.limits`, for so many images.
        cells: 4 sqrt(N) by default.
    """
    k = min(cells or cells_for(images), images)
    most = 0 if limit.sure >= limit.candidate else NEAREST_PAIRS
    return Setting(images, k, min(nearest, k), min(images, TRAINED_ON * k), limit.candidate, limit.sure, most)
