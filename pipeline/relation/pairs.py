"""The relation of two pictures, and of all members of groups: files are read as seldom as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.relation.facts import facts_of, have_same_pixels
from twinpix.pipeline.relation.kinds import Facts, Kind, Relation
from twinpix.pipeline.relation.relate import is_in_order, relate
from twinpix.pipeline.relation.remembered import PathPair, RememberedRelations, way_of
from twinpix.pipeline.report import Group
from twinpix.pipeline.second_look.delicate import have_same_bytes
from twinpix.pipeline.second_look.look import Look, look
from twinpix.pipeline.second_look.look_again import faiss_alone, one_thread_each
from twinpix.pipeline.second_look.verify import Examination, examine
from twinpix.pipeline.threads import decoding_threads

LOOKS_KEPT = 64  # as in `look_again`
SAME_LEVELS = 1.0  # mean gap of the small colours from which it is worth decoding both pictures whole


def relation_of(query: ImageLike, reference: ImageLike) -> Relation:
    """What two pictures are to one another.

    Args:
        query, reference: path, bytes of a file, Pillow image or uint8 array (height, width[, 1|3|4]).

    Raises:
        ImageError: one of them can't be used.
    """
    if have_same_bytes(query, reference):
        return Relation(Kind.IDENTICAL_FILE, facts=(facts_of(query), facts_of(reference)))
    looks = look(query), look(reference)
    return relation_of_looks(query, reference, looks, examine_either_way(query, reference, looks))


def examine_either_way(query: ImageLike, reference: ImageLike, looks: tuple[Look, Look]) -> Examination:
    """`examine`, which may find another alignment the other way round, from the same side whichever comes first.

    Raises:
        ImageError: a header can't be read (any more).
    """
    facts = facts_of(query), facts_of(reference)
    return examine(*looks) if is_in_order(looks, facts) else examine(*looks[::-1]).swapped


def relation_of_looks(query: ImageLike, reference: ImageLike, looks: tuple[Look, Look], seen: Examination) -> Relation:
    """The same for two pictures that are not the same bytes, once there are looks and an examination of them.

    Raises:
        ImageError: a header can't be read (any more).
    """
    facts = facts_of(query), facts_of(reference)
    relation = relate(*looks, seen, facts)
    if _may_be_identical(relation, facts, looks) and have_same_pixels(query, reference):
        return Relation(Kind.IDENTICAL_PIXELS, relation.original, facts=facts)
    return relation


def _may_be_identical(relation: Relation, facts: tuple[Facts, Facts], looks: tuple[Look, Look]) -> bool:
    one, other = facts
    if relation.kind not in (Kind.RE_ENCODED, Kind.TOO_LITTLE):
        return False
    if (one.width, one.height) != (other.width, other.height) or not (one.is_all_compared and other.is_all_compared):
        return False
    a, b = (look.small_colours.astype(np.float32) for look in looks)
    return bool(np.abs(a - b).mean() <= SAME_LEVELS)


def with_relations(
    groups: Sequence[Group],
    workers: int | None = None,
    examined: Mapping[PathPair, Examination | None] = MappingProxyType({}),
    remembered: RememberedRelations | None = None,
) -> tuple[Group, ...]:
    """The groups, each member with its relation to the representative; None where either can't be read any more.

    Args:
        workers: threads; all cores by default.
        examined: what is known of some pairs, either way round, so that they need not be examined again; None: only
            which way round that was. The other way may find another alignment.
        remembered: relations that were found before, and what new ones are added to.
    """
    if not groups:
        return ()
    pairs = [(group.files[0], path) for group in groups for path in group.files[1:]]
    relations = iter(relations_of(pairs, workers, examined, remembered))
    return tuple(replace(group, relations=tuple(islice(relations, len(group.files) - 1))) for group in groups)


def relations_of(
    pairs: Sequence[PathPair],
    workers: int | None = None,
    examined: Mapping[PathPair, Examination | None] = MappingProxyType({}),
    remembered: RememberedRelations | None = None,
) -> tuple[Relation | None, ...]:
    """What the two of each pair are to one another, the first as the query. Arguments as of `with_relations`."""

    @lru_cache(LOOKS_KEPT)
    def seen(path: Path) -> Look:
        return look(path)

    def examination(pair: PathPair, looks: tuple[Look, Look]) -> Examination:
        if pair[::-1] in examined:
            return (examined[pair[::-1]] or examine(*looks[::-1])).swapped
        return examined.get(pair) or (examine(*looks) if pair in examined else examine_either_way(*pair, looks))

    def one(pair: PathPair) -> Relation | None:
        try:
            if have_same_bytes(*pair):
                return Relation(Kind.IDENTICAL_FILE)
            looks = seen(pair[0]), seen(pair[1])
            return relation_of_looks(*pair, looks, examination(pair, looks))
        except ImageError:
            return None

    ways = [way_of(pair, examined) for pair in pairs]
    said = [None if remembered is None else remembered.known(*asked) for asked in zip(pairs, ways, strict=True)]
    new = [row for row, known in enumerate(said) if known is None]
    with one_thread_each(), decoding_threads(workers, faiss_alone) as pool:
        for row, found in zip(new, pool.map(one, [pairs[row] for row in new]), strict=True):
            said[row] = found
            if remembered is not None and found is not None:
                remembered.keep(pairs[row], ways[row], found)
    return tuple(said)
