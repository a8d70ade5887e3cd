"""Pictures that the project draws itself, so that training runs where no photos are at hand.

Shapes, textures, dead leaves, pages of text, and mixtures of them. Dead leaves (occluding discs of power-law
size) and 1/f noise share the edge and spectrum statistics of photos: Lee, Mumford & Huang 2001; networks trained
on such pictures alone carry over to real ones: Baradad et al. 2021, "Learning to See by Looking at Noise".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from twinpix.train.data import Pictures

Picture = NDArray[np.uint8]  # (px, px, 3), RGB
Field = NDArray[np.float32]  # (px, px), 0..1
Colours = NDArray[np.uint8]  # (k, 3)
Random = np.random.Generator
LETTERS = "etaoinshrdlucmfwypvbgkjqxzETAOINSHRDLU0123456789.,:-!?/()"
LEAST_CONTRAST = 14.0  # deviation of luma in levels; a flatter picture is drawn again


def render_pictures(n: int, px: int, seed: int) -> Pictures:
    """Draw `n` different pictures of px x px; the same ones for the same seed.

    Returns:
        Pictures of n identities, names `rendered/000001` onwards.
    """
    pixels = torch.empty((n, 3, px, px), dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
    for i in range(n):
        picture = draw(np.random.default_rng([seed, i]), px)
        pixels[i] = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
    names = tuple(f"rendered/{i + 1:06d}" for i in range(n))
    return Pictures(pixels, torch.arange(n), names, 0)


def draw(dice: Random, px: int) -> Picture:
    """One picture of a random kind that is not flat."""
    while True:
        kind = KINDS[int(dice.choice(len(KINDS), p=SHARES))]
        picture = finish(dice, kind(dice, px))
        if float(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).std()) >= LEAST_CONTRAST:
            return picture


# Colours and fields


def palette(dice: Random, count: int) -> Colours:
    """Colours around one or two hues or over the whole circle, of many lightnesses; some palettes are grey."""
    spread = float(dice.choice([8, 25, 90]))
    hue = (dice.uniform(0, 180) + dice.normal(0, spread, count)) % 180
    saturation = dice.uniform(0, dice.choice([30, 140, 255], p=[0.2, 0.5, 0.3]), count)
    value = 255 * dice.beta(*((1.0, 1.0), (1.2, 2.5), (2.5, 1.2))[dice.integers(3)], count)
    hsv = np.stack([hue, saturation, value], 1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0], np.uint8)


def colour(dice: Random) -> tuple[int, int, int]:
    """One colour, levels."""
    red, green, blue = (int(level) for level in palette(dice, 1)[0])
    return red, green, blue


@lru_cache(maxsize=4)
def _frequencies(px: int) -> tuple[Field, Field]:
    # cycles per picture of each bin of rfft2: (length, angle)
    down, right = np.fft.fftfreq(px)[:, None] * px, np.fft.rfftfreq(px)[None] * px
    return np.hypot(down, right).astype(np.float32), np.arctan2(down, right + 1e-9).astype(np.float32)


@lru_cache(maxsize=4)
def _grid(px: int) -> tuple[Field, Field]:
    # x and y from -1 to 1, each (px, px)
    line = np.linspace(-1, 1, px, dtype=np.float32)
    return np.tile(line, (px, 1)), np.tile(line[:, None], (1, px))


def _unit(field: NDArray[np.floating]) -> Field:
    # the middle 96 % of values stretched to 0..1
    low, high = np.quantile(field[::3, ::3], (0.02, 0.98))
    return np.asarray(np.clip((field - low) / (high - low + 1e-6), 0, 1), np.float32)


def noise_field(dice: Random, px: int) -> Field:
    """Gaussian noise with a 1/f**a spectrum, a band of it, or one with a grain direction."""
    length, angle = _frequencies(px)
    gain = 1 / np.maximum(length, 1) ** dice.uniform(0.8, 2.4)
    if dice.random() < 0.4:
        middle = np.exp(dice.uniform(np.log(3), np.log(px / 5)))
        gain = np.exp(-0.5 * (np.log(np.maximum(length, 0.5) / middle) / dice.uniform(0.1, 0.5)) ** 2)
    if dice.random() < 0.3:
        gain = gain * np.exp(dice.uniform(2, 12) * (np.cos(angle - dice.uniform(-1.57, 1.57)) ** 2 - 1))
    phase = np.exp(2j * np.pi * dice.random(length.shape, dtype=np.float32))
    return _unit(np.fft.irfft2(gain * phase, (px, px)))


def grating_field(dice: Random, px: int) -> Field:
    """Stripes, a plaid or rings, often bent."""
    x, y = _grid(px)
    x, y = x + dice.uniform(-0.8, 0.8), y + dice.uniform(-0.8, 0.8)
    if dice.random() < 0.5:
        bend = noise_field(dice, px) * dice.uniform(0.1, 0.8)
        x, y = x + bend, y - bend
    turn, pitch = dice.uniform(0, np.pi), np.exp(dice.uniform(np.log(4), np.log(px / 3)))
    along = np.cos(turn) * x + np.sin(turn) * y
    wave = np.sin(pitch * (np.hypot(x, y) if dice.random() < 0.3 else along))
    if dice.random() < 0.4:
        wave = wave * np.sin(pitch * dice.uniform(0.3, 1.5) * (np.cos(turn) * y - np.sin(turn) * x))
    return _unit(np.sign(wave) * np.abs(wave) ** dice.choice([1.0, 0.3, 0.05]))


def gradient_field(dice: Random, px: int) -> Field:
    """A ramp or a glow."""
    x, y = _grid(px)
    turn = dice.uniform(0, 2 * np.pi)
    if dice.random() < 0.6:
        return _unit(np.cos(turn) * x + np.sin(turn) * y)
    return _unit(np.hypot(x - np.cos(turn) * 0.7, (y - np.sin(turn) * 0.7) * dice.uniform(0.5, 2)))


def cell_field(dice: Random, px: int) -> Field:
    """Distance to the nearest of some scattered points: cells, pebbles, cracked ground."""
    free = np.full((px, px), 255, np.uint8)
    points = dice.integers(0, px, (int(np.exp(dice.uniform(np.log(6), np.log(250)))), 2))
    free[points[:, 0], points[:, 1]] = 0
    return _unit(np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 3), np.float32))


def paint(dice: Random, field: Field) -> Picture:
    """A field in the colours of a random palette, smoothly or in steps."""
    colours = palette(dice, int(dice.integers(2, 6))).astype(np.float32)
    at = np.linspace(0, len(colours) - 1, 256)
    if dice.random() < 0.2:
        at = np.round(at)
    table = np.stack([np.interp(at, np.arange(len(colours)), colours[:, c]) for c in range(3)], 1)
    return table.astype(np.uint8)[(field * 255).astype(np.uint8)]


# Kinds of picture


def texture(dice: Random, px: int) -> Picture:
    """Noise, cells or a grating in random colours; sometimes different noise in each channel."""
    if dice.random() < 0.15:
        return np.stack([(noise_field(dice, px) * 255).astype(np.uint8) for _ in range(3)], 2)
    make = (noise_field, noise_field, grating_field, cell_field)[dice.integers(4)]
    return paint(dice, make(dice, px))


def background(dice: Random, px: int) -> Picture:
    """Plain, a gradient, or a texture."""
    choice = dice.random()
    if choice < 0.3:
        return np.full((px, px, 3), colour(dice), np.uint8)
    return paint(dice, gradient_field(dice, px)) if choice < 0.65 else texture(dice, px)


def outline(dice: Random, middle: NDArray[np.float64], radius: float) -> NDArray[np.int32]:
    """A polygon, star, blob or bar around a point: int32 (k, 2), px."""
    corners = int(dice.choice([3, 4, 5, 6, 8, 10, 40]))
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False) + dice.uniform(0, 6.28)
    reach = np.full(corners, radius)
    if corners > 10:
        reach = radius * (1 + dice.uniform(0, 0.35) * np.sin(turn * dice.integers(2, 6) + dice.uniform(0, 6)))
    elif dice.random() < 0.4:
        reach = radius * dice.uniform(0.35, 1, corners)
    flat, lean = dice.uniform(0.3, 1), dice.uniform(0, 3.14)
    x, y = reach * np.cos(turn), reach * np.sin(turn) * flat
    points = np.stack([x * np.cos(lean) - y * np.sin(lean), x * np.sin(lean) + y * np.cos(lean)], 1)
    return np.asarray(points + middle, np.int32)


def shape(dice: Random, canvas: Picture, filling: Picture | None) -> None:
    """Draw one shape onto the canvas: in one colour, or cut out of `filling`; some with a border or a shadow."""
    px = len(canvas)
    points = outline(dice, dice.uniform(0, px, 2), px * float(np.exp(dice.uniform(np.log(0.04), np.log(0.4)))))
    if dice.random() < 0.2:
        mask = cv2.blur(cv2.fillPoly(np.zeros((px, px), np.uint8), [points + px // 40], 130), (px // 16, px // 16))
        canvas[:] = (canvas * ((255 - mask[..., None]) / np.float32(255))).astype(np.uint8)
    if filling is None:
        cv2.fillPoly(canvas, [points], colour(dice), cv2.LINE_AA)
    else:
        mask = cv2.fillPoly(np.zeros((px, px), np.uint8), [points], 255)
        cv2.copyTo(filling, mask, canvas)
    if dice.random() < 0.25:
        cv2.polylines(canvas, [points], True, colour(dice), int(dice.integers(1, max(2, px // 48))), cv2.LINE_AA)


def shapes(dice: Random, px: int) -> Picture:
    """A background and some shapes, plain or textured."""
    canvas = background(dice, px)
    filling = texture(dice, px) if dice.random() < 0.5 else None
    for _ in range(int(dice.integers(2, 14))):
        shape(dice, canvas, filling if dice.random() < 0.4 else None)
    return canvas


def leaves(dice: Random, px: int) -> Picture:
    """Dead leaves: discs or boxes of power-law size that hide one another, often with a texture on them."""
    colours, count = palette(dice, int(dice.integers(3, 30))), int(dice.integers(120, 350))
    smallest, power = dice.uniform(0.008, 0.03), dice.uniform(1.2, 2.2)
    radii = np.minimum(smallest * dice.random(count) ** (-1 / power), 0.45) * px
    canvas = background(dice, px)
    flat, boxes, lean = dice.uniform(0.3, 1), dice.random() < 0.35, dice.uniform(0, 180, count)
    for radius, where, angle in zip(radii, dice.uniform(0, px, (count, 2)), lean, strict=True):
        ink = tuple(int(level) for level in colours[dice.integers(len(colours))])
        form = (tuple(where), (2 * radius, 2 * radius * flat), float(angle))
        if boxes:
            cv2.fillConvexPoly(canvas, cv2.boxPoints(form).astype(np.int32), ink, cv2.LINE_AA)
        else:
            cv2.ellipse(canvas, form, ink, -1, cv2.LINE_AA)
    return shade(canvas, noise_field(dice, px), dice.uniform(0.2, 0.7)) if dice.random() < 0.6 else canvas


def shade(picture: Picture, field: Field, strength: float) -> Picture:
    """Darken the picture by up to `strength` where the field is low."""
    return (picture * (1 - strength + strength * field[..., None])).astype(np.uint8)


def page(dice: Random, px: int) -> Picture:
    """A page or screen: columns of random letters, headings, rules and boxes, dark on light or light on dark."""
    paper = np.array(dice.uniform(215, 255, 3) if dice.random() < 0.75 else dice.uniform(5, 60, 3))
    canvas = np.full((px, px, 3), paper.astype(np.uint8), np.uint8)
    ink = [int(level) for level in np.where(paper > 128, dice.uniform(0, 90), dice.uniform(170, 255))]
    columns = int(dice.choice([1, 1, 2, 3]))
    for column in range(columns):
        margin = px * dice.uniform(0.02, 0.08)
        left, right = margin + column * px / columns, (column + 1) * px / columns - margin / 2
        _fill_column(dice, canvas, (int(left), int(right)), ink)
    if dice.random() < 0.3:
        turn = cv2.getRotationMatrix2D((px / 2, px / 2), dice.uniform(-12, 12), dice.uniform(0.8, 1.1))
        canvas = cv2.warpAffine(canvas, turn, (px, px), borderValue=colour(dice))  # type: ignore[assignment]
    return shade(canvas, gradient_field(dice, px), dice.uniform(0.1, 0.5)) if dice.random() < 0.4 else canvas


def _fill_column(dice: Random, canvas: Picture, span: tuple[int, int], ink: list[int]) -> None:
    px, y = len(canvas), len(canvas) * dice.uniform(0.02, 0.2)
    size, font = px / 192 * dice.uniform(0.25, 0.6), int(dice.choice([0, 1, 2, 3, 4, 5]))
    while y < px * 0.97:
        part = dice.random()
        if part < 0.06:
            bottom = int(y + px * dice.uniform(0.08, 0.3))
            cv2.rectangle(canvas, (span[0], int(y)), (span[1], bottom), colour(dice), int(dice.choice([-1, 1])))
            y = bottom + px * 0.03
        elif part < 0.12:
            cv2.line(canvas, (span[0], int(y)), (span[1], int(y)), ink, 1)
            y += px * 0.03
        else:
            y += _write_line(dice, canvas, span, y, (size * (1.9 if part > 0.95 else 1.0), font), ink)


def _write_line(
    dice: Random, canvas: Picture, span: tuple[int, int], y: float, type_: tuple[float, int], ink: list[int]
) -> float:
    # one line of words, cut at the column's edge; returns how far down the next one begins, px
    size, font = type_
    words = dice.integers(2, 10, 12)
    letters = iter(dice.choice(list(LETTERS), int(words.sum())))
    text = " ".join("".join(next(letters) for _ in range(word)) for word in words)
    room = (span[1] - span[0]) * (1.0 if dice.random() < 0.7 else dice.uniform(0.2, 0.9))
    text = text[: max(1, int(room / (size * 18)))]
    cv2.putText(canvas, text, (span[0], int(y + 20 * size)), font, size, ink, 1, cv2.LINE_AA)
    return float(size * dice.choice([30, 34, 55], p=[0.6, 0.3, 0.1]))


def landscape(dice: Random, px: int) -> Picture:
    """Ridges before a sky, each with its own texture and haze, and a few things on them."""
    canvas, (_, y) = paint(dice, gradient_field(dice, px)), _grid(px)
    for height in np.sort(dice.uniform(-0.5, 0.9, int(dice.integers(1, 5)))):
        ridge = (noise_field(dice, px)[0] - 0.5) * dice.uniform(0.1, 0.8)
        ground = texture(dice, px) if dice.random() < 0.5 else np.full_like(canvas, colour(dice))
        cv2.copyTo(ground, ((y > height + ridge[None]) * 255).astype(np.uint8), canvas)
    for _ in range(int(dice.integers(0, 5))):
        shape(dice, canvas, None)
    return canvas


def composite(dice: Random, px: int) -> Picture:
    """One picture's parts shown through the shapes of another, or smaller pictures set into a page."""
    simple = (texture, shapes, leaves, page, landscape)
    canvas = simple[dice.integers(5)](dice, px)
    other = simple[dice.integers(5)](dice, px)
    if dice.random() < 0.5:
        for _ in range(int(dice.integers(1, 5))):
            shape(dice, canvas, other)
        return canvas
    for _ in range(int(dice.integers(1, 4))):
        width, height = (int(side) for side in px * dice.uniform(0.2, 0.7, 2))
        left, top = int(dice.integers(0, px - width)), int(dice.integers(0, px - height))
        small = cv2.resize(other[:: dice.choice([-1, 1]), :: dice.choice([-1, 1])], (width, height))
        canvas[top : top + height, left : left + width] = small
    return canvas


def finish(dice: Random, picture: Picture) -> Picture:
    """What a camera adds now and then: uneven light, a soft lens, grain."""
    px = len(picture)
    if dice.random() < 0.3:
        picture = shade(picture, gradient_field(dice, px), dice.uniform(0.2, 0.6))
    if dice.random() < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), px / 192 * dice.uniform(0.5, 1.5))  # type: ignore[assignment]
    if dice.random() < 0.25:
        grain = dice.standard_normal(picture.shape, dtype=np.float32) * np.float32(dice.uniform(2, 10))
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    return picture


KINDS: tuple[Callable[[Random, int], Picture], ...] = (shapes, texture, leaves, page, landscape, composite)
SHARES = (0.2, 0.12, 0.2, 0.13, 0.13, 0.22)
