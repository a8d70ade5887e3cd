"""Edits that move pixels: zoom, crop, turn, shift, pad, tilt, resize."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.pipeline.bench.edit import Apply, Dice


def zoom(factor: float) -> Apply:
    """Zoom into a random place: a crop of 1/factor of each side, resized to the old size."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        box = _random_box(picture, 1 / factor, dice)
        return picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)

    return apply


def crop(area: float) -> Apply:
    """A random place that holds this share of the area, in the picture's own shape; not resized."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        left, top, right, bottom = _random_box(picture, area**0.5, dice)
        left, top = int(left), int(top)
        width, height = max(1, round(right - left)), max(1, round(bottom - top))
        return picture.crop((left, top, min(left + width, picture.width), min(top + height, picture.height)))

    return apply


def _random_box(picture: Image.Image, side: float, dice: Dice) -> tuple[float, float, float, float]:
    width, height = picture.width * side, picture.height * side
    left, top = dice.uniform(0, picture.width - width), dice.uniform(0, picture.height - height)
    return left, top, left + width, top + height


def mirror(picture: Image.Image, dice: Dice) -> Image.Image:
    """Left and right swapped."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def flip(picture: Image.Image, dice: Dice) -> Image.Image:
    """Top and bottom swapped."""
    return picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def rotate(degrees: float) -> Apply:
    """Turned by so much, to either side; the canvas keeps its size, its corners turn black."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        side = 1 if dice.random() < 0.5 else -1
        return picture.rotate(side * degrees, Image.Resampling.BICUBIC)

    return apply


def quarter_turn(picture: Image.Image, dice: Dice) -> Image.Image:
    """Turned by 90 degrees to either side, canvas and all."""
    return picture.transpose(Image.Transpose.ROTATE_90 if dice.random() < 0.5 else Image.Transpose.ROTATE_270)


def half_turn(picture: Image.Image, dice: Dice) -> Image.Image:
    """Upside down."""
    return picture.transpose(Image.Transpose.ROTATE_180)


def translate(share: float) -> Apply:
    """Moved by this share of each side, both ways at random; what comes in is black."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        signs = np.where(dice.random(2) < 0.5, -1, 1)
        across, down = round(picture.width * share) * int(signs[0]), round(picture.height * share) * int(signs[1])
        canvas = Image.new("RGB", picture.size)
        canvas.paste(picture, (across, down))
        return canvas

    return apply


def pad(share: float) -> Apply:
    """A black border, `share` of each side wide."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        across, down = round(picture.width * share), round(picture.height * share)
        canvas = Image.new("RGB", (picture.width + 2 * across, picture.height + 2 * down))
        canvas.paste(picture, (across, down))
        return canvas

    return apply


def shrink(factor: int) -> Apply:
    """Both sides divided by `factor`."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        size = max(1, picture.width // factor), max(1, picture.height // factor)
        return picture.resize(size, Image.Resampling.LANCZOS)

    return apply


def square(picture: Image.Image, dice: Dice) -> Image.Image:
    """Squeezed to an aspect ratio of 1:1; a square picture to 4:3."""
    side = min(picture.size)
    size = (side, side) if picture.width != picture.height else (side, max(1, side * 3 // 4))
    return picture.resize(size, Image.Resampling.BICUBIC)


def perspective(share: float) -> Apply:
    """Each corner moves inwards by up to `share` of a side."""

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
