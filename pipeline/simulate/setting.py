"""How a scan of so many images would be set up."""

from __future__ import annotations

from dataclasses import dataclass

from twinpix.pipeline.duplicates import most_wanted
from twinpix.pipeline.index.ivf import TRAINED_ON, cells_for
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.scan.cell_pairs import HOT, MOST_TRAINED_ON, together

CHOSEN = 0  # instead of a number of cells for each vector: as many as a scan would choose


@dataclass(frozen=True)
class Setting:
    """Of the join.

    Attributes:
        images: N.
        cells: k.
        nearest: m, how many cells each vector is put into; `CHOSEN`, until it is known.
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

    @property
    def together(self) -> int:
        """Vectors that one task assigns, and a bucket holds, about."""
        return together(self.images)

    @property
    def hot(self) -> int:
        """A bucket of more vectors is joined in portions."""
        return HOT * self.together

    @property
    def buckets(self) -> int:
        """Cells are joined together by so many tasks, as `cell_pairs` has it."""
        return max(1, min(self.cells, self.rows // self.together))

    @property
    def group(self) -> float:
        """Vectors of one bucket in one file of the shuffle."""
        return max(1.0, min(self.images, self.together) * self.nearest / self.buckets)


def setting_for(images: int, limit: Limits, cells: int | None = None, nearest: int = CHOSEN) -> Setting:
    """What a scan would choose.

    Args:
        limit: of `limits.limits`, for so many images.
        cells: 4 sqrt(N) by default.
    """
    k = min(cells or cells_for(images), images)
    trained_on = min(images, TRAINED_ON * k, MOST_TRAINED_ON)
    return Setting(images, k, min(nearest, k), trained_on, limit.candidate, limit.sure, most_wanted(limit))
