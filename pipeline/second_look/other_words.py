"""Whether two aligned pictures that are one but for what is written on them say two things: memes, subtitles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.words import CELL, shipped_words
from twinpix.pipeline.second_look.align import Aligned
from twinpix.pipeline.second_look.look import import_cv2
from twinpix.pipeline.second_look.tiles import Plane, correlate

SOFT, REACH = 1.0, 1  # px: sigma that both get; how far off thin letters of a copy may lie
SAME, STRUCTURE = 0.6, 8.0  # correlation of a cell from which letters are the same; levels of deviation of any
# cells that hold letters on both sides, and not the same: so many are a line of words (a mark in a corner has fewer),
# if they are so large a share of the words around them (of the same words, badly aligned or worn, they are not)
CELLS, SHARE = 8, 0.35


def hold_other_words(aligned: Aligned) -> bool:
    """Whether both hold words at one place, and not the same ones.

    Words on one of the two alone are a caption: something on a copy. Where nothing differs, no model is asked.
    """
    if min(aligned.inside.shape) < CELL:
        return False
    differing = _differing(aligned)
    if differing.sum() < CELLS:
        return False
    words = np.ones_like(differing)
    for side in (aligned.query, aligned.reference):
        words &= shipped_words().where(np.ascontiguousarray(side[..., 0])) > 0
        if (words & differing).sum() < CELLS:
            return False
    return any((one & differing).sum() >= max(CELLS, SHARE * one.sum()) for one in _lines(words))


def _differing(aligned: Aligned) -> NDArray[np.bool_]:
    # cells with structure that the other does not have, however the two are moved by a px
    a, b = (_soft(side[..., 0]) for side in (aligned.query, aligned.reference))
    best, structure = correlate(a, b, CELL)
    where = (structure > STRUCTURE) & _whole_cells(aligned.inside)
    if (where & (best < SAME)).sum() < CELLS:
        return where & (best < SAME)
    for down in range(-REACH, REACH + 1):
        for across in range(-REACH, REACH + 1):
            best = np.maximum(best, correlate(a, np.roll(b, (down, across), (0, 1)), CELL)[0])
    return where & (best < SAME)


def _soft(luma: NDArray[np.uint8]) -> Plane:
    return np.asarray(import_cv2().GaussianBlur(luma.astype(np.float32), (0, 0), SOFT))


def _whole_cells(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    down, across = inside.shape[0] // CELL, inside.shape[1] // CELL
    return np.asarray(inside[: down * CELL, : across * CELL].reshape(down, CELL, across, CELL).all((1, 3)))


def _lines(words: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    # words that lie near together, bool (down, across) each
    near = import_cv2().dilate(words.astype(np.uint8), np.ones((3, 3), np.uint8))
    count, label = import_cv2().connectedComponents(near, connectivity=8)
    return [words & (label == number) for number in range(1, count)]
