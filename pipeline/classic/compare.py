"""Two pictures by a classic metric, on the metric's own scale."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline.classic.metrics import METRICS, Metric, choose, takes_weights


@dataclass(frozen=True)
class Comparison:
    """What a metric says of two pictures.

    Attributes:
        metric: its name; of a CNN without weights, with a remark.
        scale: the metric's own scale, for people.
        value, threshold: on that scale.
        is_duplicate: the value is at least as close as the threshold.
        form: how values are printed.
    """

    metric: str
    scale: str
    value: float
    threshold: float
    is_duplicate: bool
    form: str


@dataclass(frozen=True)
class LeftOut:
    """A metric that could not be used, and why, in one line."""

    metric: str
    reason: str


def compare_by(metric: Metric, query: ImageLike, reference: ImageLike, threshold: float | None = None) -> Comparison:
    """Are these two images the same picture, in the eyes of one metric?

    Args:
        query, reference: path, bytes of a file, Pillow image or uint8 array (height, width[, 1|3|4]).
        threshold: on the metric's own scale; its default one without it.

    Raises:
        ImageError: one of them can't be used.
        InputError: the threshold lies outside the scale.
        MissingPackageError: names the extra that brings the metric.
    """
    limit = metric.limit(threshold)
    encoder = metric.make()
    vectors = encoder.encode(np.stack([encoder.prepare(image) for image in (query, reference)]))
    distance = metric.distances(vectors[:1], vectors[1:])[0, 0]
    return Comparison(encoder.name, metric.scale, metric.from_distance(float(distance)),
                      metric.threshold if threshold is None else threshold,
                      bool(distance <= np.float32(limit)), metric.form)  # fmt: skip


def compare_by_all(
    query: ImageLike, reference: ImageLike, weights: str | os.PathLike[str] | None = None
) -> tuple[tuple[Comparison, ...], tuple[LeftOut, ...]]:
    """What every metric says at its default threshold, and which ones can't be used here.

    Args:
        weights: for the CNN; random ones without it.

    Raises:
        ImageError: one of the images can't be used.
        ModelError: the weights can't.
    """
    said, left_out = [], []
    for name in METRICS:
        try:
            said.append(compare_by(choose(name, weights if takes_weights(name) else None), query, reference))
        except (MissingPackageError, InputError) as error:
            left_out.append(LeftOut(name, str(error)))
    return tuple(said), tuple(left_out)
