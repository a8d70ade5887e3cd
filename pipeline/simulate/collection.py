"""A whole collection: different pictures, copies of some of them, and one that everybody has (a blank page, a meme)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.simulate.likeness import Floats, Likeness, unit

BLOCK = 1 << 16
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Collection:
    """What is looked through.

    Attributes:
        likeness: how different pictures lie.
        images: N, all in all.
        reach: L2; copies lie at distances spread evenly from 0 to it, whatever it is.
        copies: share of all images that are a copy of one of the others, 0..1.
        crowd: share of all images that show one and the same picture, 0..1.
    """

    likeness: Likeness
    images: int
    reach: float
    copies: float
    crowd: float

    @property
    def copied(self) -> int:
        """How many images are copies."""
        return int(self.copies * self.images)

    @property
    def crowded(self) -> int:
        """How many show the one that everybody has."""
        return int(self.crowd * self.images)

    def move(self, vectors: Floats, dice: np.random.Generator) -> Floats:
        """Copies: moved towards where other pictures lie, as `index.recall.plant` does it. float32 (n, dim)."""
        spread = self.likeness.spread
        way = unit(spread * dice.standard_normal((len(vectors), len(spread)), np.float32)) @ self.likeness.axes.T
        return unit(vectors + way * dice.uniform(0, self.reach, (len(vectors), 1)).astype(np.float32))

    def draw(self, dice: np.random.Generator) -> tuple[Floats, Rows]:
        """All of it, and what was planted.

        Returns:
            float32 (N, dim), in any order; int (k, 2), rows of an original and of its copy.
        """
        vectors = np.empty((self.images, self.likeness.dim), np.float32)
        different = self.images - self.copied - self.crowded
        for start in range(0, different, BLOCK):
            rows = slice(start, min(start + BLOCK, different))
            vectors[rows] = self.likeness.draw(rows.stop - rows.start, dice)
        originals = dice.integers(0, different, self.copied)
        crowd = np.repeat(vectors[:1], self.crowded, 0)
        last = different + self.copied
        for start in range(different, last, BLOCK):
            rows = slice(start, min(start + BLOCK, last))
            vectors[rows] = self.move(vectors[originals[start - different : rows.stop - different]], dice)
        vectors[last:] = self.move(crowd, dice)
        order = dice.permutation(self.images)
        shuffled = np.empty_like(vectors)
        shuffled[order] = vectors
        return shuffled, order[np.stack([originals, np.arange(different, last)], 1)]
