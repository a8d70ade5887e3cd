"""The pictures of a folder, ready to be calibrated on: embedded, near twins and kinds known."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode import read_picture
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.calibration.calibrate import Labels, Measured, check_enough, measure
from twinpix.pipeline.calibration.negatives import Rows
from twinpix.pipeline.calibration.picture_class import SIDE, picture_class
from twinpix.pipeline.index import Pairs, exact_distances
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import Chunk, encode_images, list_files
from twinpix.pipeline.threads import decoding_threads
from twinpix.pipeline.twins import fine_structure, thumbnails, twin_groups

MOST = 10_000  # pictures: they form 50 million pairs


@dataclass(frozen=True)
class Gathered:
    """Embedded pictures.

    Attributes:
        paths: n absolute paths.
        vectors: float32 (n, dim).
        group: int (n,), the number of the first near twin of each.
        labels: str (n,), the kind of each.
        source: the folders' names.
        skipped: files that could not be read.
    """

    paths: tuple[Path, ...]
    vectors: NDArray[np.float32]
    group: NDArray[np.int64]
    labels: Labels
    source: str
    skipped: tuple[Skipped, ...]

    @property
    def twins(self) -> Pairs:
        """Near twins: (the first of its group, picture, L2)."""
        later = np.flatnonzero(self.group != np.arange(len(self.group)))
        return self.group[later], later, exact_distances(self.vectors, self.group[later], later)

    def measure(self) -> Measured:
        """The curve of the pictures without near twins; all rows are those of `paths`.

        Raises:
            InputError: fewer than 200 different pictures.
        """
        first = np.flatnonzero(self.group == np.arange(len(self.group)))
        files = [self.paths[i] for i in first.tolist()]
        found = measure(self.vectors[first], self.source, files, labels=self.labels[first])
        check_enough(len(found.rows))
        return replace(
            found,
            calibration=replace(found.calibration, source=f"{len(found.rows):,} pictures of {self.source}"),
            rows=first[found.rows],
            closest=_renumbered(found.closest, first),
            confirmed=_renumbered(found.confirmed, first),
        )


def _renumbered(pairs: Pairs, rows: Rows) -> Pairs:
    i, j, distance = pairs
    return rows[i], rows[j], distance


def gather(
    *roots: str | os.PathLike[str],
    encoder: Encoder,
    limit: int = MOST,
    workers: int | None = None,
    progress: Callable[[Chunk, int], None] | None = None,
) -> Gathered:
    """Embed the pictures under these folders, or a random choice of `limit` files.

    Raises:
        InputError: no folder given, or one is not there, or they hold fewer than 200 pictures.
    """
    if not roots:
        raise InputError("name at least one folder")
    files, unlisted = list_files(roots)
    if len(files) > limit:
        chosen = np.sort(np.random.default_rng(0).permutation(len(files))[:limit])
        files = [files[i] for i in chosen.tolist()]
    found = encode_images(*files, encoder=encoder, workers=workers, progress=progress)
    check_enough(len(found.paths))
    group, labels = _describe(found.paths)
    source = ", ".join(Path(os.fspath(root)).resolve().name for root in roots)
    return Gathered(found.paths, found.vectors, group, labels, source, (*unlisted, *found.skipped))


def _describe(paths: Sequence[Path]) -> tuple[NDArray[np.int64], Labels]:
    def one(path: Path) -> tuple[NDArray[np.float32], str]:
        try:
            picture = read_picture(path, at_least=SIDE)
        except ImageError:  # gone since it was embedded: like no other
            picture = Image.new("RGB", (8, 8))
        return thumbnails([picture])[0], picture_class(picture)

    with decoding_threads() as pool:
        rows = list(pool.map(one, paths))
    group = twin_groups(fine_structure(np.stack([thumb for thumb, _ in rows])))
    return group, np.array([label for _, label in rows])
