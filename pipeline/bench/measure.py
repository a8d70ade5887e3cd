"""Measuring encoders and hashes with one ruler: every method gives L2 distances between images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.calibration import pairs
from twinpix.encoder.decode import decode
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.bench.edits import Edit
from twinpix.pipeline.duplicates import MAX_L2, Limits, group_duplicates, limits
from twinpix.pipeline.index import FlatIndex, Pairs, select
from twinpix.pipeline.report import Embeddings
from twinpix.pipeline.second_look import NEAREST, look_again
from twinpix.pipeline.stream import cores, list_files
from twinpix.pipeline.twins import fine_structure, one_of_each, thumbnails, twin_groups
from twinpix.pipeline.verify import Outcome

Floats = NDArray[np.float32]
READ_BLOCK = 256  # files


@dataclass(frozen=True)
class Method:
    """Something that turns a picture into a vector.

    Attributes:
        name: for the table.
        encode: RGB pictures -> float32 (n, dim).
        threshold: L2, at most this far apart is a duplicate.
    """

    name: str
    encode: Callable[[Sequence[Image.Image]], Floats]
    threshold: float


def encoder_method(encoder: OnnxEncoder, images: int) -> Method:
    """An encoder without the second look, at its default threshold for a library of `images`."""

    def encode(pictures: Sequence[Image.Image]) -> Floats:
        return encoder.encode(np.stack([encoder.prepare(picture) for picture in pictures]))

    return Method("embedding alone", encode, encoder.calibration.library_threshold(images))


def phash_method() -> Method:
    """imagehash's pHash, Hamming distance <= 10; on bits, L2 is the root of Hamming."""
    import imagehash

    def encode(pictures: Sequence[Image.Image]) -> Floats:
        return np.stack([imagehash.phash(picture).hash.ravel().astype(np.float32) for picture in pictures])

    return Method("pHash (imagehash, d<=10)", encode, 10**0.5)


def pdq_method() -> Method:
    """PDQ, Hamming distance <= 31. Needs the package pdqhash (and a C++ compiler to install it)."""
    import pdqhash

    def encode(pictures: Sequence[Image.Image]) -> Floats:
        return np.stack([pdqhash.compute(np.asarray(picture))[0].astype(np.float32) for picture in pictures])

    return Method("PDQ (d<=31)", encode, 31**0.5)


@dataclass(frozen=True)
class GroupScore:
    """How a method does on pictures with known groups.

    Attributes:
        found: source -> (pairs called duplicates, all pairs), for pairs of one picture.
        wrong: the same for pairs that show one scene or object but are different pictures.
        unrelated: (pairs called duplicates, all pairs) across groups.
    """

    found: dict[str, tuple[int, int]]
    wrong: dict[str, tuple[int, int]]
    unrelated: tuple[int, int]


Called = frozenset[frozenset[str]]


def score_groups(called: Called, names: Sequence[str], groups: Mapping[str, Mapping[str, Sequence[str]]]) -> GroupScore:
    """Count called pairs among `same`, `view` and unrelated images.

    Args:
        called: the pairs of names that a method takes for duplicates.
        names: n names as they stand in `groups`, of the images that could be read.
        groups: `same` and `view`, each group name -> image names.
    """
    known = {kind: _pairs_by_source(groups[kind], set(names)) for kind in ("same", "view")}
    counts = {k: {source: (len(called & p), len(p)) for source, p in by.items()} for k, by in known.items()}
    related = frozenset().union(*(p for by in known.values() for p in by.values()))
    unrelated = pairs(len(names)) - len(related)
    return GroupScore(counts["same"], counts["view"], (len(called - related), unrelated))


def _pairs_by_source(groups: Mapping[str, Sequence[str]], known: set[str]) -> dict[str, Called]:
    found: dict[str, Called] = {}
    for name, members in groups.items():
        source, present = name.split("/")[0], sorted(known.intersection(members))
        found[source] = found.get(source, frozenset()) | {frozenset(pair) for pair in combinations(present, 2)}
    return found


def called_by_twinpix(encoder: OnnxEncoder, folder: Path, embeddings: Embeddings, verify: bool | None = None) -> Called:
    """The pairs that `find-duplicates FOLDER` reports, as names relative to it; `embeddings` are the folder's."""
    base = folder.resolve()
    matches = group_duplicates(embeddings, encoder, verify=verify).matches
    names = ((Path(m.query), Path(m.reference)) for m in matches)
    return frozenset(frozenset(str(path.relative_to(base)) for path in pair) for pair in names)


def called_by_method(method: Method, names: Sequence[str], pictures: Sequence[Image.Image]) -> Called:
    """The pairs within the method's threshold."""
    i, j, _ = FlatIndex(_encode_all(method, pictures)).pairs(method.threshold)
    return frozenset(frozenset((names[a], names[b])) for a, b in zip(i.tolist(), j.tolist(), strict=True))


def edit_recall(
    method: Method, pictures: Sequence[Image.Image], edits: Sequence[Edit], rate: float, seed: int = 0
) -> dict[str, float]:
    """Share of edited copies that lie closer to their original than unrelated pictures lie to one another.

    Args:
        pictures: n different pictures, not trained on.
        rate: false-match rate among the originals at which the distance is set, at least 1/pairs.

    Returns:
        Edit name -> recall, 0..1.

    Raises:
        InputError: too few pictures to see a rate that small.
    """
    formed = pairs(len(pictures))
    if formed * rate < 1:
        raise InputError(f"{len(pictures)} pictures form {formed} pairs: too few to measure a rate of {rate:.0e}")
    originals = _encode_all(method, pictures)
    limit = _distance_at(originals, int(formed * rate))
    return {edit.name: _recall(method, originals, pictures, edit, limit, seed) for edit in edits}


