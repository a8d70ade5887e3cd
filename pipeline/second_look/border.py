"""The even border round a picture: it lies on what a crop has cut off, and agrees with nothing there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.second_look.look import Look

EVEN, SHARE = 10, 0.97  # levels; a line of pixels is even if so many of them are about as bright as the outermost ones
SOFT = 2  # px; how far resizing carries a border into the picture
STEP, ALONG = (
    20,
    0.5,
)  # a picture begins all along its edge, or nearly: a thing on white, or a tree in the sky, does not
AT_ONCE = 8  # lines
SMALLEST = 96  # px; less of a picture can't be aligned

Lines = NDArray[np.uint8]  # (n, px, tones): columns or rows of pixels, from one side of the picture inwards


@dataclass(frozen=True)
class Border:
    """How wide the border is at each side, px of the look."""

    left: int
    top: int
    right: int
    bottom: int


def border_of(look: Look) -> Border | None:
    """The even border round a picture, or along some of its sides; None if it has none."""
    rows = look.tones
    columns = rows.transpose(1, 0, 2)
    sides = columns, rows, columns[::-1], rows[::-1]
    left, top, right, bottom = deep = [_depth(side) for side in sides]
    wide, high = look.size
    if not any(deep) or min(wide - left - right, high - top - bottom) < SMALLEST:
        return None
    across, down = slice(left, wide - right), slice(top, high - bottom)
    there = [_begins(side[:, along], depth) for side, along, depth in zip(sides, (down, across) * 2, deep, strict=True)]
    found = Border(*(depth + SOFT if begins else 0 for depth, begins in zip(deep, there, strict=True)))
    return found if any(there) else None


def _depth(side: Lines) -> int:
    # how many lines are as even as the first, and of its tone
    for start in range(0, len(side), AT_ONCE):  # nearly always the first ones tell
        even = (_steps(side[start : start + AT_ONCE], side) <= EVEN).mean(1) >= SHARE
        if not even.all():
            return start + int(even.argmin())
    return len(side)


def _begins(side: Lines, depth: int) -> bool:
    # whether a picture begins behind so many lines
    return depth > 0 and bool((_steps(side[depth + SOFT :][:1], side) > STEP).mean() >= ALONG)


def _steps(lines: Lines, side: Lines) -> NDArray[np.int16]:
    # how far pixels are, in any tone, from the outermost line: from its median, levels
    tone = np.sort(side[0], axis=0)[len(side[0]) // 2].astype(np.int16)
    away = np.abs(lines.astype(np.int16) - tone)
    return np.asarray(np.maximum(np.maximum(away[..., 0], away[..., 1]), away[..., 2]))


def without_border(look: Look, border: Border | None) -> Look:
    """What lies inside of it, at the same scale; it can't be read again at another one."""
    if border is None:
        return look
    wide, high = look.size
    left, top, right, bottom = border.left, border.top, wide - border.right, high - border.bottom
    scale = look.colours.shape[0] / high
    rows, columns = ([round(scale * edge) for edge in ends] for ends in ((top, bottom), (left, right)))
    return Look(
        np.ascontiguousarray(look.tones[top:bottom, left:right]),
        speckled=look.speckled,
        colours=np.ascontiguousarray(look.colours[slice(*rows), slice(*columns)]),
        shorter_side=round(look.shorter_side * min(right - left, bottom - top) / min(wide, high)),
    )
