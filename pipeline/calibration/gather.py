"""The pictures of a folder, ready to be calibrated on: embedded, near twins and kinds known."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
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
from twinpix.pipeline.decisions import Decisions
from twinpix.pipeline.index import Pairs, exact_distances
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import Chunk, encode_images, list_files
from twinpix.pipeline.threads import decoding_threads
from twinpix.pipeline.twins import fine_structure, thumbnails, twin_groups

NAMED = 8  # folders or files
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
        apart, together: rows i < j that a person has called different, and one picture.
    """

    paths: tuple[Path, ...]
    vectors: NDArray[np.float32]
    group: NDArray[np.int64]
    labels: Labels
    source: str
    skipped: tuple[Skipped, ...]
    apart: frozenset[tuple[int, int]] = frozenset()
    together: frozenset[tuple[int, int]] = frozenset()

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
        place = {row: k for k, row in enumerate(first.tolist())}
        apart = {(place[i], place[j]) for i, j in self.apart if i in place and j in place}
        found = measure(self.vectors[first], self.source, files, labels=self.labels[first], apart=apart)
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
    decisions: Decisions | None = None,
) -> Gathered:
    """Embed the pictures under these folders, or a random choice of `limit` files.

    Args:
        decisions: what a person said of pairs of them counts for more than what seems to be a near twin or none.

    Raises:
        InputError: no folder given, or one is not there, or they hold fewer than 200 pictures.
    """
    if not roots:
        raise InputError("name at least one folder")
    files, unlisted = list_files(roots)
    if len(files) > limit:
        files = _some(files, limit, decisions)
    found = encode_images(*files, encoder=encoder, workers=workers, progress=progress)
    check_enough(len(found.paths))
    group, labels = _describe(found.paths)
    source = _named(roots)
    skipped = (*unlisted, *found.skipped)
    if decisions is None:
        return Gathered(found.paths, found.vectors, group, labels, source, skipped)
    apart, together = decisions.apart(found.paths), decisions.together(found.paths)
    return Gathered(
        found.paths, found.vectors, regrouped(group, apart, together), labels, f"{source}, and what you decided",
        skipped, apart, together,
    )  # fmt: skip


def _named(roots: Sequence[str | os.PathLike[str]]) -> str:
    names = [Path(os.fspath(root)).resolve().name for root in roots]
    return ", ".join(names) if len(names) <= NAMED else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _some(files: Sequence[Path], limit: int, decisions: Decisions | None) -> list[Path]:
    # a random choice, and every file that was decided about
    chosen = np.random.default_rng(0).permutation(len(files))[:limit].tolist()
    pairs = () if decisions is None else (*decisions.apart(files), *decisions.together(files))
    return [files[row] for row in sorted({*chosen, *(row for pair in pairs for row in pair)})]


def regrouped(
    group: NDArray[np.int64], apart: Collection[tuple[int, int]], together: Collection[tuple[int, int]]
) -> NDArray[np.int64]:
    """Groups of near twins after a person's word; int64 (n,), the number of the first of each.

    Args:
        group: what they seem to be.
        apart, together: rows i < j.
    """
    group = group.copy()
    for i, j in sorted(together):
        first, second = sorted((int(group[i]), int(group[j])))
        group[group == second] = first
    for i, j in sorted(apart):
        if group[i] == group[j]:
            group[j] = j
    return group


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
