"""The main job: which images of these folders, or which two images, show the same picture?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import ImageLike, OnnxEncoder, load_encoder
from twinpix.pipeline.group import star_groups
from twinpix.pipeline.index import FlatIndex, Pairs
from twinpix.pipeline.report import Embeddings, Match, Report
from twinpix.pipeline.stream import Chunk, encode_images

MAX_L2 = 2.0


def compare(
    query: ImageLike, reference: ImageLike, threshold: float | None = None, encoder: OnnxEncoder | None = None
) -> Match:
    """Are these two images the same picture, edited?

    Args:
        query, reference: path, bytes of a file, Pillow image or uint8 array (height, width[, 1|3|4]).
        threshold: L2, 0..2; by default the one at a false-match rate of 1e-6.
        encoder: the shipped one by default.

    Raises:
        ImageError: one of them can't be used.
        InputError: the threshold lies outside 0..2.
    """
    encoder = encoder or load_encoder()
    limit = encoder.calibration.pair_threshold if threshold is None else check_threshold(threshold)
    a, b = encoder([query, reference])
    return Match(_label(query), _label(reference), float(np.linalg.norm(a - b)), limit)


def find_duplicates(
    *roots: str | os.PathLike[str],
    threshold: float | None = None,
    encoder: OnnxEncoder | None = None,
    workers: int | None = None,
    progress: Callable[[Chunk, int], None] | None = None,
) -> Report:
    """Find the images under these folders that show the same picture.

    Args:
        roots: folders, searched through and through, or single files.
        threshold: L2, 0..2; by default it follows from the number of images: about one false pair in all.
        encoder: the shipped one by default.
        workers: threads; all cores by default.
        progress: called with each finished chunk and the number of all files.

    Raises:
        InputError: no folder given, or one is not there, or the threshold lies outside 0..2.
    """
    if not roots:
        raise InputError("name at least one folder")
    if threshold is not None:
        check_threshold(threshold)
    encoder = encoder or load_encoder()
    embeddings = encode_images(*roots, encoder=encoder, workers=workers, progress=progress)
    return group_duplicates(embeddings, encoder, threshold)


def group_duplicates(embeddings: Embeddings, encoder: OnnxEncoder, threshold: float | None = None) -> Report:
    """Pairs and groups of images that are already embedded. Arguments as in `find_duplicates`.

    Raises:
        FingerprintError: the embeddings are another encoder's.
        InputError: the threshold lies outside 0..2.
    """
    embeddings.check_same_encoder(encoder.fingerprint)
    paths, n = embeddings.paths, len(embeddings.paths)
    limit = encoder.calibration.library_threshold(n) if threshold is None else check_threshold(threshold)
    i, j, distance = FlatIndex(embeddings.vectors).pairs(limit)
    return Report(
        groups=star_groups(paths, i, j, distance),
        matches=_matches(paths, (i, j, distance), limit),
        skipped=embeddings.skipped,
        threshold=limit,
        expected_false_pairs=encoder.calibration.false_pairs(limit, n) if encoder.is_calibrated else None,
        clamped=threshold is None and encoder.calibration.is_clamped(n),
        images=n,
        fingerprint=encoder.fingerprint,
    )


def _matches(paths: tuple[Path, ...], pairs: Pairs, limit: float) -> tuple[Match, ...]:
    # closest first, then by name: the order in which folders were named changes nothing
    rows = zip(*(column.tolist() for column in pairs), strict=True)
    named = sorted((d, *sorted((str(paths[i]), str(paths[j])))) for i, j, d in rows)
    return tuple(Match(Path(query), Path(reference), d, limit) for d, query, reference in named)


def check_threshold(threshold: float) -> float:
    """The threshold itself.

    Raises:
        InputError: it lies outside 0..2.
    """
    if not 0 <= threshold <= MAX_L2:
        raise InputError(f"a threshold is an L2 distance from 0 to 2, not {threshold}")
    return float(threshold)


def _label(image: ImageLike) -> Path | str:
    if isinstance(image, (str, os.PathLike)):
        return Path(os.path.abspath(image))
    if isinstance(image, Image.Image):
        return f"<image {image.width}x{image.height}>"
    return f"<array {image.shape}>" if isinstance(image, np.ndarray) else f"<{len(image)} bytes>"
