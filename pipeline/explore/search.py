"""One image against many: the nearest of them, and which of those are near enough to be duplicates."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.explore.where import parse_where
from twinpix.pipeline.limits import known_threshold
from twinpix.pipeline.report import Embeddings, Skipped, label
from twinpix.pipeline.stream import Chunk, Memory, embed, encoder_for, list_files, watch

SEARCH_BLOCK = 8192  # vectors


@dataclass(frozen=True)
class Neighbour:
    """An image near the query.

    Attributes:
        path: absolute.
        l2_distance: L2 to the query, 0 (same) .. 2.
        is_duplicate: whether it lies within the threshold, without a second look; None where none is known.
    """

    path: Path
    l2_distance: float
    is_duplicate: bool | None


@dataclass(frozen=True)
class Neighbours:
    """The outcome of `search`.

    Attributes:
        query: absolute path, or a description of what was passed in memory.
        nearest: the k nearest images, closest first, then by name; all of them where there are fewer.
        threshold: L2; a neighbour at most this far away is a duplicate. None: the encoder is not calibrated.
        images: how many were compared with the query.
        left_out: the query's own file, where it was among those searched.
        skipped: files without an embedding, with reasons.
        fingerprint: of the encoder.
    """

    query: Path | str
    nearest: tuple[Neighbour, ...]
    threshold: float | None
    images: int
    left_out: Path | None
    skipped: tuple[Skipped, ...]
    fingerprint: str


def search(
    query: ImageLike,
    *roots: str | os.PathLike[str],
    k: int = 10,
    encoder: Encoder | None = None,
    where: str | None = None,
    threshold: float | None = None,
    workers: int | None = None,
    progress: Callable[[Chunk, int], None] | None = None,
    library: Memory | None = None,
) -> Neighbours:
    """The k images under these folders that are nearest to the query.

    Memory does not grow with the number of images: only the nearest so far are kept.

    Args:
        query: path, bytes of a file, Pillow image or uint8 array (height, width[, 1|3|4]). If its file lies in one
            of the folders, it is left out.
        roots: folders, searched through and through, or single files.
        encoder: by default that of the library, or the shipped one.
        where: only files that this filter accepts (`twinpix.pipeline.explore.where`).
        threshold: L2; by default that of one pair, where the encoder is calibrated.
        workers: threads; all cores by default.
        progress: called with each finished chunk and the number of all files.
        library: as in `encode_images`: by default nothing is remembered.

    Raises:
        ImageError: the query can't be used.
        LibraryError: the library can't be written; LibraryBusyError: another process is writing to it.
        InputError: no folder given or one is not there, k is less than 1, or the filter can't be understood.
    """
    if not roots:
        raise InputError("name at least one folder")
    encoder = encoder_for(encoder, library)
    limit, own = search_threshold(encoder, k, threshold), own_file(query)
    vector = encoder.encode(encoder.prepare(query)[None])[0]
    files, skipped = list_files(roots, where)
    others = [path for path in files if path != own]
    chunks = watch(embed(encoder, roots, others, workers, library), len(others), progress, skipped)
    nearest, images = _nearest(vector, ((chunk.paths, chunk.vectors) for chunk in chunks), k, limit)
    left_out = own if len(others) < len(files) else None
    return Neighbours(label(query), nearest, limit, images, left_out, tuple(skipped), encoder.fingerprint)


def search_embeddings(
    query: ImageLike,
    embeddings: Embeddings,
    k: int = 10,
    encoder: Encoder | None = None,
    where: str | None = None,
    threshold: float | None = None,
) -> Neighbours:
    """The k images nearest to the query among those that are already embedded. Arguments as in `search`.

    Raises:
        FingerprintError: the embeddings are another encoder's.
        ImageError, InputError: as in `search`.
    """
    encoder = encoder or load_encoder()
    embeddings.check_same_encoder(encoder.fingerprint)
    if embeddings.vectors.shape[1] != encoder.dim:
        raise InputError(f"embeddings of {embeddings.vectors.shape[1]} values are not this encoder's: encode again")
    limit, own, wanted = search_threshold(encoder, k, threshold), own_file(query), parse_where(where)
    vector = encoder.encode(encoder.prepare(query)[None])[0]
    chosen = [i for i, path in enumerate(embeddings.paths) if wanted.accepts(path)]
    rows = [i for i in chosen if embeddings.paths[i] != own]
    blocks = (rows[start : start + SEARCH_BLOCK] for start in range(0, len(rows), SEARCH_BLOCK))
    parts = (([embeddings.paths[i] for i in block], embeddings.vectors[block]) for block in blocks)
    nearest, images = _nearest(vector, parts, k, limit)
    left_out = own if len(rows) < len(chosen) else None
    return Neighbours(label(query), nearest, limit, images, left_out, embeddings.skipped, encoder.fingerprint)


def search_threshold(encoder: Encoder, k: int, threshold: float | None) -> float | None:
    """By which a neighbour is a duplicate: L2; None: the encoder is not calibrated.

    Raises:
        InputError: k is less than 1, or the threshold lies outside 0..2.
    """
    if k < 1:
        raise InputError(f"k is how many images to list, 1 or more, not {k}")
    return known_threshold(encoder, 2, threshold)


def own_file(query: ImageLike) -> Path | None:
    """The file that a query is, with symbolic links resolved; None where it is none."""
    return Path(os.path.realpath(query)) if isinstance(query, (str, os.PathLike)) else None


def _nearest(
    query: Vectors, blocks: Iterable[tuple[Sequence[Path], Vectors]], k: int, threshold: float | None
) -> tuple[tuple[Neighbour, ...], int]:
    best: list[tuple[float, str, Path]] = []
    images = 0
    for paths, vectors in blocks:
        distances = np.linalg.norm(vectors - query, axis=1).tolist()
        best = sorted([*best, *((d, str(path), path) for d, path in zip(distances, paths, strict=True))])[:k]
        images += len(paths)
    found = (Neighbour(path, d, None if threshold is None else d <= threshold) for d, _, path in best)
    return tuple(found), images
