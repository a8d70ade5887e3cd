"""The measurement: every edited copy is made once, and every method sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from twinpix.pipeline.bench.edits import Apply, Edit, edit_one, random_chain, single_edits
from twinpix.pipeline.bench.folder import Pictures
from twinpix.pipeline.bench.method import Contestant, Floats, Method, Rows, Unrelated
from twinpix.pipeline.bench.ordered import Ordered
from twinpix.pipeline.bench.ranking import NO_MATCH, average_precision, recall_at_1
from twinpix.pipeline.bench.split import draw
from twinpix.pipeline.threads import cores

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Scores:
    """What one method gave.

    Attributes:
        contestant: the method.
        unrelated: its scores among the originals.
        by_edit: edit name -> float32 (q,), each copy against its original.
        average_precision, recall_at_1: on the DISC-like set, 0..1.
    """

    contestant: Contestant
    unrelated: Unrelated
    by_edit: dict[str, Floats]
    average_precision: float
    recall_at_1: float


@dataclass(frozen=True)
class Spread:
    """The scores that a method gave, for the histograms.

    Attributes:
        same: float32, of copies with their originals, or of pairs of one picture; infinite where it never compares.
        different: of different pictures: all that are finite.
    """

    same: Floats
    different: Ordered


def measure(
    contestants: Sequence[Contestant], pictures: Pictures, edits: Sequence[Edit], tell: Tell = lambda text: None
) -> list[Scores]:
    """Scores of all methods: among the originals, for every edit, and on the DISC-like set.

    Args:
        tell: called with what is being done, for people.
    """
    unrelated = []
    for contestant in contestants:
        tell(f"pairs of different pictures: {contestant.name}")
        unrelated.append(contestant.unrelated())
    by_edit: list[dict[str, Floats]] = [{} for _ in contestants]
    for edit in edits:
        tell(f"edit: {edit.name}")
        copies = edited(pictures, pictures.queries, edit.apply)
        vectors = _encode(contestants, copies)
        for contestant, scores in zip(contestants, by_edit, strict=True):
            scores[edit.name] = contestant.to_own(pictures.queries, copies, vectors[contestant.method.key])
    tell("chains of edits, most without a match")
    ranked = _rank(contestants, pictures)
    rows = zip(contestants, unrelated, by_edit, ranked, strict=True)
    return [Scores(contestant, pairs, scores, *numbers) for contestant, pairs, scores, numbers in rows]


def edited(pictures: Pictures, rows: Rows, apply: Apply) -> list[Image.Image]:
    """Copies of the originals `rows`."""

    def one(row: int) -> Image.Image:
        return edit_one(pictures.originals[row], apply, draw(pictures.names[row]))

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(one, rows.tolist()))


def _encode(contestants: Iterable[Contestant], copies: Sequence[Image.Image]) -> dict[str, Floats]:
    methods: dict[str, Method] = {contestant.method.key: contestant.method for contestant in contestants}
    return {key: method.encode_all(copies) for key, method in methods.items()}


def _rank(contestants: Sequence[Contestant], pictures: Pictures) -> list[tuple[float, float]]:
    references = pictures.references
    rows = np.concatenate([pictures.matched, pictures.absent])
    queries = edited(pictures, rows, random_chain(single_edits(pictures.pasted)))
    place = {row: k for k, row in enumerate(references.tolist())}
    match = np.array([place.get(row, NO_MATCH) for row in rows.tolist()], np.intp)
    vectors = _encode(contestants, queries)
    found = []
    for contestant in contestants:
        scores = contestant.to_many(queries, vectors[contestant.method.key], references)
        found.append((average_precision(scores, match), recall_at_1(scores, match)))
    return found
