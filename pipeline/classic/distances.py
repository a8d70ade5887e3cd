"""Distances between all rows of two sets of vectors at once: plain L2, the nearest orientation, SSIM."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.classic import ORIENTATIONS, SIDE
from twinpix.encoder.protocol import Vectors
from twinpix.pipeline.index import exact_distances

Floats = NDArray[np.float32]

WINDOW, STRIDE = 7, 5  # px; 36 windows cover 32x32 evenly
C1, C2 = 0.01**2, 0.03**2  # of Wang et al., for levels 0..1
TILE = 512  # rows and columns of SSIM at a time, so that its intermediate results stay in the cache
CANCELLED = 1e-3  # share of |a|^2 + |b|^2 below which |a|^2 + |b|^2 - 2ab has lost too many digits
ROUNDING = 1e-6  # of 1 - SSIM in float32
EXACT_VALUES = 1 << 22  # at a time


def l2(queries: Vectors, references: Vectors) -> Floats:
    """L2 distances, exactly 0 for equal vectors: (n, dim), (m, dim) -> (n, m)."""
    total = np.einsum("nd,nd->n", queries, queries)[:, None] + np.einsum("md,md->m", references, references)
    square = total - 2 * (queries @ references.T)
    i, j = np.nonzero(square <= CANCELLED * total)
    distance: Floats = np.sqrt(np.maximum(square, 0, out=square), out=square)
    if len(i):
        both = np.concatenate([queries, references])
        block = max(1, EXACT_VALUES // queries.shape[1])
        distance[i, j] = exact_distances(both, i, j + len(queries), block)
    return distance


def nearest_orientation_l2(queries: Vectors, references: Vectors) -> Floats:
    """The smallest L2 distance over the 8 orientations of either picture; symmetric.

    Args:
        queries, references: (n, 8 * bits) and (m, 8 * bits), each picture as it is first.
    """
    turned, others = (v.reshape(len(v), ORIENTATIONS, -1) for v in (queries, references))
    nearest = l2(turned[:, 0], others[:, 0])
    for k in range(1, ORIENTATIONS):
        np.minimum(nearest, l2(turned[:, k], others[:, 0]), out=nearest)
        np.minimum(nearest, l2(turned[:, 0], others[:, k]), out=nearest)
    return nearest


def one_minus_ssim(queries: Vectors, references: Vectors) -> Floats:
    """1 - SSIM (Wang et al. 2004) of grey pictures, 0..2, with uniform 7x7 windows, five pixels apart.

    The covariance of all pairs in one window is a matrix product, so that all pairs cost 36 of them.

    Args:
        queries, references: (n, 1024) and (m, 1024), levels 0..1.
    """
    a, b = _windows(queries), _windows(references)
    distance = np.empty((len(queries), len(references)), np.float32)
    for i in range(0, len(queries), TILE):
        for j in range(0, len(references), TILE):
            distance[i : i + TILE, j : j + TILE] = 1 - _mean_ssim(a[:, i : i + TILE], b[:, j : j + TILE])
    distance[distance < ROUNDING] = 0
    return distance


def _windows(pictures: Vectors) -> Floats:
    # (windows, n, 49)
    view = np.lib.stride_tricks.sliding_window_view(pictures.reshape(-1, SIDE, SIDE), (WINDOW, WINDOW), axis=(1, 2))
    cut = view[:, ::STRIDE, ::STRIDE].reshape(len(pictures), -1, WINDOW * WINDOW)
    return np.ascontiguousarray(cut.transpose(1, 0, 2))


def _mean_ssim(a: Floats, b: Floats) -> Floats:
    total = np.zeros((a.shape[1], b.shape[1]), np.float32)
    for x, y in zip(a, b, strict=True):
        total += _ssim(x, y)
    return total / np.float32(len(a))


def _ssim(x: Floats, y: Floats) -> Floats:
    # x (n, 49), y (m, 49): one window of n and of m pictures
    mean_x, mean_y = x.mean(1)[:, None], y.mean(1)[None]
    x, y = x - mean_x, y - mean_y.T
    around = np.add.outer
    light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    spread = around((x**2).mean(1), (y**2).mean(1)) + np.float32(C2)
    structure = (2 / WINDOW**2 * (x @ y.T) + np.float32(C2)) / spread
    return np.asarray(light * structure, np.float32)
