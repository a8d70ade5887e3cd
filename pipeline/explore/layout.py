"""A map: many dimensions -> two, so that neighbours stay neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Neighbours = tuple[NDArray[np.intp], NDArray[np.float32]]

NEIGHBOURS = 15
ROUNDS = 120
REPELLED = 5  # random others a round
REPULSION = 4.0  # against the pull; with less, all crowd into a few knots
FARTHEST_STEP = 4.0
FADING = 0.35  # how fast the pull of farther neighbours fades, in mean distances beyond the nearest


def lay_out(vectors: NDArray[np.float32], neighbours: Neighbours, seed: int = 0) -> Plane:
    """Positions on a map, each axis 0..1.

    Starts from the two main axes (PCA) and pulls every vector towards its neighbours, away from random others: the
    gradient of UMAP (McInnes et al. 2018) with a = b = 1, each vector moving on its own account. Distances between
    far groups say little.

    Args:
        vectors: float32 (n, dim).
        neighbours: rows of the nearest others, int (n, k), and their L2 distances, float32 (n, k).
        seed: fixes the random others.
    """
    places, dice = _principal_axes(vectors), np.random.default_rng(seed)
    rows, distances = neighbours
    if rows.shape[1] > 0:
        weights = _weights(distances)
        for step in np.linspace(1, 0, ROUNDS, endpoint=False, dtype=np.float32):
            others = dice.integers(0, len(places), (len(places), REPELLED))
            move = _pull(places, rows, weights) + REPULSION * _push(places, others)
            places = places + step * np.clip(move, -FARTHEST_STEP, FARTHEST_STEP)
    return _to_unit(places)


def _principal_axes(vectors: NDArray[np.float32]) -> Plane:
    centred = vectors - vectors.mean(0) if len(vectors) else vectors
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    places = np.zeros((len(vectors), 2), np.float32)
    main = centred @ axes[:, : -3 if axes.shape[1] > 2 else None : -1].astype(np.float32)
    places[:, : main.shape[1]] = main[:, :2]
    return places * np.float32(10 / max(float(np.abs(places).max(initial=0)), 1e-9))


def _weights(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    # as in UMAP, the nearest one counts most, by how much nearer it is than the rest: copies lie side by side
    beyond = distances - distances.min(1, keepdims=True)
    weights = np.exp(-beyond / np.maximum(FADING * beyond.mean(1, keepdims=True), 1e-6))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def _pull(places: Plane, rows: NDArray[np.intp], weights: NDArray[np.float32]) -> Plane:
    gap = places[rows] - places[:, None]
    squared = (gap**2).sum(2, keepdims=True)
    return np.asarray((2 * gap / (1 + squared) * weights[..., None]).sum(1), np.float32)


def _push(places: Plane, rows: NDArray[np.intp]) -> Plane:
    gap = places[:, None] - places[rows]
    squared = (gap**2).sum(2, keepdims=True)
    return np.asarray((2 * gap / ((0.01 + squared) * (1 + squared))).mean(1), np.float32)


def _to_unit(places: Plane) -> Plane:
    if len(places) == 0:
        return places
    low, span = places.min(0), np.ptp(places, axis=0)
    return np.where(span > 0, (places - low) / np.maximum(span, 1e-9), 0.5).astype(np.float32)
