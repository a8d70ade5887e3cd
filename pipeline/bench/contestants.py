"""Which methods take part: by name, with a reason for each that can't."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.encoder.onnx import OnnxEncoder, load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.bench.looked import SecondLooked
from twinpix.pipeline.bench.method import Contestant, Distances, Floats, Method, Plain, encode_with
from twinpix.pipeline.blocks import Blocks
from twinpix.pipeline.calibration.alikeness import alikeness
from twinpix.pipeline.calibration.calibrations import in_force
from twinpix.pipeline.classic.distances import l2
from twinpix.pipeline.classic.metrics import METRICS, choose
from twinpix.pipeline.limits import known_threshold, limits

TWINPIX, EMBEDDING, BASELINE = "twinpix", "embedding", "autoencoder"
ALL = "all"
DEAR = ("cnn-euclidean", "cnn-cosine")  # not part of the default: a large network each
LABELS = {"euclidean": "Euclidean", "cosine": "cosine of pixels", "ssim": "SSIM", "ahash": "aHash", "phash": "pHash",
          "dhash": "dHash", "whash": "wHash", "colorhash": "colour hash", "pdq": "PDQ", "pdq8": "PDQ, 8 orientations",
          "cnn-euclidean": "EffNet-B0 Euclid", "cnn-cosine": "EffNet-B0 cosine"}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What the user asked for.

    Attributes:
        methods: names; empty for the default ones.
        models: `.onnx` files: rows of their own, beside the shipped encoder.
        baseline: the `.onnx` of the autoencoder, for the row with k-means blocks.
        weights: EfficientNet-B0's.
    """

    methods: tuple[str, ...] = ()
    models: tuple[Path, ...] = ()
    baseline: Path | None = None
    weights: Path | None = None

    def wanted(self) -> tuple[str, ...]:
        """The names of the methods that are wanted.

        Raises:
            InputError: a name is unknown, or the autoencoder is asked for without its file.
        """
        known = (TWINPIX, EMBEDDING, *METRICS, BASELINE)
        for name in self.methods:
            if name not in (*known, ALL):
                raise InputError(f"no method is called {name!r}: choose from {', '.join((*known, ALL))}")
        if BASELINE in self.methods and self.baseline is None:
            raise InputError("autoencoder: pass its file with --baseline (twinpix train --baseline autoencoder)")
        chosen = set(known if ALL in self.methods else self.methods or (set(known) - set(DEAR)))
        chosen |= {BASELINE} if self.baseline is not None else set()
        return tuple(name for name in known if name in chosen and (name != BASELINE or self.baseline is not None))

    @property
    def named(self) -> tuple[str, ...]:
        """The keys of the methods that were asked for by name or by file."""
        return (*self.methods, *map(str, self.models), *([BASELINE] if self.baseline is not None else []))

    def own(self) -> list[OnnxEncoder]:
        """The encoders of `models`, each once.

        Raises:
            ModelError: one of them can't be used.
        """
        return list({encoder.fingerprint: encoder for encoder in map(load_encoder, self.models)}.values())

    def check(self) -> None:
        """Raises what `wanted` and `own` raise: a wrong name is said before anything takes time."""
        self.wanted()
        self.own()


def load_methods(choice: Choice, images: int) -> tuple[dict[str, Method], Encoder | None, list[str]]:
    """The methods that take part, without the second look.

    Args:
        images: how many pictures are compared with one another: a calibrated threshold follows from it.

    Returns:
        (key -> method, the encoder that gets a second look or None, one line for each method that is left out).

    Raises:
        ModelError, InputError: a model or a name can't be used.
    """
    wanted, own = choice.wanted(), choice.own()
    methods: dict[str, Method] = {}
    left_out: list[str] = []
    shipped = load_encoder() if {TWINPIX, EMBEDDING} & set(wanted) else None
    if shipped is not None:
        methods[EMBEDDING] = encoder_method(EMBEDDING, "embedding alone", shipped, images)
    for encoder in own:
        if shipped is not None and encoder.fingerprint == shipped.fingerprint:
            left_out.append(f"{encoder.path} has no row of its own: it is the shipped encoder")
        else:
            methods[str(encoder.path)] = encoder_method(str(encoder.path), encoder.name, encoder, images)
    for key in wanted:
        if key not in (TWINPIX, EMBEDDING):
            try:
                methods[key] = load_method(key, choice, images)
            except MissingPackageError as error:
                left_out.append(f"{key} is left out: {error}")
    return methods, shipped if TWINPIX in wanted else None, left_out


