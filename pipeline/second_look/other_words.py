"""Whether two aligned pictures that are one but for what is written on them say two things: memes, subtitles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.words import CELL, shipped_words
from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.look import import_cv2
from twinpix.pipeline.second_look.tiles import Plane, correlate

SOFT = 1.0  # px: sigma that both get
SHIFTS = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]  # px: thin letters of a copy may lie off
SAME, STRUCTURE = 0.6, 8.0  # correlation of a cell from which letters are the same; levels of deviation of any
# cells that hold letters on both sides, and not the same: so many are a line of words (a mark in a corner has fewer),
# if so large a share of it differs however it is moved (of the same words, badly aligned or worn, less does); and the
# cells that words lie apart
CELLS, SHARE, SPACE = 10, 0.25, (3, 5)


def hold_other_words(aligned: Aligned) -> bool:
    """Whether both hold words at one place, and not the same ones.

    Words on one of the two alone are a caption: something on a copy. Where nothing differs, no model is asked.
    """
    if min(aligned.inside.shape) < CELL:
        return False
    a, b = (_soft(side[..., 0]) for side in (aligned.query, aligned.reference))
    likeness, structure = correlate(a, b, CELL)
    inked = (structure > STRUCTURE) & _whole_cells(aligned.inside)
    differing = inked & (likeness < SAME)
    if differing.sum() < CELLS:
        return False
    words = inked.copy()
    for side in (aligned.query, aligned.reference):
        words &= shipped_words().where(np.ascontiguousarray(side[..., 0])) > 0
        if (words & differing).sum() < CELLS:
            return False
    moved = [correlate(a, np.roll(b, shift, (0, 1)), CELL)[0] for shift in SHIFTS]
    return any(_is_another(line, moved) for line in _lines(words, words & differing))


def _is_another(line: NDArray[np.bool_], moved: Sequence[Plane]) -> bool:
    # not the same words, as well as they lie on one another however the whole line is moved by a px
    best = max((likeness[line] for likeness in moved), key=np.mean)
    return bool((best < SAME).mean() >= SHARE)


def _soft(luma: NDArray[np.uint8]) -> Plane:
    return np.asarray(import_cv2().GaussianBlur(luma.astype(np.float32), (0, 0), SOFT))


def _whole_cells(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    down, across = inside.shape[0] // CELL, inside.shape[1] // CELL
    return np.asarray(inside[: down * CELL, : across * CELL].reshape(down, CELL, across, CELL).all((1, 3)))


def _lines(words: NDArray[np.bool_], differing: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    # words that lie near where some differ, line by line, bool (down, across) each, if those are enough
    near = import_cv2().dilate(differing.astype(np.uint8), np.ones(SPACE, np.uint8))
    count, label = import_cv2().connectedComponents(near, connectivity=8)
    lines = [label == number for number in range(1, count)]
    return [words & line for line in lines if (differing & line).sum() >= CELLS]
