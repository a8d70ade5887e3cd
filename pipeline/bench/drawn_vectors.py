"""Vectors in any number that lie as an encoder's embeddings do, with planted copies at the distances of real edits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
BLOCK = 1 << 16
WIDEST = 0.9  # of a difference of two embeddings; with thousands of pictures, neighbours are as frequent as in reality
COPIES = 0.1  # of all vectors


@dataclass(frozen=True)
class Drawn:
    """Vectors with planted pairs.

    Attributes:
        vectors: float32 (n, dim), norm 1; the last tenth are copies.
        planted: int (k, 2), rows of an original and of its copy.
    """

    vectors: Floats
    planted: NDArray[np.intp]


def draw_vectors(count: int, embeddings: Floats, edits: Floats, seed: int = 0) -> Drawn:
    """A picture's embedding moved by part of the difference of two others; and copies, moved as an edit moved another.

    Args:
        embeddings: float32 (m, dim), of different pictures, norm 1.
        edits: float32 (e, dim), what edits have added to embeddings of pictures.
    """
    dice, copies = np.random.default_rng([seed, count]), int(COPIES * count)
    vectors = np.empty((count, embeddings.shape[1]), np.float32)
    for start in range(0, count - copies, BLOCK):
        rows = slice(start, min(start + BLOCK, count - copies))
        a, b, c = dice.integers(0, len(embeddings), (3, rows.stop - rows.start))
        part = WIDEST * np.sqrt(dice.random((len(a), 1), np.float32))
        vectors[rows] = _unit(embeddings[a] + part * (embeddings[b] - embeddings[c]))
    originals = dice.choice(count - copies, copies, replace=False)
    for start in range(0, copies, BLOCK):
        some = originals[start : start + BLOCK]
        moved = vectors[some] + edits[dice.integers(0, len(edits), len(some))]
        vectors[count - copies + start : count - copies + start + len(some)] = _unit(moved)
    return Drawn(vectors, np.stack([originals, np.arange(count - copies, count)], 1))


def share_within(vectors: Floats, distance: float, rows: int = 10_000) -> float:
    """The share of pairs within an L2 distance, among the first `rows`."""
    some, found = vectors[:rows], 0
    for start in range(0, len(some), 1024):
        found += int((some[start : start + 1024] @ some.T >= 1 - distance**2 / 2).sum())
    return (found - len(some)) / max(1, len(some) * (len(some) - 1))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
