"""Edits that put something on a picture, or the picture onto something: captions, stickers, frames, other pictures."""

from __future__ import annotations

import string
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from twinpix.pipeline.bench.edit import Apply, Dice

_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def text(picture: Image.Image, dice: Dice) -> Image.Image:
    """Two outlined lines of random letters, as on memes: one near the top, one near the bottom."""
    out = picture.copy()
    draw, size = ImageDraw.Draw(out), max(6, min(picture.size) // 8)
    font = ImageFont.load_default(size)
    for line in range(2):
        letters = "".join(dice.choice(list(string.ascii_uppercase + "    "), int(dice.integers(8, 15))))
        top = line * (picture.height - 1.6 * size) + dice.uniform(0, 0.04) * picture.height
        left = dice.uniform(0, 0.15) * picture.width
        draw.text((left, top), letters, _WHITE, font, stroke_width=max(1, size // 12), stroke_fill=_BLACK)
    return out


def emoji(picture: Image.Image, dice: Dice) -> Image.Image:
    """A drawn smiling face, a third of the shorter side wide, at a random place."""
    face = _face(max(8, min(picture.size) // 3))
    free = max(1, picture.width - face.width + 1), max(1, picture.height - face.height + 1)
    out = picture.copy()
    out.paste(face, (int(dice.integers(free[0])), int(dice.integers(free[1]))), face)
    return out


def _face(px: int) -> Image.Image:
    # drawn four times as large, so that its edges come out smooth
    unit = 4 * px / 20
    face = Image.new("RGBA", (4 * px, 4 * px))
    draw = ImageDraw.Draw(face)

    def ellipse(left: float, top: float, right: float, bottom: float, colour: tuple[int, ...]) -> None:
        draw.ellipse([unit * side for side in (left, top, right, bottom)], colour)

    ellipse(0.4, 0.4, 19.6, 19.6, (190, 120, 10, 255))
    ellipse(1, 1, 19, 19, (255, 205, 50, 255))
    ellipse(5.5, 5.5, 8, 9.5, (70, 40, 10, 255))
    ellipse(12, 5.5, 14.5, 9.5, (70, 40, 10, 255))
    draw.chord([unit * side for side in (4.5, 6, 15.5, 16.5)], 15, 165, (120, 30, 20, 255))
    return face.resize((px, px), Image.Resampling.LANCZOS)


def screenshot(picture: Image.Image, dice: Dice) -> Image.Image:
    """The picture in an app on a phone: a status bar and buttons above, grey lines of text below; light or dark."""
    width, height = picture.size
    line = max(2, min(width, height) // 40)
    above, below, side = 7 * line, int(dice.integers(8, 14)) * line, int(dice.integers(0, 3)) * line
    back, ink = ((250, 250, 250), (90, 90, 95)) if dice.random() < 0.5 else ((18, 18, 20), (190, 190, 195))
    frame = Image.new("RGB", (width + 2 * side, height + above + below), back)
    draw = ImageDraw.Draw(frame)
    draw.rectangle((line, line, 5 * line, 2 * line), ink)  # the clock
    draw.rectangle((frame.width - 4 * line, line, frame.width - line, 2 * line), ink)  # the battery
    draw.ellipse((line, 3 * line, 4 * line, 6 * line), ink)
    draw.rectangle((5 * line, 4 * line, 5 * line + frame.width // 3, 5 * line), ink)
    for top in range(above + height + 2 * line, frame.height - line, 3 * line):
        draw.rectangle((line, top, line + int(dice.uniform(0.4, 0.9) * frame.width), top + line), ink)
    frame.paste(picture, (side, above))
    return frame


def sticker(others: Sequence[Image.Image], area: float) -> Apply:
    """Another picture, squeezed to the same shape, covers this share of the area at a random place."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        return _paste(picture.copy(), _pick(others, dice), area, dice)

    return apply


def onto(others: Sequence[Image.Image], area: float) -> Apply:
    """The picture lies on another one, of which it covers this share; sizes as before."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        back = _pick(others, dice).resize(picture.size, Image.Resampling.BICUBIC)
        return _paste(back, picture, area, dice)

    return apply


def collage(others: Sequence[Image.Image]) -> Apply:
    """Two rows of two, the picture in a random one of the four places and others in the rest; the size stays."""

    def apply(picture: Image.Image, dice: Dice) -> Image.Image:
        width, height = (max(1, side // 2) for side in picture.size)
        canvas, place = Image.new("RGB", (2 * width, 2 * height)), int(dice.integers(4))
        for i in range(4):
            part = picture if i == place else _pick(others, dice)
            corner = (i % 2 * width, i // 2 * height)
            canvas.paste(part.resize((width, height), Image.Resampling.LANCZOS), corner)
        return canvas

    return apply


def _pick(others: Sequence[Image.Image], dice: Dice) -> Image.Image:
    return others[int(dice.integers(len(others)))]


def _paste(back: Image.Image, front: Image.Image, area: float, dice: Dice) -> Image.Image:
    width, height = (max(1, round(side * area**0.5)) for side in back.size)
    place = int(dice.integers(back.width - width + 1)), int(dice.integers(back.height - height + 1))
    back.paste(front.resize((width, height), Image.Resampling.LANCZOS), place)
    return back
