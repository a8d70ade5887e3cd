"""The third stage: second looks at candidate pairs, and what the members of groups are to their representatives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.relation.kinds import Relation
from twinpix.pipeline.relation.pairs import relations_of
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.places import at_hand
from twinpix.pipeline.scan.shard import Place
from twinpix.pipeline.second_look.look_again import look_again
from twinpix.pipeline.second_look.remembered import CODES, UNKNOWN, Codes

GONE = "gone"  # what is written beside the codes: places of pictures that could not be read any more, and why

Settled = set[tuple[int, int]]


class _Noted:
    """Which looks would come out the same again: a `Remembered` that knows nothing yet."""

    def __init__(self) -> None:
        self.settled: Settled = set()

    def known(self, pairs: Pairs, tests: Codes) -> Codes:
        return np.full(len(tests), UNKNOWN, np.uint8)

    def keep(self, pairs: Pairs, codes: Codes, tests: Codes) -> None:
        self.settled.update(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))


def look_at(places: Sequence[Place], pairs: Pairs, far: float, sure: float, close: float, target: str) -> None:
    """Second looks at some pairs, a code of `remembered.OUTCOMES` each.

    Args:
        places: where the pictures lie.
        pairs: rows of `places`, and L2.
        far, sure, close: L2, as of `look_again`.
    """
    noted, gone = _Noted(), dict[int, ImageError]()
    with at_hand(places) as paths:
        outcomes = look_again(paths, pairs, 1, far=far, sure=sure, close=close, remembered=noted, gone=gone.__setitem__)
    unsettled = len(noted.settled) < len(set(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True)))
    codes = np.array([CODES[outcome] for outcome in outcomes], np.uint8)
    reasons = json.dumps({row: error.reason for row, error in gone.items()})
    store.write(target, {"outcome": codes}, {store.PASSING: "1", GONE: reasons} if unsettled else None)


def read_looks(file: str) -> tuple[Codes, dict[int, str]]:
    """What `look_at` wrote: the codes, and the rows of pictures that could not be read any more, with the reason."""
    table = store.read(file)  # with what is written beside it: a store need not be asked twice
    codes: Codes = table.column("outcome").to_numpy().astype(np.uint8)
    reasons = json.loads((table.schema.metadata or {}).get(GONE.encode(), b"{}"))
    return codes, {int(row): reason for row, reason in reasons.items()}


def relate(places: Sequence[Place], pairs: Sequence[tuple[int, int, bool]], target: str) -> None:
    """What pictures are to one another.

    Args:
        places: where they lie.
        pairs: rows of `places`, the first as the query, and whether the second look saw them the other way round.
    """
    with at_hand(places) as paths:
        named = [(paths[one], paths[other]) for one, other, _ in pairs]
        turned = {pair[::-1]: None for pair, (*_, is_turned) in zip(named, pairs, strict=True) if is_turned}
        relations = relations_of(named, 1, turned)
    told = [None if relation is None else relation.to_json() for relation in relations]
    store.write(target, {"relation": _texts(told)}, {store.PASSING: "1"} if None in told else None)


def read_relations(file: str) -> list[Relation | None]:
    """What `relate` wrote."""
    return [None if told is None else Relation.from_json(told) for (told,) in store.rows(store.read(file))]


def _texts(told: Sequence[str | None]) -> Any:
    from twinpix.pipeline.save import import_pyarrow

    arrow, _ = import_pyarrow()
    return arrow.array(told, arrow.string())
