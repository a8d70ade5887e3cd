"""Salt-and-pepper noise, found and taken out: single black and white pixels among others that are neither."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLACK, WHITE = 2, 253  # levels that salt and pepper take
CONTRAST = 30  # levels that a speck differs from its neighbourhood
FEWEST = 0.004  # share of specks from which a picture is taken to be noisy,
LONELY = 0.5  # if this share of them has no speck of its kind beside it: strokes of letters have
WINDOWS = (3, 5)  # px; two specks side by side survive the small window

Levels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def is_speckled(green: Levels) -> bool:
    """Whether there is noise to take out, by the green channel alone, uint8 (h, w).

    Noise that spares a channel is rare, and this is a third of the work.
    """
    return _specks(np.ascontiguousarray(green)[..., None], WINDOWS[0]) is not None


def without_specks(rgb: Levels) -> Levels:
    """The picture with specks replaced by the median around them, where there are enough of them to be noise.

    Each channel by itself: some programs add noise to all three at once, some to each. What is no speck keeps its
    levels; a picture that is not noisy is returned as it is.

    Args:
        rgb: uint8 (h, w, 3).
    """
    if not is_speckled(rgb[..., 1]):
        return rgb
    healed = rgb
    for window in WINDOWS:
        specks = _specks(healed, window)
        if specks is None:
            break
        where, medians = specks
        healed = healed.copy()
        healed[where] = medians
    return healed


def _specks(levels: Levels, window: int) -> tuple[tuple[NDArray[np.intp], ...], Levels] | None:
    # where they are, and what to put there; None where it is no noise
    kinds = levels <= BLACK, levels >= WHITE
    if sum(np.count_nonzero(kind) for kind in kinds) < FEWEST * levels.size:
        return None
    beside = [_neighbours(kind) for kind in kinds]
    lonely = [kind & (count == 0) for kind, count in zip(kinds, beside, strict=True)]
    first = window == WINDOWS[0]
    if first and sum(np.count_nonzero(kind) for kind in lonely) < LONELY * FEWEST * levels.size:
        return None
    # inside a black or white area the median is black or white, too
    edge = np.logical_or(*(kind & (count < 4) for kind, count in zip(kinds, beside, strict=True)))
    where = np.nonzero(edge)
    medians = _medians(levels, where, window)
    specks = np.abs(levels[where].astype(np.int16) - medians) > CONTRAST
    if np.count_nonzero(specks) < FEWEST * levels.size:
        return None
    if first and np.count_nonzero(np.logical_or(*lonely)[where] & specks) < LONELY * np.count_nonzero(specks):
        return None
    return tuple(axis[specks] for axis in where), medians[specks]


def _neighbours(kind: Mask) -> NDArray[np.uint8]:
    # how many of the four pixels beside each are of its kind
    ones, count = kind.view(np.uint8), np.zeros(kind.shape, np.uint8)
    count[1:] += ones[:-1]
    count[:-1] += ones[1:]
    count[:, 1:] += ones[:, :-1]
    count[:, :-1] += ones[:, 1:]
    return count


def _medians(levels: Levels, where: tuple[NDArray[np.intp], ...], window: int) -> Levels:
    reach = window // 2
    padded = np.pad(levels, ((reach, reach), (reach, reach), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (window, window), axis=(0, 1))
    around = windows[where].reshape(len(where[0]), window * window)
    return np.partition(around, around.shape[1] // 2, axis=1)[:, around.shape[1] // 2]
