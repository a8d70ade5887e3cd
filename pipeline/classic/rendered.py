"""Pictures for the experiments, drawn on the spot: turntable objects (as in Fruits-360) and scenes of four views
(as in UKBench)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Floats = NDArray[np.float64]
Point = tuple[float, float]

VIEWS = 4
LIGHT = np.array([-0.4, -0.5, 0.77])  # from the upper left, towards the viewer
SHAPES = 24  # of a scene
VIEWPOINTS = ((0.0, 0.0, 1.0), (0.09, 0.02, 1.04), (-0.08, 0.05, 0.95), (0.04, -0.08, 1.1))  # right, down, nearer


def turntable(objects: int, frames: int, px: int = 100, seed: int = 0) -> dict[str, list[Image.Image]]:
    """Spotted ellipsoids on white, turned about the upright axis in equal steps: name -> `frames` pictures."""
    dice = np.random.default_rng([seed, 1])
    things = {f"object {i:02}": _thing(dice) for i in range(objects)}
    angles = np.arange(frames) * 2 * np.pi / frames
    return {name: [_frame(thing, float(angle), px) for angle in angles] for name, thing in things.items()}


@dataclass(frozen=True)
class _Thing:
    axes: Floats  # half lengths along x, y, z
    skin: NDArray[np.uint8]  # (latitudes, longitudes, 3)


def _thing(dice: np.random.Generator) -> _Thing:
    # like fruits, things are of few colours: many have the same one, and differ by shape and spots
    base = dice.choice([[200, 40, 40], [225, 150, 40], [225, 210, 70], [90, 160, 60]]) + dice.integers(-15, 16, 3)
    cells = base + dice.normal(0, 28, (6, 9, 3))
    cells[dice.random((6, 9)) < 0.15] *= 0.5
    skin = Image.fromarray(np.concatenate([cells, cells[:, :1]], 1).clip(0, 255).astype(np.uint8))
    return _Thing(dice.uniform(0.55, 0.95, 3), np.asarray(skin.resize((256, 128), Image.Resampling.BICUBIC)))


def _frame(thing: _Thing, angle: float, px: int) -> Image.Image:
    """The thing turned by `angle` (radians), seen from the front in parallel projection."""
    y, x = np.mgrid[-1 : 1 : px * 1j, -1 : 1 : px * 1j]
    cos, sin = np.cos(angle), np.sin(angle)
    a, b, c = thing.axes
    # a point (x, y, z) on the surface solves p z^2 + 2 q z + r = 0
    p = sin**2 / a**2 + cos**2 / c**2
    q = x * sin * cos * (1 / a**2 - 1 / c**2)
    r = x**2 * (cos**2 / a**2 + sin**2 / c**2) + y**2 / b**2 - 1
    depth = q**2 - p * r
    z = (np.sqrt(np.maximum(depth, 0)) - q) / p
    own = np.stack([(x * cos + z * sin) / a, y / b, (z * cos - x * sin) / c])  # on the unit sphere
    colours = _skin_at(thing.skin, own) * _shade(own, thing.axes, cos, sin)[..., None]
    return Image.fromarray(np.where(depth[..., None] > 0, colours, 255).clip(0, 255).astype(np.uint8))


def _skin_at(skin: NDArray[np.uint8], own: Floats) -> Floats:
    rows = (np.arcsin(own[1].clip(-1, 1)) / np.pi + 0.5) * (skin.shape[0] - 1)
    columns = (np.arctan2(own[0], own[2]) / (2 * np.pi) + 0.5) * (skin.shape[1] - 1)
    return np.asarray(skin[rows.astype(int), columns.astype(int)], np.float64)


def _shade(own: Floats, axes: Floats, cos: float, sin: float) -> Floats:
    nx, ny, nz = own / axes[:, None, None]
    normal = np.stack([nx * cos - nz * sin, ny, nx * sin + nz * cos])
    lit = np.tensordot(LIGHT, normal / np.maximum(np.linalg.norm(normal, axis=0), 1e-9), axes=1)
    return np.asarray(0.45 + 0.6 * lit.clip(0))


def scenes(count: int, px: int = 160, seed: int = 0) -> dict[str, list[Image.Image]]:
    """Coloured shapes at different depths, seen from four places: name -> 4 pictures."""
    return {f"scene {i:03}": _views(np.random.default_rng([seed, 2, i]), px) for i in range(count)}


@dataclass(frozen=True)
class _Shape:
    depth: float  # 0 far .. 1 near
    corners: list[Point]  # in the picture's own unit, 0..1
    colour: tuple[int, int, int]


def _views(dice: np.random.Generator, px: int) -> list[Image.Image]:
    back = dice.integers(60, 200, (5, 5, 3), dtype=np.uint8)
    shapes = sorted((_shape(dice) for _ in range(SHAPES)), key=lambda shape: shape.depth)
    return [_view(back, shapes, place, px) for place in VIEWPOINTS]


def _shape(dice: np.random.Generator) -> _Shape:
    depth, corners = float(dice.random()), int(dice.integers(3, 8))
    x, y, size = dice.uniform(-0.1, 1.1), dice.uniform(-0.1, 1.1), dice.uniform(0.04, 0.2) * (0.5 + depth)
    turns = np.sort(dice.uniform(0, 2 * np.pi, corners))
    outline = [(x + size * float(np.cos(t)), y + size * float(np.sin(t))) for t in turns]
    red, green, blue = dice.integers(0, 256, 3).tolist()
    return _Shape(depth, outline, (red, green, blue))


def _view(back: NDArray[np.uint8], shapes: list[_Shape], place: tuple[float, float, float], px: int) -> Image.Image:
    right, down, nearer = place
    fine = 2 * px  # drawn at double size, for smooth edges
    picture = Image.fromarray(back).resize((fine, fine), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for shape in shapes:
        grown, shift = 1 + (nearer - 1) * (0.5 + shape.depth), 0.3 + shape.depth
        moved = [
            (((x - 0.5) * grown + 0.5 - right * shift) * fine, ((y - 0.5) * grown + 0.5 - down * shift) * fine)
            for x, y in shape.corners
        ]
        pen.polygon(moved, fill=shape.colour)
    return picture.resize((px, px), Image.Resampling.BOX)
