"""Two experiments on groups of pictures: top-3 retrieval, and which transformations of a query retrieval survives."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import ImageError, InputError, MissingPackageError
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder, Vectors
from twinpix.pipeline.bench.edit import Apply
from twinpix.pipeline.bench.geometry import crop, flip, mirror, rotate, zoom
from twinpix.pipeline.bench.levels import blur, gamma, grey, jitter, jpeg, noise, salt_and_pepper
from twinpix.pipeline.classic.compare import LeftOut
from twinpix.pipeline.classic.distances import l2
from twinpix.pipeline.classic.metrics import METRICS, Distances, choose, takes_weights
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.stream import list_files

Groups = Mapping[str, Sequence[Image.Image]]

EMBEDDING = "twinpix"  # the shipped encoder, without its second look
CONTENDERS = (*METRICS, EMBEDDING)
TOP = 3  # of the retrieval experiment
UKBENCH_TOP = 4
BATCH = 16
READ_PX = 512
TRANSFORMATIONS: dict[str, Apply] = {
    "none": lambda picture, dice: picture,
    "blur, sigma 2 px": blur(2),
    "rotation by 25°": rotate(25),
    "mirrored": mirror,
    "upside down": flip,
    "crop to 50 % of the area": crop(0.5),
    "zoom to 150 %": zoom(1.5),
    "darker (gamma 2)": gamma(2),
    "colours and light": jitter(0.3),
    "grey": grey,
    "gaussian noise, sigma 16": noise(16),
    "salt and pepper, 3 %": salt_and_pepper(0.03),
    "JPEG, quality 8": jpeg(8),
}


@dataclass(frozen=True)
class Contender:
    """A method in the experiments: `distances` as in `Metric`."""

    name: str
    encoder: Encoder
    distances: Distances


@dataclass(frozen=True)
class Retrieval:
    """Leave-one-out retrieval by one method.

    Attributes:
        method: its name.
        accuracy: share of the three nearest pictures that are of the query's group, 0..1, mean of all queries.
        by_group: the same, of each group's queries.
        ms_per_image: milliseconds, one thread, to describe a picture that is already decoded.
        us_per_pair: microseconds to compare two descriptions, all pairs at once.
    """

    method: str
    accuracy: float
    by_group: dict[str, float]
    ms_per_image: float
    us_per_pair: float

    @property
    def ms_per_pair(self) -> float:
        """Milliseconds to compare two pictures from scratch."""
        return 2 * self.ms_per_image + self.us_per_pair / 1000


@dataclass(frozen=True)
class Resilience:
    """Retrieval by one method with transformed queries, each by transformation.

    Attributes:
        method: its name.
        top1: share of queries whose nearest picture is of their own scene, 0..1.
        top4: how many of the four nearest are, mean, 0..4: UKBench's score (Nister & Stewenius 2006). The query's
            own original is among the pictures searched.
    """

    method: str
    top1: dict[str, float]
    top4: dict[str, float]


def named(text: str | None, weights: Path | None = None) -> tuple[str, ...]:
    """The names in a list with commas; all there are, without one.

    Raises:
        InputError: there is none of such a name, or weights are given but none that takes them.
    """
    names = CONTENDERS if text is None else tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    if unknown := [name for name in names if name not in CONTENDERS]:
        raise InputError(f"no metric is called {unknown[0]!r}: choose from {', '.join(CONTENDERS)}")
    if weights is not None and not any(map(takes_weights, names)):
        raise InputError("--weights are for cnn-euclidean and cnn-cosine")
    return names


def contenders(names: Sequence[str], weights: Path | None = None) -> tuple[list[Contender], list[LeftOut]]:
    """These metrics and encoders, and those whose packages are missing.

    Raises:
        ModelError: the weights can't be used.
    """
    ready, missing = [], []
    for name in names:
        try:
            ready.append(_contender(name, weights))
        except MissingPackageError as error:
            missing.append(LeftOut(name, str(error)))
    return ready, missing


def _contender(name: str, weights: Path | None) -> Contender:
    if name == EMBEDDING:
        return Contender("twinpix, embedding alone", load_encoder(), l2)
    chosen = choose(name, weights if takes_weights(name) else None)
    encoder = chosen.make()
    return Contender(encoder.name, encoder, chosen.distances)


def read_groups(folder: Path, limit: int) -> tuple[dict[str, list[Image.Image]], list[Skipped]]:
    """The pictures of each sub-folder that has two or more, `limit` of them at most, and what could not be read.

    Raises:
        InputError: no such folder, or fewer than two such sub-folders.
    """
    groups: dict[str, list[Image.Image]] = {}
    skipped: list[Skipped] = []
    for sub in sorted(path for path in _entries(folder) if path.is_dir()):
        files, unlisted = list_files([sub])
        skipped += unlisted
        pictures = list(_read(files, limit, skipped))
        if len(pictures) >= 2:
            groups[sub.name] = pictures
    if len(groups) < 2:
        raise InputError(f"{folder}: needs two sub-folders of two images or more, one sub-folder a group")
    return groups, skipped


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    return list(folder.iterdir())


def _read(files: Sequence[Path], limit: int, skipped: list[Skipped]) -> Iterator[Image.Image]:
    for path in files:
        if limit == 0:
            return
        try:
            picture = decode(path, at_least=READ_PX // 2)
        except ImageError as error:
            skipped.append(Skipped(path, error.reason, str(error)))
            continue
        picture.thumbnail((READ_PX, READ_PX), Image.Resampling.LANCZOS)
        limit -= 1
        yield picture


def retrieval(contender: Contender, groups: Groups) -> Retrieval:
    """Search for each picture among all others."""
    pictures, labels = _flat(groups)
    describe(contender, pictures[:1])  # the first call loads libraries
    begun = time.perf_counter()
    vectors = describe(contender, pictures)
    described = time.perf_counter()
    distance = contender.distances(vectors, vectors)
    compared = time.perf_counter()
    np.fill_diagonal(distance, np.inf)
    right = (labels[_nearest(distance, TOP)] == labels[:, None]).mean(1)
    return Retrieval(
        method=contender.name,
        accuracy=float(right.mean()),
        by_group={name: float(right[labels == i].mean()) for i, name in enumerate(groups)},
        ms_per_image=1e3 * (described - begun) / len(pictures),
        us_per_pair=1e6 * (compared - described) / len(pictures) ** 2,
    )


def resilience(
    contender: Contender, groups: Groups, transformations: Mapping[str, Apply] = TRANSFORMATIONS, seed: int = 0
) -> Resilience:
    """Search for the transformed first picture of each group among the unchanged pictures of all groups."""
    pictures, labels = _flat(groups)
    database = describe(contender, pictures)
    queries = [members[0] for members in groups.values()]
    top1, top4 = {}, {}
    for name, transform in transformations.items():
        # each query has its own random numbers, the same ones for every method
        edited = [transform(query, np.random.default_rng([seed, i])) for i, query in enumerate(queries)]
        distance = contender.distances(describe(contender, edited), database)
        right = labels[_nearest(distance, UKBENCH_TOP)] == np.arange(len(queries))[:, None]
        top1[name], top4[name] = float(right[:, 0].mean()), float(right.sum(1).mean())
    return Resilience(contender.name, top1, top4)


def describe(contender: Contender, pictures: Sequence[Image.Image]) -> Vectors:
    """Pictures -> float32 (n, dim), in one thread."""
    encoder = contender.encoder
    blocks = [
        encoder.encode(np.stack([encoder.prepare(picture) for picture in pictures[i : i + BATCH]]))
        for i in range(0, len(pictures), BATCH)
    ]
    return np.concatenate(blocks)


def _flat(groups: Groups) -> tuple[list[Image.Image], NDArray[np.intp]]:
    labels = np.repeat(np.arange(len(groups)), [len(members) for members in groups.values()])
    return [picture for members in groups.values() for picture in members], labels


def _nearest(distance: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    # among equally near pictures the first ones; hashes have many ties
    return np.argsort(distance, axis=1, kind="stable")[:, :count]
