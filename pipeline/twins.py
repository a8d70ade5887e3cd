"""Near twins: repeats and the closest bursts, which count neither as negatives nor as different pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMB = 32  # px
TWIN_CORRELATION = 0.9  # of the fine structure of 32x32 luma thumbnails
_REACH = 2  # the coarse layout is the mean over 5x5 pixels

Structures = NDArray[np.float32]


def thumbnails(pictures: list[Image.Image]) -> NDArray[np.float32]:
    """RGB pictures -> float32 (n, 32, 32), luma levels."""
    small = [np.asarray(p.convert("L").resize((THUMB, THUMB), Image.Resampling.BOX), np.float32) for p in pictures]
    return np.stack(small)


def fine_structure(thumbs: NDArray[np.float32]) -> Structures:
    """What a thumbnail has beyond its coarse layout: float32 (n, 32, 32) -> (n, 1024), L2 norm 1 (0 if blank).

    By coarse layout, every hazy mountain would be a twin of every other.
    """
    fine = (thumbs - _box_mean(thumbs)).reshape(len(thumbs), -1)
    norm = np.linalg.norm(fine, axis=1, keepdims=True)
    return np.asarray(fine / np.maximum(norm, 1e-6), np.float32)


def _box_mean(thumbs: NDArray[np.float32]) -> NDArray[np.float32]:
    # mean over the part of the 5x5 window that lies inside
    total = _window_sum(thumbs.astype(np.float64))
    inside = _window_sum(np.ones((1, *thumbs.shape[1:])))
    return (total / inside).astype(np.float32)


def _window_sum(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    padded, (high, wide) = np.pad(levels, ((0, 0), (_REACH, _REACH), (_REACH, _REACH))), levels.shape[1:]
    rows = np.add.reduce([padded[:, k : k + high] for k in range(2 * _REACH + 1)])
    return np.asarray(np.add.reduce([rows[:, :, k : k + wide] for k in range(2 * _REACH + 1)]))


def twin_groups(structures: Structures, threshold: float = TWIN_CORRELATION) -> NDArray[np.int64]:
    """Group near twins.

    Args:
        structures: float32 (n, d), from `fine_structure`.
        threshold: correlation 0..1 above which two pictures count as one.

    Returns:
        int64 (n,): the smallest index of the group each picture belongs to.
    """
    group = np.arange(len(structures))
    for start in range(0, len(structures), 1024):
        rows, columns = np.nonzero(structures[start : start + 1024] @ structures.T > threshold)
        for i, j in zip((rows + start).tolist(), columns.tolist(), strict=True):
            if i < j:
                a, b = sorted((int(group[i]), int(group[j])))
                group[group == b] = a
    return group


def one_of_each(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row numbers of the first picture of each group: int64 (n,) -> int64 (k,), ascending."""
    return np.sort(np.unique(groups, return_index=True)[1])
