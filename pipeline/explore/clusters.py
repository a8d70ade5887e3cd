"""What a collection is made of: clusters, images unlike all others, near duplicates, and a map of them all."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.blocks import Blocks
from twinpix.pipeline.duplicates import group_duplicates
from twinpix.pipeline.explore.layout import NEIGHBOURS, Plane, lay_out
from twinpix.pipeline.index import exact_distances
from twinpix.pipeline.index.near import nearest_others
from twinpix.pipeline.limits import known_threshold
from twinpix.pipeline.report import Embeddings, Report
from twinpix.pipeline.stream import Chunk, Memory, encode_images, encoder_for

MOST_CLUSTERS = 60
TRIES = 4  # of k-means: it ends in a local optimum, and the tightest one is taken
OUTLIER_SHARE, MOST_OUTLIERS = 0.05, 24
ISOLATION_NEIGHBOURS = 5


@dataclass(frozen=True)
class Outlier:
    """An image that has no near neighbours.

    Attributes:
        path: absolute.
        isolation: mean L2 distance to the nearest five others.
    """

    path: Path
    isolation: float


@dataclass(frozen=True)
class Exploration:
    """The outcome of `explore`. Rows are those of `embeddings`.

    Attributes:
        embeddings: n images.
        clusters: rows of each cluster, those nearest to its centre first; the largest cluster first.
        outliers: the most isolated first: a ranking, not a verdict.
        isolation: float32 (n,), mean L2 distance to the nearest five others.
        neighbours: int (n, k) rows of the nearest others, closest first, and float32 (n, k) their L2 distances.
        duplicates: the near duplicates; None where the encoder is not calibrated and no threshold was given.
        places: float32 (n, 2), 0..1: the map.
    """

    embeddings: Embeddings
    clusters: tuple[tuple[int, ...], ...]
    outliers: tuple[Outlier, ...]
    isolation: NDArray[np.float32]
    neighbours: tuple[NDArray[np.intp], NDArray[np.float32]]
    duplicates: Report | None
    places: Plane


def explore(
    *roots: str | os.PathLike[str],
    clusters: int | None = None,
    encoder: Encoder | None = None,
    where: str | None = None,
    threshold: float | None = None,
    workers: int | None = None,
    progress: Callable[[Chunk, int], None] | None = None,
    library: Memory | None = None,
) -> Exploration:
    """What the images under these folders are made of.

    Clusters and neighbours are those of the encoder: the shipped one groups pictures that could be one another's
    edits; a model of what pictures show (a ResNet, CLIP) groups by that.

    Args:
        roots: folders, searched through and through, or single files.
        clusters: how many; by default the square root of half the number of images, 60 at most.
        encoder: by default that of the library, or the shipped one.
        where: only files that this filter accepts (`twinpix.pipeline.explore.where`).
        threshold: L2 of near duplicates, taken at its word; by default that of one pair, with a second look.
        workers: threads; all cores by default.
        progress: called with each finished chunk and the number of all files.
        library: as in `encode_images`: by default nothing is remembered.

    Raises:
        InputError: no folder given or one is not there, `clusters` is less than 1, the threshold lies outside
            0..2, or the filter can't be understood.
        MissingPackageError: FAISS is not installed.
        LibraryError: the library can't be written; LibraryBusyError: another process is writing to it.
    """
    if not roots:
        raise InputError("name at least one folder")
    encoder = encoder_for(encoder, library)
    _check(clusters, encoder, threshold)
    embeddings = encode_images(
        *roots, encoder=encoder, workers=workers, progress=progress, where=where, library=library
    )
    return explore_embeddings(embeddings, encoder, clusters, threshold, workers)


def explore_embeddings(
    embeddings: Embeddings,
    encoder: Encoder,
    clusters: int | None = None,
    threshold: float | None = None,
    workers: int | None = None,
) -> Exploration:
    """The same of images that are already embedded. Arguments as in `explore`.

    Raises:
        FingerprintError: the embeddings are another encoder's.
    """
    embeddings.check_same_encoder(encoder.fingerprint)
    _check(clusters, encoder, threshold)
    vectors, n = embeddings.vectors, len(embeddings.paths)
    rows, distances = nearest_others(vectors, NEIGHBOURS)
    isolation = distances[:, :ISOLATION_NEIGHBOURS].mean(1) if n > 1 else np.zeros(n, np.float32)
    return Exploration(
        embeddings=embeddings,
        clusters=_clusters(vectors, clusters or default_clusters(n)),
        outliers=_outliers(embeddings.paths, isolation),
        isolation=isolation,
        neighbours=(rows, distances),
        duplicates=_duplicates(embeddings, encoder, threshold, workers),
        places=lay_out(vectors, (rows, distances)),
    )


def default_clusters(images: int) -> int:
    """About the square root of half the number of images."""
    return max(1, min(MOST_CLUSTERS, round(math.sqrt(images / 2))))


def _check(clusters: int | None, encoder: Encoder, threshold: float | None) -> None:
    if clusters is not None and clusters < 1:
        raise InputError(f"at least one cluster, not {clusters}")
    known_threshold(encoder, 2, threshold)  # a wrong one ends here, not after hours of encoding


def _duplicates(
    embeddings: Embeddings, encoder: Encoder, threshold: float | None, workers: int | None
) -> Report | None:
    # the threshold of one pair, not of the library: a map is no place for ten thousand second looks
    limit = known_threshold(encoder, 2, threshold)
    return None if limit is None else group_duplicates(embeddings, encoder, limit, workers, verify=threshold is None)


def _clusters(vectors: Vectors, k: int) -> tuple[tuple[int, ...], ...]:
    if len(vectors) == 0:
        return ()
    tries = [_assign(vectors, Blocks.fit(vectors, k, seed)) for seed in range(TRIES)]
    block, from_centre = min(tries, key=lambda one: float((one[1] ** 2).sum()))
    central = np.lexsort((from_centre, block))
    found = (tuple(central[block[central] == b].tolist()) for b in np.unique(block))
    return tuple(sorted(found, key=lambda rows: (-len(rows), rows)))


def _assign(vectors: Vectors, blocks: Blocks) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    block, both = blocks.assign(vectors), np.concatenate([vectors, blocks.centres])
    return block, exact_distances(both, np.arange(len(vectors)), len(vectors) + block.astype(np.intp))


def _outliers(paths: tuple[Path, ...], isolation: NDArray[np.float32]) -> tuple[Outlier, ...]:
    count = min(MOST_OUTLIERS, math.ceil(OUTLIER_SHARE * len(paths)))
    rows = np.argsort(-isolation, kind="stable")[:count].tolist()
    return tuple(Outlier(paths[i], float(isolation[i])) for i in rows if isolation[i] > 0)
