"""The second look at the candidate pairs of a folder: which to look at, and looking at them in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, compress

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.index import Pairs, by_distance, import_faiss, places_among_equals, select
from twinpix.pipeline.second_look.eye import Eye
from twinpix.pipeline.second_look.look import import_cv2
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.remembered import CODES, OUTCOMES, UNKNOWN, Codes, Remembered, checks_of
from twinpix.pipeline.second_look.verify import Examination
from twinpix.pipeline.threads import decoding_threads

NEAREST = 120  # candidates of each picture that are looked at,
NEAREST_IN_A_CROWD, CROWD = 60, 0.8  # and of those at most so far apart (L2)
# what looks without a duplicate may count, in coarse looks: so many, or for so large a share of the pictures; and all
# pictures together, where they are so few; but no more than so many pairs (in a folder of 1,000 photos, 1.5 % of single
# edits and heavy crops lie farther apart than 5,000 other pairs)
PATIENCE, PATIENCE_SHARE, ALL_OF_THEM, LONG = 500, 0.05, 2000, 5000
# of a coarse look; what a pair counts once both pictures have had theirs (it costs a tenth of one, or half where a
# glance is not enough)
PAIR = 1 / 16
PORTION = 500  # pairs, at most, between two questions whether to go on
BLOCK = 256  # pairs between two reports of progress
AT_ONCE = 16  # pairs that a thread looks at coarsely at a time: one by one they would take a third longer
# bytes; glibc keeps as much as the largest block that was freed, up to 32 MB, and maps smaller ones no more: asking the
# kernel for each page of each plane again took a third of a close look
KEPT = 31 << 20


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
    order = by_distance(ends, np.tile(distance[doubtful], 2), others)
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
        far, sure, close, prepared: see `Eye`.
        examined: called with the rows of each pair that is now confirmed or likely, and with what was found.
        portion: pairs; all of them by default.
        patience: portions without a duplicate: after so many whose pairs are all farther apart than `close`, and that
            hold none, the rest gets no look.
        remembered: outcomes of earlier looks, which stand for looks, and what new ones are added to. Those of pictures
            that could not be read are not.
        gone: called at the end with the row of each picture that could not be read, and why.

    Returns:
        One outcome for each of the first pairs, those that were looked at: `UNCLEAR` where a picture can no longer be
        read, None where no second look was needed.
    """
    rows = list(zip(*(column.tolist() for column in pairs), strict=True))
    if not rows:
        return ()
    portion, eye, done = portion or len(rows), Eye(pictures, sure, close, far, prepared), 0
    tests = checks_of(pairs[2], sure, close, far)
    codes = np.full(len(rows), UNKNOWN, np.uint8) if remembered is None else remembered.known(pairs, tests)

    def is_over(row: int) -> bool:
        # what is not known yet counts as no duplicate
        return row % portion == 0 and were_in_vain(codes[:row], pairs[2], close, patience * portion)

    def begin(start: int, end: int) -> Iterator[int]:
        # coarse looks, at once; and the rows that they refute, when those are asked for
        distant = [row for row in range(start, end) if codes[row] == UNKNOWN and rows[row][2] > max(close, sure)]
        some = [[rows[row] for row in distant[at : at + AT_ONCE]] for at in range(0, len(distant), AT_ONCE)]
        return compress(distant, chain.from_iterable(pool.map(eye.differ, some)))

    def finish(new: Sequence[int], found: Iterable[tuple[Examination | None, bool]]) -> Iterator[int]:
        # the rows whose outcomes may be remembered
        for row, (examination, is_settled) in zip(new, found, strict=True):
            codes[row] = CODES[None if examination is None else examination.outcome]
            if examination is not None and examination.outcome in (Outcome.CONFIRMED, Outcome.LIKELY):
                examined(rows[row][:2], examination)
            if is_settled:
                yield row

    with one_thread_each(), decoding_threads(workers, faiss_alone) as pool:
        blocks, ahead = list(_blocks(len(rows), portion)), None
        for (start, done), following in zip(blocks, [*blocks[1:], None], strict=True):
            refuted = list(ahead or begin(start, done))
            codes[refuted] = CODES[Outcome.REFUTED]
            new = (start + np.flatnonzero(codes[start:done] == UNKNOWN)).tolist()
            found = pool.map(eye.look_at, [rows[row] for row in new])
            # where it is certain already that looks go on, no thread waits for the last of these
            ahead = None if following is None or is_over(following[0]) else begin(*following)
            settled = sorted([*refuted, *finish(new, found)])
            if remembered is not None and settled:
                remembered.keep(select(pairs, np.array(settled)), codes[settled], tests[settled])
            if looking is not None:
                looking(done, len(rows))
            if is_over(done):
                break
    for row in sorted(eye.unread):
        gone(row, eye.unread[row])
    return tuple(OUTCOMES[code] for code in codes[:done].tolist())


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
