"""The classic metrics as rows of one table: a description of the picture, a distance, and the metric's own scale."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder import classic
from twinpix.encoder.cnn import CnnEncoder
from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.classic.distances import l2, nearest_orientation_l2, one_minus_ssim

Distances = Callable[[Vectors, Vectors], NDArray[np.float32]]
Scalar = Callable[[float], float]
NO_DEFAULT = float("nan")


@dataclass(frozen=True)
class Metric:
    """One way to compare two pictures.

    Attributes:
        name: as on the command line.
        scale: the metric's own scale, for people.
        bounds: smallest and largest value on that scale.
        threshold: on that scale; pairs as close as this are called duplicates by default. Not a number for Euclidean
            distance of a CNN with weights of one's own: nobody knows how long its features are.
        make: the encoder behind it; MissingPackageError names the extra where a package is missing.
        distances: vectors float32 (n, dim) and (m, dim) -> float32 (n, m), smaller is closer, 0 for equal vectors.
        to_distance, from_distance: between the metric's own scale and that distance.
        form: how a value on the metric's own scale is printed.
    """

    name: str
    scale: str
    bounds: tuple[float, float]
    threshold: float
    make: Callable[[], Encoder]
    distances: Distances
    to_distance: Scalar
    from_distance: Scalar
    form: str = ".4f"

    def limit(self, threshold: float | None = None) -> float:
        """The distance that belongs to a threshold on the metric's own scale; its default one without an argument.

        Raises:
            InputError: it lies outside the scale, or there is no default.
        """
        value = self.threshold if threshold is None else threshold
        if threshold is None and math.isnan(value):
            raise InputError(f"{self.name}: pass a --threshold: with weights of your own there is no default")
        if not self.bounds[0] <= value <= self.bounds[1]:
            raise InputError(f"{self.name}: a threshold is a {self.scale}; not {value:g}")
        return self.to_distance(value)


def _hamming(make: Callable[[], Encoder], bits: int, threshold: int, distances: Distances = l2) -> Metric:
    name = make.__name__
    scale = f"Hamming distance, 0..{bits} bits, smaller is closer"
    back: Scalar = lambda distance: float(round(distance**2))  # noqa: E731 - rows of a table
    return Metric(name, scale, (0, bits), threshold, make, distances, lambda h: float(h) ** 0.5, back, ".0f")


def _cosine(name: str, make: Callable[[], Encoder], threshold: float) -> Metric:
    # |a - b|^2 = 2 - 2 cos for norm 1
    return Metric(name, "cosine similarity, -1..1, larger is closer", (-1, 1), threshold, make, l2,
                  lambda cosine: max(0.0, 2 - 2 * cosine) ** 0.5, lambda distance: 1 - distance**2 / 2)  # fmt: skip


def _plain(name: str, what: str, top: float, make: Callable[[], Encoder], threshold: float) -> Metric:
    scale = f"Euclidean distance of {what}, smaller is closer"
    return Metric(name, scale, (0, top), threshold, make, l2, float, float)


def _cnn(weights: str | os.PathLike[str] | None, euclidean: float, cosine: float) -> tuple[Metric, Metric]:
    return (
        _plain("cnn-euclidean", "1,280 features, from 0", float("inf"), lambda: CnnEncoder("cnn-euclidean", weights),
               euclidean),
        _cosine("cnn-cosine", lambda: CnnEncoder("cnn-cosine", weights, unit=True), cosine),
    )  # fmt: skip


# Where nobody recommends a threshold, it is where one pair of different pictures in 10,000 lay among 2,198 photos of
# 8 sorts (400 for the CNN), rounded; the colour hash has no such place: with 1 bit it calls several in 100 the same.
_ROWS = (
    _plain("euclidean", "32x32 RGB pixels, 0..55.4", 3072**0.5, classic.pixels, 4.5),
    _cosine("cosine", classic.directions, 0.997),
    Metric("ssim", "SSIM value, -1..1, larger is closer", (-1, 1), 0.67, classic.luma, one_minus_ssim,
           lambda ssim: 1 - ssim, lambda distance: 1 - distance),
    _hamming(classic.ahash, 64, 10),  # 10 of 64 bits: imagededup's default for its four hashes
    _hamming(classic.phash, 64, 10),
    _hamming(classic.dhash, 64, 10),
    _hamming(classic.whash, 64, 10),
    _hamming(classic.colorhash, 42, 1),
    _hamming(classic.pdq, 256, 31),  # 31 of 256 bits: ThreatExchange's recommendation
    _hamming(classic.pdq8, 256, 31, nearest_orientation_l2),
    *_cnn(None, 0.9, 0.99),  # random weights know re-encoded copies at best, wherever it is
)  # fmt: skip
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ROWS})


def takes_weights(name: str) -> bool:
    """Whether the metric of that name is a network's."""
    return name.startswith("cnn")


def choose(name: str, weights: str | os.PathLike[str] | None = None) -> Metric:
    """The metric of that name; `weights` are for the CNN's.

    Raises:
        InputError: there is none, or it has no weights.
    """
    if name not in METRICS:
        raise InputError(f"no metric is called {name!r}: choose from {', '.join(METRICS)}")
    if weights is None:
        return METRICS[name]
    weighted = {metric.name: metric for metric in _cnn(weights, NO_DEFAULT, 0.9)}  # 0.9: imagededup's for its CNN
    if name not in weighted:
        raise InputError(f"--weights are for {' and '.join(weighted)}; {name} has none")
    return weighted[name]
