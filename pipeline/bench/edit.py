"""What an edit is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

Dice = np.random.Generator
Apply = Callable[[Image.Image, Dice], Image.Image]

# families kept out of training; the bench may not import train/, so a test compares this with train/views.py
HELD_OUT = ("perspective", "pixelate", "collage", "posterize")


@dataclass(frozen=True)
class Edit:
    """One row of the bench.

    Attributes:
        family: what kind of edit.
        strength: how strong, in the family's own unit; "" where there is only one strength.
        apply: (RGB picture, random numbers) -> RGB picture.
    """

    family: str
    strength: str
    apply: Apply

    @property
    def name(self) -> str:
        """`family strength`."""
        return f"{self.family} {self.strength}".strip()

    @property
    def is_held_out(self) -> bool:
        """Whether the family is kept out of training."""
        return self.family in HELD_OUT


def chain(*steps: Apply) -> Apply:
    """One edit after the other."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        for step in steps:
            picture = step(picture, dice)
        return picture

    return apply
