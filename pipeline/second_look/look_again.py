"""The second look at the candidate pairs of a folder: which to look at, and looking at them in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, compress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import ImageError
from twinpix.encoder.pairs import Parts
from twinpix.pipeline.index import Pairs, import_faiss, places_among_equals, select
from twinpix.pipeline.second_look.align import alignments, has_a_glimpse
from twinpix.pipeline.second_look.delicate import have_same_bytes, seems_delicate
from twinpix.pipeline.second_look.fine_print import is_printed, readable
from twinpix.pipeline.second_look.look import Look, features_only, import_cv2, lend_features, look
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.parts import parts, parts_of, worth_a_close_look
from twinpix.pipeline.second_look.remembered import CODES, OUTCOMES, UNKNOWN, Codes, Remembered, checks_of
from twinpix.pipeline.second_look.verify import Examination, at_a_glance, examine, is_plain, unaligned
from twinpix.pipeline.threads import decoding_threads

NEAR = 0.3  # L2; pairs so near are looked at closely at once
NEAREST = 120  # candidates of each picture that are looked at,
NEAREST_IN_A_CROWD, CROWD = 60, 0.8  # and of those at most so far apart (L2)
# what looks without a duplicate may count, in coarse looks: so many, or for so large a share of the pictures; and all
# pictures together, where they are so few; but no more than so many pairs (in a folder of 1,000 photos, 1.5 % of single
# edits and heavy crops lie farther apart than 5,000 other pairs)
PATIENCE, PATIENCE_SHARE, ALL_OF_THEM, LONG = 500, 0.05, 2000, 5000
# of a coarse look; what a pair counts once both pictures have had theirs (it costs a tenth of one, or half where a
# glance is not enough)
PAIR = 1 / 16
PARTS_KEPT = 10_000  # pictures, 32 kB each
LOOKS_KEPT = 96  # prepared pictures, up to 1 MB each
FEATURES_KEPT = 2000  # pictures whose local features stay in memory, 65 kB each; of a page 250 kB
KINDS_KEPT = 100_000  # pictures
PORTION = 500  # pairs, at most, between two questions whether to go on
BLOCK = 256  # pairs between two reports of progress
AT_ONCE = 16  # pairs that a thread looks at coarsely at a time: one by one they would take a third longer
# bytes; glibc keeps as much as the largest block that was freed, up to 32 MB, and maps smaller ones no more: asking the
# kernel for each page of each plane again took a third of a close look
KEPT = 31 << 20

T = TypeVar("T")


def nearest_candidates(pairs: Pairs, sure: float, most: int = NEAREST) -> Pairs:
    """The sure pairs, and of the others those among the `most` nearest of either picture; in a crowd, fewer.

    A crowd of look-alikes (one room, one product on white) would otherwise cost a look at every pair in it. A heavy
    crop lies far from its original, and many other pictures nearer to it, but not very near.
    """
    wanted = np.where(pairs[2] <= CROWD, min(most, NEAREST_IN_A_CROWD), most)
    return select(pairs, (pairs[2] <= sure) | (_rank(pairs, sure) < wanted))


def _rank(pairs: Pairs, sure: float) -> NDArray[np.intp]:
    # of each doubtful pair among those of either end, by distance: the better of the two
    i, j, distance = pairs
    doubtful = np.flatnonzero(distance > sure)
    ends = np.concatenate([i[doubtful], j[doubtful]])  # each pair as seen from either end
    others = np.concatenate([j[doubtful], i[doubtful]])
    order = np.lexsort((others, np.tile(distance[doubtful], 2), ends))
    del others  # of ten million pairs each of these columns takes 170 MB
    ends = ends[order]
    place = places_among_equals(ends)
    rank = np.full(len(i), np.iinfo(np.intp).max, np.intp)
    np.minimum.at(rank, doubtful[order % max(1, len(doubtful))], place)
    return rank


def look_again(
    pictures: Sequence[ImageLike],
    pairs: Pairs,
    workers: int | None = None,
    looking: Callable[[int, int], None] | None = None,
    far: float = np.inf,
    sure: float = -np.inf,
    examined: Callable[[tuple[int, int], Examination], None] = lambda rows, found: None,
    close: float = np.inf,
    portion: int | None = None,
    patience: int = 1,
    remembered: Remembered | None = None,
    prepared: Callable[[int], NDArray[np.uint8] | None] = lambda row: None,
    gone: Callable[[int, ImageError], None] = lambda row, error: None,
) -> tuple[Outcome | None, ...]:
    """Verify pairs of pictures.

    Args:
        pictures: n paths, or whatever else an image can be.
        pairs: rows of `pictures`; sorted by the first, files are read less often (see `in_portions`).
        workers: threads; all cores by default.
        looking: called with the number of pairs looked at so far, and of all.
        far: L2; pairs farther apart are refuted unless a glimpse, at a tenth of the cost, finds something in common.
        sure: L2; pairs at most so far apart get no second look unless their kind needs one (`is_delicate`).
        examined: called with the rows of each pair that is now confirmed or likely, and with what was found.
        close: L2; pairs farther apart are refuted if a coarse look finds nothing in common.
        portion: pairs; all of them by default.
        patience: portions without a duplicate: after so many whose pairs are all farther apart than `close`, and that
            hold none, the rest gets no look.
        remembered: outcomes of earlier looks, which stand for looks, and what new ones are added to. Those of pictures
            that could not be read are not.
        prepared: a picture as the pair model prepares it, where that is at hand: its file is not read for a coarse
            look.
        gone: called at the end with the row of each picture that could not be read, and why.

    Returns:
        One outcome for each of the first pairs, those that were looked at: `UNCLEAR` where a picture can no longer be
        read, None where no second look was needed.
    """
    rows = list(zip(*(column.tolist() for column in pairs), strict=True))
    unread: dict[int, ImageError] = {}

    def read(row: int, how: Callable[[ImageLike], T]) -> T | None:
        try:
            return how(pictures[row])
        except ImageError as error:
            unread[row] = error
            return None

    delicate = lru_cache(KINDS_KEPT)(lambda row: read(row, seems_delicate))

    @lru_cache(PARTS_KEPT)
    def coarse(row: int) -> Parts | None:
        picture = prepared(row)
        return read(row, parts) if picture is None else parts_of(picture)

    whole = lru_cache(LOOKS_KEPT)(lambda row: read(row, look))

    def differ(some: Sequence[tuple[int, int, float]]) -> list[bool]:
        sides = [(coarse(query), coarse(reference), distance) for query, reference, distance in some]
        read_ones = [(a, b, distance) for a, b, distance in sides if a is not None and b is not None]
        worth_it = iter(worth_a_close_look(read_ones))
        return [a is not None and b is not None and not next(worth_it) for a, b, _ in sides]

    aligned = set[int]()  # rows whose features are known, if not forgotten again

    @lru_cache(FEATURES_KEPT)
    def features(row: int) -> Look | None:
        one = whole(row)
        aligned.add(row)
        return None if one is None else features_only(one)

    def seen(row: int) -> Look | None:
        known, one = features(row), whole(row)
        if known is not None and one is not None:
            lend_features(one, known)
        return one

    def look_closely(pair: tuple[int, int, float], used: list[Look]) -> Examination:
        query, reference = (seen(row) if row in aligned else whole(row) for row in pair[:2])
        if query is None or reference is None:
            return Examination(Outcome.UNCLEAR)
        used += query, reference
        found = examine(query, reference, pair[2] > far)
        for row, one in ((pair[0], query), (pair[1], reference)):
            if one.has_features or one.has_little:  # kept for longer than the look; a blank scan is in many pairs
                features(row)
        return found

    def one(pair: tuple[int, int, float]) -> tuple[Examination | None, bool]:
        used = list[Look]()
        found = judge(pair, used)
        return found, not (unread.keys() & pair[:2]) and not any(look.has_failed for look in used)

    def judge(pair: tuple[int, int, float], used: list[Look]) -> Examination | None:
        if pair[2] <= sure and (
            have_same_bytes(*(pictures[row] for row in pair[:2])) or not (delicate(pair[0]) or delicate(pair[1]))
        ):
            return None
        if (pair[2] > close or pair[2] <= NEAR) and not aligned.issuperset(pair[:2]):
            return look_closely(pair, used)  # probably a copy: features are found only if it is not in place
        a, b = features(pair[0]), features(pair[1])
        if a is None or b is None:
            return Examination(Outcome.UNCLEAR)
        used += a, b
        if (found := at_a_glance(a, b)) is not None:
            return found
        if pair[2] > far and not has_a_glimpse(a, b):
            return Examination(Outcome.REFUTED)
        # most candidates can't be aligned: their tones need not be there
        outcome = None if a.has_little or b.has_little or is_plain(a, b) else _aligned_in_vain(a, b)
        if outcome is Outcome.REFUTED or (outcome is not None and not (a.is_animated or b.is_animated)):
            return Examination(outcome)
        query, reference = seen(pair[0]), seen(pair[1])
        if query is None or reference is None:
            return Examination(Outcome.UNCLEAR)
        used += query, reference
        return examine(query, reference)

    outcomes: list[Outcome | None] = []
    if not rows:
        return ()
    portion = portion or len(rows)
    tests = checks_of(pairs[2], sure, close, far)
    known = np.full(len(rows), UNKNOWN, np.uint8) if remembered is None else remembered.known(pairs, tests)
    with one_thread_each(), decoding_threads(workers, faiss_alone) as pool:
        for start, end in _blocks(len(rows), portion):
            if start % portion == 0 and were_in_vain(known[:start], pairs[2], close, patience * portion):
                break
            block, codes = rows[start:end], known[start:end]
            distant = [row for row in np.flatnonzero(codes == UNKNOWN).tolist() if block[row][2] > max(close, sure)]
            some = [[block[row] for row in distant[at : at + AT_ONCE]] for at in range(0, len(distant), AT_ONCE)]
            settled = list(compress(distant, chain.from_iterable(pool.map(differ, some))))
            codes[settled] = CODES[Outcome.REFUTED]
            new = np.flatnonzero(codes == UNKNOWN).tolist()
            for row, (found, is_settled) in zip(new, pool.map(one, [block[row] for row in new]), strict=True):
                codes[row] = CODES[None if found is None else found.outcome]
                if found is not None and found.outcome in (Outcome.CONFIRMED, Outcome.LIKELY):
                    examined(block[row][:2], found)
                if is_settled:
                    settled.append(row)
            if remembered is not None and settled:
                kept = start + np.array(sorted(settled))
                remembered.keep(select(pairs, kept), known[kept], tests[kept])
            outcomes += [OUTCOMES[code] for code in codes.tolist()]
            if looking is not None:
                looking(len(outcomes), len(rows))
    for row in sorted(unread):
        gone(row, unread[row])
    return tuple(outcomes)


def in_portions(pairs: Pairs, portion: int) -> Pairs:
    """The pairs in portions of so many, each in the order of its rows: a picture is then read less often."""
    i, j, _ = pairs
    return select(pairs, np.lexsort((j, i, np.arange(len(i)) // portion)))


def affordable(images: int) -> int:
    """How many pairs of so many pictures may be looked at without a duplicate: see `PATIENCE`."""
    looks = max(PATIENCE, PATIENCE_SHARE * images)  # a pair counts two at most, and all pairs together one a picture
    return max(int(looks / (2 + PAIR)), min(LONG, int((ALL_OF_THEM - images) / PAIR)))


def _blocks(pairs: int, portion: int) -> Iterator[tuple[int, int]]:
    for first in range(0, pairs, portion):
        last = min(pairs, first + portion)
        yield from ((start, min(last, start + BLOCK)) for start in range(first, last, BLOCK))


def were_in_vain(codes: Codes, distances: NDArray[np.float32], close: float, so_many: int) -> bool:
    """Whether the last so many pairs, all farther apart than `close` (L2), held no duplicate: then no look follows.

    Args:
        codes: of the pairs looked at so far.
        distances: of the same pairs, and perhaps of later ones.
    """
    last = slice(len(codes) - so_many, len(codes))
    if last.start < 0 or distances[last].min() <= close:
        return False
    return not np.isin(codes[last], [CODES[outcome] for outcome in (None, Outcome.CONFIRMED, Outcome.LIKELY)]).any()


def _aligned_in_vain(a: Look, b: Look) -> Outcome | None:
    # what it means that there is no alignment, or of two pages none that is worth reading them; None: there is one
    if is_printed(a, b):
        return Outcome.REFUTED if not any(True for _ in readable(a, b)) else None
    return unaligned(a, b) if next(alignments(a, b), None) is None else None


def faiss_alone() -> None:
    """For the start of a thread: FAISS's own threads, several for each of ours, would wait for one another."""
    import_faiss().omp_set_num_threads(1)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """OpenCV's own threads would fight those of the pipeline; and what is freed is kept for the next pair."""
    cv2 = import_cv2()
    np.empty(KEPT, np.uint8)  # untouched, and freed at once
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
