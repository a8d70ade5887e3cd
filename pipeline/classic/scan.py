"""Duplicates in a folder by a classic metric: in blocks, never n x n at once, and without a second look."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Vectors
from twinpix.pipeline.candidates import left_in
from twinpix.pipeline.classic.metrics import Distances, Metric
from twinpix.pipeline.copies import crowds, marks_of
from twinpix.pipeline.decisions import read_decisions
from twinpix.pipeline.group import star_groups
from twinpix.pipeline.index import Pairs, select
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import Chunk, encode_images

BLOCK = 1024  # images; the distances of two blocks are in memory at a time
MAX_PAIRS = 1_000_000  # a threshold that takes more for duplicates finds nothing, it floods


@dataclass(frozen=True)
class MetricMatch:
    """Two images (absolute paths) and their value on the metric's own scale."""

    query: Path
    reference: Path
    value: float


@dataclass(frozen=True)
class MetricGroup:
    """Images that show one picture.

    Attributes:
        files: absolute paths; the first is the representative.
        farthest: on the metric's own scale, of the representative and the member that is least like it.
    """

    files: tuple[Path, ...]
    farthest: float


@dataclass(frozen=True)
class MetricReport:
    """The outcome of `find_by`.

    Attributes:
        metric: its name; of a CNN without weights, with a remark.
        scale: the metric's own scale, for people.
        form: how values are printed.
        threshold: on that scale.
        groups: largest first; no file is in two.
        matches: every pair within the threshold, closest first.
        skipped: files that could not be used, with reasons.
        images: how many could.
        fingerprint: of the encoder behind the metric.
        dismissed: pairs left out because a person called them different.
    """

    metric: str
    scale: str
    form: str
    threshold: float
    groups: tuple[MetricGroup, ...]
    matches: tuple[MetricMatch, ...]
    skipped: tuple[Skipped, ...]
    images: int
    fingerprint: str
    dismissed: int = 0


def find_by(
    metric: Metric,
    *roots: str | os.PathLike[str],
    threshold: float | None = None,
    workers: int | None = None,
    progress: Callable[[Chunk, int], None] | None = None,
    where: str | None = None,
) -> MetricReport:
    """Find the images under these folders that a metric takes for the same picture.

    Args:
        roots: folders, searched through and through, or single files.
        threshold: on the metric's own scale; its default one without it.
        workers, progress, where: as in `twinpix.find_duplicates`.

    Raises:
        InputError: a folder is not there, the threshold lies outside the scale, or it takes more than a
            million pairs for duplicates.
        MissingPackageError: names the extra that brings the metric.
    """
    limit = metric.limit(threshold)
    encoder = metric.make()
    embeddings = encode_images(*roots, encoder=encoder, workers=workers, progress=progress, where=where)
    paths, decisions = embeddings.paths, read_decisions()
    copies = crowds(paths, marks_of(embeddings.vectors), decisions.contents)
    compared = np.delete(np.arange(len(paths)), copies.left)
    i, j, distance = near_pairs(embeddings.vectors[compared], metric.distances, limit)
    near, _ = copies.join((compared[i], compared[j], distance), None)
    kept, apart = left_in(paths, near, decisions)
    pairs = select(near, kept)
    return MetricReport(
        metric=encoder.name,
        scale=metric.scale,
        form=metric.form,
        threshold=metric.threshold if threshold is None else threshold,
        groups=tuple(
            MetricGroup(group.files, metric.from_distance(group.max_l2_distance))
            for group in star_groups(paths, *pairs, apart)
        ),
        matches=_matches(paths, pairs, metric),
        skipped=embeddings.skipped,
        images=len(paths),
        fingerprint=embeddings.fingerprint,
        dismissed=int((~kept).sum()),
    )


def near_pairs(vectors: Vectors, distances: Distances, limit: float) -> Pairs:
    """All pairs i < j within `limit`, on the scale of `distances`: (i, j, distance), (k,) each.

    Raises:
        InputError: there are more than a million.
    """
    blocks: list[Pairs] = [(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))]
    total = 0
    for i in range(0, len(vectors), BLOCK):
        for j in range(i, len(vectors), BLOCK):
            blocks.append(_near(vectors, distances, limit, i, j))
            total += len(blocks[-1][0])
            if total > MAX_PAIRS:
                raise InputError(f"more than {MAX_PAIRS:,} pairs within the threshold: choose a stricter --threshold")
    rows, columns, distance = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return rows, columns, distance


def _near(vectors: Vectors, distances: Distances, limit: float, i: int, j: int) -> Pairs:
    distance = distances(vectors[i : i + BLOCK], vectors[j : j + BLOCK])
    near = distance <= np.float32(limit)
    rows, columns = np.nonzero(np.triu(near, 1) if i == j else near)
    return rows + i, columns + j, distance[rows, columns]


def _matches(paths: tuple[Path, ...], pairs: Pairs, metric: Metric) -> tuple[MetricMatch, ...]:
    # closest first, then by name
    rows = []
    for i, j, distance in zip(*(column.tolist() for column in pairs), strict=True):
        rows.append((distance, *sorted((paths[i], paths[j]), key=str)))
    rows.sort(key=lambda row: (row[0], str(row[1]), str(row[2])))
    return tuple(MetricMatch(query, reference, metric.from_distance(d)) for d, query, reference in rows)
