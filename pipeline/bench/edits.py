"""Edits for measuring: what people do to pictures, in Pillow and NumPy.

Written apart from the training views (albumentations) on purpose: a measurement that reuses the training
code would share its mistakes.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

Dice = np.random.Generator
Apply = Callable[[Image.Image, Dice], Image.Image]


@dataclass(frozen=True)
class Edit:
    """One row of the bench.

    Attributes:
        family: what kind of edit.
        strength: how strong, in the family's own unit.
        apply: (RGB picture, random numbers) -> RGB picture.
    """

    family: str
    strength: str
    apply: Apply

    @property
    def name(self) -> str:
        """`family strength`."""
        return f"{self.family} {self.strength}"


def zoom(factor: float) -> Apply:
    """Zoom into a random place: a crop of 1/factor of each side, resized to the old size."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        width, height = picture.width / factor, picture.height / factor
        left, top = dice.uniform(0, picture.width - width), dice.uniform(0, picture.height - height)
        box = (left, top, left + width, top + height)
        return picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)

    return apply


def jitter(strength: float) -> Apply:
    """Brightness, contrast and saturation each times 1±strength, hue turned by up to strength/2 of the circle.

    In random order, as torchvision's ColorJitter does it (strength .6 has the most hue it can turn: .3).
    """

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        factors = dice.uniform(1 - strength, 1 + strength, 3)
        turn = dice.uniform(-strength / 2, strength / 2)
        enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for step in dice.permutation(4):
            picture = _turn_hue(picture, turn) if step == 3 else enhancers[step](picture).enhance(factors[step])
        return picture

    return apply


def _turn_hue(picture: Image.Image, share: float) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    turned = Image.fromarray(np.asarray(hue) + np.uint8(round(share * 255) % 256))
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def salt_and_pepper(share: float) -> Apply:
    """This share of all pixels becomes white or black, half each."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        levels = np.array(picture)
        draw = dice.random(levels.shape[:2])
        levels[draw < share] = 0
        levels[draw < share / 2] = 255
        return Image.fromarray(levels)

    return apply


def chain(*steps: Apply) -> Apply:
    """One edit after the other."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        for step in steps:
            picture = step(picture, dice)
        return picture

    return apply


def jpeg(quality: int) -> Apply:
    """Saved as JPEG and read again."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return apply


def mirror(picture: Image.Image, dice: Dice) -> Image.Image:
    """Left and right swapped."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def grey(picture: Image.Image, dice: Dice) -> Image.Image:
    """Luma only."""
    return picture.convert("L").convert("RGB")


def shrink(factor: int) -> Apply:
    """Both sides divided by `factor`."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        return picture.resize(
            (max(1, picture.width // factor), max(1, picture.height // factor)), Image.Resampling.LANCZOS
        )

    return apply


def pad(share: float) -> Apply:
    """A black border, `share` of each side wide."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        across, down = round(picture.width * share), round(picture.height * share)
        canvas = Image.new("RGB", (picture.width + 2 * across, picture.height + 2 * down))
        canvas.paste(picture, (across, down))
        return canvas

    return apply


def gamma(power: float) -> Apply:
    """Levels raised to `power` or its inverse."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        exponent = power if dice.random() < 0.5 else 1 / power
        table = (255 * (np.arange(256) / 255) ** exponent).round().astype(int).tolist()
        return picture.point(table * 3)

    return apply


def perspective(share: float) -> Apply:
    """Each corner moves inwards by up to `share` of a side. Not in the training views."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        width, height = picture.size
        corners = np.array([(0, 0), (0, height), (width, height), (width, 0)], float)
        inwards = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
        seen = corners + dice.uniform(0, share, (4, 2)) * (width, height) * inwards
        way = Image.Transform.PERSPECTIVE
        return picture.transform(picture.size, way, _homography(corners, seen), Image.Resampling.BICUBIC)

    return apply


def _homography(source: NDArray[np.float64], target: NDArray[np.float64]) -> list[float]:
    # the eight numbers by which Pillow maps the four points of the one to those of the other
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(number) for number in np.linalg.solve(np.array(rows), np.array(values))]


def pixelate(blocks: int) -> Apply:
    """The longer side becomes `blocks` flat blocks. Not in the training views."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        scale = blocks / max(picture.size)
        small = picture.resize(
            (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BOX
        )
        return small.resize(picture.size, Image.Resampling.NEAREST)

    return apply


CARD = (
    Edit("zoom", "1.25", zoom(1.25)),
    Edit("zoom", "1.5", zoom(1.5)),
    Edit("jitter", "0.3", jitter(0.3)),
    Edit("jitter", "0.6", jitter(0.6)),
    Edit("salt-and-pepper", "3 %", salt_and_pepper(0.03)),
    Edit("salt-and-pepper", "10 %", salt_and_pepper(0.1)),
    Edit("all three", "1.25, 0.3, 3 %", chain(zoom(1.25), jitter(0.3), salt_and_pepper(0.03))),
    Edit("all three", "1.5, 0.6, 10 %", chain(zoom(1.5), jitter(0.6), salt_and_pepper(0.1))),
)
OTHER = (
    Edit("jpeg", "q 20", jpeg(20)),
    Edit("jpeg", "q 8", jpeg(8)),
    Edit("mirror", "-", mirror),
    Edit("grey", "-", grey),
    Edit("down-scale", "1/4", shrink(4)),
    Edit("gamma", "2", gamma(2)),
    Edit("border", "20 %", pad(0.2)),
    Edit("perspective", "15 %", perspective(0.15)),
    Edit("pixelate", "32 blocks", pixelate(32)),
)
UNSEEN_FAMILIES = ("perspective", "pixelate")  # held out of training: see train/views.py