def load_method(key: str, choice: Choice, images: int) -> Method:
    """One method by its key; arguments and errors as in `load_methods`."""
    if key == EMBEDDING:
        return encoder_method(key, "embedding alone", load_encoder(), images)
    if key in METRICS:
        return metric_method(key, choice.weights)
    if key == BASELINE and choice.baseline is not None:
        return baseline_method(choice.baseline)
    encoder = load_encoder(key)
    return encoder_method(key, encoder.name, encoder, images)


def enter(
    choice: Choice,
    pictures: Sequence[Image.Image],
    looking: Callable[[int, int], None] | None = None,
) -> tuple[list[Contestant], list[str]]:
    """The contestants, knowing the originals, and one line for each method that is left out.

    Args:
        pictures: the n originals.
        looking: see `SecondLooked`.

    Raises:
        ModelError: a model can't be used.
        InputError: an unknown name, or no method is left.
    """
    methods, looked, left_out = load_methods(choice, len(pictures))
    wants_embedding = EMBEDDING in choice.wanted()
    contestants: list[Contestant] = []
    for key, method in methods.items():
        vectors = method.encode_all(pictures)
        if key == EMBEDDING and looked is not None:
            name = f"twinpix {looked.fingerprint[:6]}"
            limit = limits(looked, len(pictures), None, True)
            curve = in_force(looked).calibration
            limit = limit.at_most(curve.raised(alikeness(vectors, curve)), len(pictures))
            contestants.append(SecondLooked(name, method, pictures, vectors, limit, looking))
        if key != EMBEDDING or wants_embedding:
            contestants.append(Plain(method, vectors))
    if not contestants:
        raise InputError("; ".join(left_out) or "name a method")
    return contestants, left_out


def encoder_method(key: str, name: str, encoder: Encoder, images: int) -> Method:
    """An encoder without the second look, at its default threshold for a library of `images`."""
    return Method(key, name, encode_with(encoder), known_threshold(encoder, images, None))


def metric_method(key: str, weights: Path | None = None) -> Method:
    """A classic metric at its default threshold.

    Raises:
        MissingPackageError: its package is not installed.
    """
    metric = choose(key, weights if key in DEAR else None)
    encoder = metric.make()
    encode = encode_with(encoder)
    encode([Image.new("RGB", (64, 64))])  # a missing package shows when it is first used
    name = LABELS[key] + (", random" if "random weights" in encoder.name else "")
    threshold = None if math.isnan(metric.threshold) else metric.limit()
    return Method(key, name, encode, threshold, metric.scale, lambda originals: metric.distances, metric.from_distance)


def baseline_method(path: Path) -> Method:
    """The unsupervised baseline: an autoencoder's embedding, compared inside k-means blocks of the originals only."""
    encoder = load_encoder(path)
    threshold = known_threshold(encoder, 2, None)
    return Method(BASELINE, "autoencoder + k-means", encode_with(encoder), threshold, "L2 distance in a block", _blocks)


def _blocks(originals: Floats) -> Distances:
    blocks = Blocks.fit(originals)

    def distances(queries: Floats, references: Floats) -> Floats:
        found = l2(queries, references)
        found[blocks.assign(queries)[:, None] != blocks.assign(references)] = np.inf
        return found

    return distances
