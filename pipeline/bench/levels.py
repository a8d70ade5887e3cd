"""Edits that change levels and leave pixels where they are: colour, noise, blur, compression."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from twinpix.pipeline.bench.edit import Apply, Dice


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


def noise(sigma: float) -> Apply:
    """Gaussian noise of `sigma` levels (of 256) on each channel of each pixel."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        levels = np.asarray(picture, np.float32)
        noisy = levels + sigma * dice.standard_normal(levels.shape, np.float32)
        return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))

    return apply


def blur(sigma: float) -> Apply:
    """Gaussian blur; sigma in px."""
    return lambda picture, dice: picture.filter(ImageFilter.GaussianBlur(sigma))


def jpeg(quality: int) -> Apply:
    """Saved as JPEG and read again."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return apply


def grey(picture: Image.Image, dice: Dice) -> Image.Image:
    """Luma only."""
    return picture.convert("L").convert("RGB")


def gamma(power: float) -> Apply:
    """Levels raised to `power` or its inverse."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        exponent = power if dice.random() < 0.5 else 1 / power
        table = (255 * (np.arange(256) / 255) ** exponent).round().astype(int).tolist()
        return picture.point(table * 3)

    return apply


def posterize(bits: int) -> Apply:
    """So many bits left of each channel's eight."""
    return lambda picture, dice: ImageOps.posterize(picture, bits)


def pixelate(blocks: int) -> Apply:
    """The longer side becomes `blocks` flat blocks."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        scale = blocks / max(picture.size)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        return picture.resize(size, Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)

    return apply
