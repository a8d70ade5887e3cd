"""Salt-and-pepper noise, found and taken out: single black and white pixels among others that are neither."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLACK, WHITE = 2, 253  # levels that salt and pepper take
CONTRAST = 30  # levels that a speck differs from its neighbourhood
FEWEST = 0.004  # share of specks from which a picture is taken to be noisy,
LONELY = 0.5  # if this share of them has no speck of its kind beside it: strokes of letters have
WINDOWS = (3, 5)  # px; two specks side by side survive the small window
# A. Paeth, "Median finding on a 3x3 grid", Graphics Gems (1990), as a network: the smaller one comes first
EXCHANGES = (
    (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3),
    (5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2),
)  # fmt: skip

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
        healed.ravel()[where] = medians
    return healed


def _specks(levels: Levels, window: int) -> tuple[NDArray[np.intp], Levels] | None:
    # where they are (flat), and what to put there; None where it is no noise
    kinds = levels <= BLACK, levels >= WHITE
    if sum(np.count_nonzero(kind) for kind in kinds) < FEWEST * levels.size:
        return None
    beside = [_neighbours(kind) for kind in kinds]
    lonely = [kind & (count == 0) for kind, count in zip(kinds, beside, strict=True)]
    first = window == WINDOWS[0]
    if first and _specks_among(levels, lonely) < LONELY * FEWEST * levels.size:
        return None  # as most pictures with glints and deep shadows; there are several times as many edges
    # inside a black or white area the median is black or white, too
    edge = np.logical_or(*(kind & (count < 4) for kind, count in zip(kinds, beside, strict=True)))
    where = np.flatnonzero(edge)
    medians = _medians(levels, where, window)
    specks = _differ(levels, where, medians)
    if np.count_nonzero(specks) < FEWEST * levels.size:
        return None
    if first and np.count_nonzero(np.logical_or(*lonely).ravel()[where] & specks) < LONELY * np.count_nonzero(specks):
        return None
    return where[specks], medians[specks]


def _specks_among(levels: Levels, lonely: list[Mask]) -> int:
    where = np.flatnonzero(np.logical_or(*lonely))
    if len(where) < LONELY * FEWEST * levels.size:
        return 0
    return int(np.count_nonzero(_differ(levels, where, _medians(levels, where, WINDOWS[0]))))


def _differ(levels: Levels, where: NDArray[np.intp], medians: Levels) -> Mask:
    return np.asarray(np.abs(levels.ravel()[where].astype(np.int16) - medians) > CONTRAST)


def _neighbours(kind: Mask) -> NDArray[np.uint8]:
    # how many of the four pixels beside each are of its kind
    ones, count = kind.view(np.uint8), np.zeros(kind.shape, np.uint8)
    count[1:] += ones[:-1]
    count[:-1] += ones[1:]
    count[:, 1:] += ones[:, :-1]
    count[:, :-1] += ones[:, 1:]
    return count


def _medians(levels: Levels, where: NDArray[np.intp], window: int) -> Levels:
    around = _around(levels, where, window)
    return _median_of_nine(around) if window == 3 else np.median(around, axis=0).astype(np.uint8)


def _around(levels: Levels, where: NDArray[np.intp], window: int) -> list[Levels]:
    # the levels of each place of the window, by flat index: a view of windows is several times slower to gather
    reach = window // 2
    padded = np.pad(levels, ((reach, reach), (reach, reach), (0, 0)), "edge")
    (_, width, channels), flat = padded.shape, padded.ravel()
    rows = where // (levels.shape[1] * channels)
    first = where + rows * 2 * reach * channels
    return [flat[first + (y * width + x) * channels] for y in range(window) for x in range(window)]


def _median_of_nine(levels: list[Levels]) -> Levels:
    for a, b in EXCHANGES:
        levels[a], levels[b] = np.minimum(levels[a], levels[b]), np.maximum(levels[a], levels[b])
    return levels[4]
