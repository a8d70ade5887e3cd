"""The main job: which images of these folders, or which two images, show the same picture?"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.calibration.alikeness import alikeness
from twinpix.pipeline.calibration.calibrate import one_of_each_pair
from twinpix.pipeline.calibration.calibrations import in_force, is_calibrated
from twinpix.pipeline.candidates import Candidates
from twinpix.pipeline.copies import Rows, crowds, marks_of
from twinpix.pipeline.decisions import Decisions, read_decisions
from twinpix.pipeline.index import IndexUsed, Pairs, by_distance, select
from twinpix.pipeline.index.near import candidate_pairs as nearest_pairs
from twinpix.pipeline.index.policy import build_index, kind_for
from twinpix.pipeline.keeping import keeping, kept_by
from twinpix.pipeline.limits import Limits, check_thorough, check_threshold, limits, takes_second_look
from twinpix.pipeline.relation.pairs import with_relations
from twinpix.pipeline.report import Embeddings, Match, Report, Skipped, label
from twinpix.pipeline.second_look.delicate import glance_at, have_same_bytes, need_a_look
from twinpix.pipeline.second_look.look import look
from twinpix.pipeline.second_look.look_again import (
    NEAREST,
    PORTION,
    affordable,
    in_portions,
    look_again,
    nearest_candidates,
)
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import Examination
from twinpix.pipeline.second_look.verify import verify as second_look
from twinpix.pipeline.stream import Chunk, Memory, encode_images, encoder_for
from twinpix.pipeline.threads import sharing_decoders

NONE = np.empty(0, np.intp)


def compare(
    query: ImageLike,
    reference: ImageLike,
    threshold: float | None = None,
    encoder: Encoder | None = None,
    verify: bool | None = None,
    animated_with_stills: bool = False,
) -> Match:
    """Are these two images the same picture, edited?

    Args:
        query, reference: path, bytes of a file, Pillow image or uint8 array (height, width[, 1|3|4]).
        threshold: L2, 0..2; by default a calibrated one, with a second look at pairs within it.
        encoder: the shipped one by default.
        verify: whether to take a second look; by default only without a threshold of your own.
        animated_with_stills: whether an animated image may be a duplicate of a still one that looks like its first
            frame; by default it is not.

    Raises:
        ImageError: one of them can't be used.
        InputError: the threshold lies outside 0..2.
    """
    encoder = encoder or load_encoder()
    limit = replace(limits(encoder, 2, threshold, verify), animated_with_stills=animated_with_stills)
    a, b = encoder.encode(np.stack([encoder.prepare(image) for image in (query, reference)]))
    distance = float(np.linalg.norm(a - b))
    wanted = limit.sure < limit.candidate and distance <= limit.candidate
    if distance <= limit.sure and wanted:
        wanted = not have_same_bytes(query, reference) and need_a_look(glance_at(query), glance_at(reference))
    outcome = second_look(look(query), look(reference), distance > limit.far) if wanted else None
    accepted = limit.accept(distance, outcome)
    return Match(label(query), label(reference), distance, limit.candidate, accepted, outcome, limit.unverified)


def find_duplicates(
    *roots: str | os.PathLike[str],
    threshold: float | None = None,
    encoder: Encoder | None = None,
    workers: int | None = None,
    progress: Callable[[Chunk, int], None] | None = None,
    verify: bool | None = None,
    looking: Callable[[int, int], None] | None = None,
    where: str | None = None,
    false_pairs: float | None = None,
    library: Memory | None = None,
    index: str | None = None,
    animated_with_stills: bool = False,
    thorough: bool = False,
) -> Report:
    """Find the images under these folders that show the same picture.

    Args:
        roots: folders, searched through and through, or single files.
        threshold: L2, 0..2; by default it follows from the number of images, with a second look at pairs
            within it: about one false pair in all.
        encoder: by default that of the library, or the shipped one.
        workers: threads; all cores by default.
        progress: called with each finished chunk and the number of all files.
        verify: whether to take a second look; by default only without a threshold of your own.
        looking: called with the number of pairs looked at so far, and of all.
        where: only files that this filter accepts (`twinpix.pipeline.explore.where`).
        false_pairs: about how many false pairs to accept among all images, above 0; 1 by default.
        library: as in `encode_images`, and what it knows is not looked at again: by default nothing is remembered.
        index: `exact`, `ivf`, `ivf-sq8` or `ivf-rabitq`; by default it follows from the number of images.
        animated_with_stills: whether an animated image may be a duplicate of a still one that looks like its first
            frame; by default it is not.
        thorough: whether all candidate pairs get a close look; by default a coarse one comes first, and they are looked
            at, nearest first, only as long as that finds duplicates every now and then.

    Raises:
        InputError: no folder given, or one is not there, the threshold lies outside 0..2, there are both a threshold
            and `false_pairs`, or `thorough` and no second look, the filter can't be understood, or there is no such
            index.
        LibraryError: the library can't be written; LibraryBusyError: another process is writing to it.
    """
    if not roots:
        raise InputError("name at least one folder")
    if threshold is not None:
        check_threshold(threshold)
    check_thorough(thorough, threshold, verify)
    encoder = encoder_for(encoder, library)
    # where no threshold is known, it ends here, not after hours of encoding
    limits(encoder, 2, threshold, verify, false_pairs)
    kind_for(2, index)
    encoder = keeping(encoder, threshold, verify)
    with sharing_decoders():
        embeddings = encode_images(
            *roots, encoder=encoder, workers=workers, progress=progress, where=where, library=library
        )
        return group_duplicates(
            embeddings, encoder, threshold, workers, verify, looking, false_pairs, index,
            animated_with_stills=animated_with_stills, thorough=thorough, library=library,
        )  # fmt: skip


def group_duplicates(
    embeddings: Embeddings,
    encoder: Encoder,
    threshold: float | None = None,
    workers: int | None = None,
    verify: bool | None = None,
    looking: Callable[[int, int], None] | None = None,
    false_pairs: float | None = None,
    index: str | None = None,
    decisions: Decisions | None = None,
    animated_with_stills: bool = False,
    thorough: bool = False,
    library: Memory | None = None,
) -> Report:
    """Pairs and groups of images that are already embedded. Arguments as in `find_duplicates`.

    The second look reads the files again, from `embeddings.paths`, and once more those of groups: it says what each
    member is to the group's representative.

    Args:
        decisions: pairs to leave out, because a person called them different; the user's by default.
        library: remembers second looks at files that it knows, and their relations; no fault of it raises here.

    Raises:
        FingerprintError: the embeddings are another encoder's.
        InputError: the threshold lies outside 0..2, or no second look is taken that could be `thorough`.
    """
    examined: dict[tuple[int, int], Examination] = {}
    candidates = candidate_pairs(
        embeddings, encoder, threshold, workers, verify, looking, false_pairs, index, decisions, animated_with_stills,
        examined.__setitem__, thorough, library,
    )  # fmt: skip
    report = candidates.report()
    if not takes_second_look(threshold, verify):
        return report
    known = {(embeddings.paths[i], embeddings.paths[j]): examined.get((i, j)) for i, j in candidates.copies}
    grouped = [path for group in report.groups for path in group.files]
    with nullcontext() if library is None or not grouped else library.relations(grouped) as remembered:
        return replace(report, groups=with_relations(report.groups, workers, known, remembered))


def candidate_pairs(
    embeddings: Embeddings,
    encoder: Encoder,
    threshold: float | None = None,
    workers: int | None = None,
    verify: bool | None = None,
    looking: Callable[[int, int], None] | None = None,
    false_pairs: float | None = None,
    index: str | None = None,
    decisions: Decisions | None = None,
    animated_with_stills: bool = False,
    examined: Callable[[tuple[int, int], Examination], None] = lambda rows, found: None,
    thorough: bool = False,
    library: Memory | None = None,
) -> Candidates:
    """The pairs that may be duplicates, looked at: what `group_duplicates` groups. Arguments and errors are its own.

    Args:
        examined: as in `look_again`.
    """
    embeddings.check_same_encoder(encoder.fingerprint)
    check_thorough(thorough, threshold, verify)
    paths, n = embeddings.paths, len(embeddings.paths)
    limit = limits(encoder, n, threshold, verify, false_pairs)
    limit = replace(limit, animated_with_stills=animated_with_stills)
    decisions = read_decisions() if decisions is None else decisions
    copies = crowds(paths, marks_of(embeddings.vectors), decisions.contents)
    candidates, used = find_candidates(embeddings, limit, index, copies.left)
    seen: Sequence[Outcome | None] | None = None
    gone: dict[int, ImageError] = {}
    if limit.sure < limit.candidate:
        portion, patience, close = look_portions(n, len(candidates[0]), limit, thorough)
        candidates = in_portions(candidates, portion)
        with nullcontext() if library is None else library.looks(paths) as remembered:
            seen = look_again(
                paths, candidates, workers, looking, limit.far, limit.sure, examined, close, portion, patience,
                remembered, kept_by(encoder, embeddings), gone.__setitem__,
            )  # fmt: skip
    candidates, seen = without_rows(*copies.join(candidates, seen), gone)
    unread = (Skipped(paths[row], error.reason, str(error)) for row, error in gone.items())
    embeddings = replace(embeddings, skipped=(*embeddings.skipped, *unread))
    return settle(
        embeddings, encoder, limit, candidates, seen, used, threshold, false_pairs, decisions,
        partial(alikeness, embeddings.vectors),
    )  # fmt: skip


def without_rows(
    pairs: Pairs, seen: Sequence[Outcome | None] | None, rows: Collection[int]
) -> tuple[Pairs, Sequence[Outcome | None] | None]:
    """The pairs without those of any of these rows; and what was seen of the first of them.

    What was embedded, and then could not be read any more, is no duplicate that anybody should act on.
    """
    if not rows:
        return pairs, seen
    first, second = (np.isin(end, list(rows)) for end in pairs[:2])
    kept = ~(first | second)
    left = None if seen is None else list(compress(seen, kept.tolist()))
    return select(pairs, kept), left


def look_portions(images: int, pairs: int, limit: Limits, thorough: bool) -> tuple[int, int, float]:
    """How looks end: after so many portions of so many pairs without a duplicate.

    Returns:
        portion: pairs.
        patience: portions.
        close: L2; pairs farther apart get a coarse look first.
    """
    if thorough:
        return max(1, pairs), 1, np.inf
    most = affordable(images)
    patience = -(-most // PORTION)
    return most // patience, patience, limit.unverified


def settle(
    embeddings: Embeddings,
    encoder: Encoder,
    limit: Limits,
    candidates: Pairs,
    seen: Sequence[Outcome | None] | None,
    used: IndexUsed,
    threshold: float | None,
    false_pairs: float | None,
    decisions: Decisions,
    how_alike: Callable[[Calibration, NDArray[np.intp]], float],
) -> Candidates:
    """What follows from the looks at candidate pairs.

    Args:
        embeddings: n images; their vectors are not asked for.
        limit: of `limits`.
        seen: outcomes of the first pairs; the others got no look. None: no look was wanted.
        how_alike: `alikeness` of these rows, by this calibration.
    """
    outcomes, unseen, n = np.full(len(candidates[0]), None, object), 0, len(embeddings.paths)
    if seen is not None:
        unseen = len(outcomes) - len(seen)
        candidates, outcomes = select(candidates, slice(len(seen))), np.array([*seen, None], object)[:-1]
    known, raised, clamped = in_force(encoder) if is_calibrated(encoder) else None, 1.0, False
    if known is not None and threshold is None:
        duplicates = select(candidates, limit.accepted(candidates, outcomes))
        raised = how_alike(known.calibration, one_of_each_pair(np.arange(n), duplicates))
        stricter = known.calibration.raised(max(1.0, raised))  # unusually different pictures loosen nothing
        limit, clamped = limit.at_most(stricter, n, false_pairs), stricter.is_clamped(n, false_pairs)
    curve = None if known is None else known.calibration.raised(raised)
    return Candidates(
        paths=embeddings.paths,
        pairs=candidates,
        outcomes=outcomes,
        limit=limit,
        skipped=embeddings.skipped,
        fingerprint=encoder.fingerprint,
        curve=curve,
        clamped=clamped,
        calibrated_on="" if known is None else str(known),
        index=used,
        unseen=unseen,
        alikeness=raised,
        decisions=decisions,
    )


def find_candidates(
    embeddings: Embeddings, limit: Limits, index: str | None = None, left: Rows = NONE
) -> tuple[Pairs, IndexUsed]:
    """The pairs worth a second look, or sure without one, nearest first; and how they were looked for.

    Args:
        index: as in `find_duplicates`.
        left: rows, ascending, that are not compared.
    """
    vectors, most = embeddings.vectors, most_wanted(limit)
    kept = np.delete(np.arange(len(vectors)), left)
    vectors = vectors[kept] if len(left) else vectors
    by_name, rank = ranked([str(embeddings.paths[row]) for row in kept.tolist()])
    built, used = build_index(vectors, limit.candidate, most, index, by_name)
    ends: list[int] = []
    near = nearest_pairs(vectors, built, limit.candidate, limit.sure, most, rank, within=ends.append)
    found = nearest_first(near, limit, rank)
    return (kept[found[0]], kept[found[1]], found[2]), replace(used, unlisted=unlisted(sum(ends), len(near[0])))


def unlisted(ends: int, pairs: int) -> int:
    """How many pairs with so many ends in all are not among so many pairs; an index may miss one end."""
    return max(0, ends // 2 - pairs)


def most_wanted(limit: Limits) -> int:
    """How many candidates of each image are wanted beyond the sure ones; 0: all."""
    return 0 if limit.sure >= limit.candidate else NEAREST


def ranked(names: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of n names in alphabetical order, and each one's place in it, int (n,) both.

    Which of two equally near images counts as nearer then does not depend on the order of the folders.
    """
    by_name = np.argsort(np.array(names, object), kind="stable")
    rank = np.empty(len(names), np.intp)
    rank[by_name] = np.arange(len(names))
    return by_name, rank


def nearest_first(found: Pairs, limit: Limits, rank: NDArray[np.intp]) -> Pairs:
    """Of pairs within reach, those that get a second look or need none, nearest first; all, where none is taken.

    The first of each pair by name is its query: what a look says then does not depend on the order of the folders.
    """
    if not most_wanted(limit):
        return found
    i, j, distance = nearest_candidates(found, limit.sure)
    turned = rank[i] > rank[j]
    i, j = np.where(turned, j, i), np.where(turned, i, j)
    return select((i, j, distance), by_distance(np.zeros_like(i), distance, rank[i] * len(rank) + rank[j]))