def _recall(
    method: Method, originals: Floats, pictures: Sequence[Image.Image], edit: Edit, limit: float, seed: int
) -> float:
    copies = _encode_all(method, _edited(pictures, edit, seed))
    return float((np.linalg.norm(originals - copies, axis=1) < limit).mean())  # ties count against the method


def _edited(pictures: Sequence[Image.Image], edit: Edit, seed: int) -> list[Image.Image]:
    # each picture has its own random numbers: adding an edit or a picture moves no other result
    return [edit.apply(picture, np.random.default_rng([seed, i])) for i, picture in enumerate(pictures)]


def verified_recall(
    encoder: OnnxEncoder, pictures: Sequence[Image.Image], edits: Sequence[Edit], rate: float, seed: int = 0
) -> dict[str, float]:
    """`edit_recall` of the encoder with the second look that `find-duplicates` takes.

    Pairs are ordered by distance, refuted ones last and confirmed ones as much nearer as their threshold is wider.
    """
    method, limit = encoder_method(encoder, len(pictures)), limits(encoder, len(pictures), None, True)
    originals = _encode_all(method, pictures)
    unrelated = FlatIndex(originals).pairs(limit.candidate)
    scores = np.sort(_verified_distance(limit, pictures, unrelated))
    allowed = int(pairs(len(pictures)) * rate)
    border = float(scores[allowed]) if allowed < len(scores) else limit.unverified
    return {edit.name: _verified(method, limit, originals, pictures, edit, border, seed) for edit in edits}


def _verified(
    method: Method,
    limit: Limits,
    originals: Floats,
    pictures: Sequence[Image.Image],
    edit: Edit,
    border: float,
    seed: int,
) -> float:
    n = len(pictures)
    copies = _edited(pictures, edit, seed)
    encoded = _encode_all(method, copies)
    distance = np.linalg.norm(originals - encoded, axis=1).astype(np.float32)
    couples = np.arange(n), np.arange(n, 2 * n), distance
    near = select(couples, (distance <= limit.candidate) & _is_among_nearest(originals, encoded))
    return float((_verified_distance(limit, [*pictures, *copies], near) < border).sum() / n)


def _is_among_nearest(originals: Floats, copies: Floats) -> NDArray[np.bool_]:
    # whether a copy would be looked at beside its original: few pictures are nearer to either of them
    pair = np.einsum("kd,kd->k", originals, copies)[:, None]
    others = [(ends @ originals.T > pair).sum(1) for ends in (originals, copies)]
    return np.asarray((others[0] - 1 < NEAREST) | (others[1] < NEAREST))  # an original is nearest to itself


def _verified_distance(limit: Limits, pictures: Sequence[Image.Image], near: Pairs) -> Floats:
    # on the scale of pairs that the second look can't settle
    distance = near[2].copy()
    doubtful = distance > limit.sure
    outcomes = np.full(len(distance), Outcome.CONFIRMED, object)
    outcomes[doubtful] = look_again(pictures, select(near, doubtful))
    distance[outcomes == Outcome.CONFIRMED] *= limit.unverified / limit.candidate
    distance[outcomes == Outcome.REFUTED] = MAX_L2
    return distance


def _distance_at(vectors: Floats, allowed: int) -> float:
    # the smallest distance that would call more than `allowed` unrelated pairs duplicates, at most
    closest = np.empty(0, np.float32)
    for i in range(len(vectors) - 1):
        gap = np.linalg.norm(vectors[i + 1 :] - vectors[i], axis=1)
        closest = np.sort(np.concatenate([closest, gap]))[: allowed + 1]
    return float(closest[allowed])


def _encode_all(method: Method, pictures: Sequence[Image.Image], block: int = 64) -> Floats:
    blocks = [pictures[i : i + block] for i in range(0, len(pictures), block)]
    with ThreadPoolExecutor(cores()) as pool:
        return np.concatenate(list(pool.map(method.encode, blocks)))


def without_twins(pictures: list[Image.Image]) -> list[Image.Image]:
    """One picture of each group of near twins."""
    if not pictures:
        return []
    return [pictures[i] for i in one_of_each(twin_groups(fine_structure(thumbnails(pictures)))).tolist()]


def load_folder(folder: Path, limit: int | None = None, px: int = 512) -> tuple[list[str], list[Image.Image]]:
    """Names (relative) and RGB pictures (longer side at most `px`) of a folder, unreadable files left out."""
    files, _ = list_files([folder])

    def read(path: Path) -> tuple[str, Image.Image] | None:
        try:
            picture = decode(path, at_least=px)
        except ImageError:
            return None
        picture.thumbnail((px, px), Image.Resampling.LANCZOS)
        return str(path.relative_to(folder.resolve())), picture

    rows: list[tuple[str, Image.Image]] = []
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(files), READ_BLOCK):  # a large folder is read only as far as `limit` needs
            if limit is not None and len(rows) >= limit:
                break
            rows += [row for row in pool.map(read, files[start : start + READ_BLOCK]) if row is not None]
    return [name for name, _ in rows[:limit]], [picture for _, picture in rows[:limit]]
