"""Outcomes of earlier looks stand for looks: with them, everything is as it would be without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.bench.edits import jpeg, zoom
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.second_look import eye, look, look_again
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.remembered import (
    COARSE,
    CODES,
    GLIMPSE,
    OUTCOMES,
    SURE,
    UNKNOWN,
    Codes,
    checks_of,
    still_holds,
)

Paint = Callable[..., Image.Image]
Rows = list[tuple[int, int, float]]
EVERY, REAL = [*range(8)], {SURE, 0, COARSE, GLIMPSE, COARSE | GLIMPSE}  # combinations of tests, and those that occur


@dataclass
class Notes:
    """A memory of pairs by their rows.

    Attributes:
        entries: codes by rows and tests.
        asked: how many pairs were asked for and not known.
    """

    entries: dict[tuple[int, int, int], int] = field(default_factory=dict)
    asked: int = 0

    def known(self, pairs: Pairs, tests: Codes) -> Codes:
        """By the rule of `still_holds`."""
        codes = np.full(len(tests), UNKNOWN, np.uint8)
        for (i, j, before), code in self.entries.items():
            same = (pairs[0] == i) & (pairs[1] == j) & still_holds(np.full(len(tests), code, np.uint8), before, tests)
            codes[same] = code
        self.asked = int((codes == UNKNOWN).sum())
        return codes

    def keep(self, pairs: Pairs, codes: Codes, tests: Codes) -> None:
        """All of them."""
        for i, j, code, test in zip(*pairs[:2], codes, tests, strict=True):
            assert code != UNKNOWN
            self.entries[int(i), int(j), int(test)] = int(code)


def as_pairs(rows: Rows) -> Pairs:
    i, j, distance = zip(*rows, strict=True)
    return np.array(i, np.intp), np.array(j, np.intp), np.array(distance, np.float32)


def test_an_outcome_holds_exactly_where_a_look_would_come_to_the_same() -> None:
    def looked(tests: int, kind: tuple[bool, bool, bool, Outcome]) -> Outcome | None:
        delicate, coarse, glimpse, closest = kind
        if tests & SURE and not delicate:
            return None
        refuted = (tests & COARSE and not coarse) or (tests & GLIMPSE and not glimpse)
        return Outcome.REFUTED if refuted else closest

    kinds = list(product((True, False), (True, False), (True, False), Outcome))
    for before, now in product(EVERY, EVERY):
        for found in OUTCOMES:
            possible = [kind for kind in kinds if looked(before, kind) is found]
            would_be = {looked(now, kind) for kind in possible}
            (holds,) = still_holds(np.array([CODES[found]], np.uint8), before, np.array([now], np.uint8)).tolist()
            assert not holds or would_be == {found}, (before, now, found)
            if possible and {before, now} <= REAL:
                assert holds == (would_be == {found}), (before, now, found)


def test_tests_follow_from_the_distance() -> None:
    distances = np.array([0.04, 0.041, 0.5, 0.51, 0.9, 0.91], np.float32)
    found = checks_of(distances, float(distances[0]), 0.5, float(distances[4])).tolist()
    assert found == [SURE, 0, 0, COARSE, COARSE, COARSE | GLIMPSE]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> list[Path]:
    """0 to 3 different ones; 4 is 0 zoomed, 5 is 1 as JPEG, 6 blank, 7 not there, 8 no picture."""
    folder, dice = tmp_path_factory.mktemp("shelf"), np.random.default_rng(0)
    pictures = [paint(seed, 240, 180, 40) for seed in range(4)]
    pictures += [zoom(1.25)(pictures[0], dice), jpeg(60)(pictures[1], dice), Image.new("RGB", (240, 180), "teal")]
    for row, picture in enumerate(pictures):
        picture.save(folder / f"{row}.png")
    (folder / "8.png").write_text("no picture\n")
    return [folder / f"{row}.png" for row in range(9)]


ROWS = [(i, j, 0.02 + 0.02 * (3 * i + 5 * j)) for j in range(9) for i in range(j)]


@pytest.mark.parametrize("portion", [None, 3])
@pytest.mark.parametrize("limits", [(0.1, 0.4, 0.8), (0.3, 0.5, 0.6)])
def test_with_a_memory_looks_end_at_the_same_pair_with_the_same_outcomes(
    shelf: list[Path], portion: int | None, limits: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_again, "BLOCK", 4)
    (sure, close, far), notes = limits, Notes()
    pairs = as_pairs(sorted(ROWS, key=lambda row: row[2]))

    def looked(portion: int | None, notes: Notes | None) -> tuple[Outcome | None, ...]:
        return look_again.look_again(
            shelf, pairs, 2, sure=sure, close=close, far=far, portion=portion, remembered=notes
        )

    plain = looked(portion, None)
    assert looked(portion, notes) == plain
    assert looked(portion, notes) == plain
    looked(None, notes)
    assert looked(portion, notes) == plain, "what is known beyond changes nothing"
    assert (len(plain) < len(ROWS)) == (portion == 3)


def test_what_is_known_is_neither_looked_at_nor_examined_again(
    shelf: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    readable, notes, examined = as_pairs([row for row in ROWS if row[1] < 7]), Notes(), list[object]()

    def looked(pairs: Pairs) -> tuple[Outcome | None, ...]:
        return look_again.look_again(
            shelf, pairs, 2, examined=lambda rows, found: examined.append(rows), remembered=notes, sure=0.1, close=0.4
        )

    first = looked(readable)
    assert {first[0], *first} >= {Outcome.CONFIRMED, Outcome.REFUTED} and len(examined) == 2
    monkeypatch.setattr(eye, "look", None)
    monkeypatch.setattr(eye, "parts", None)
    monkeypatch.setattr(eye, "glance_at", None)
    assert looked(readable) == first
    assert len(examined) == 2


def test_pictures_that_could_not_be_read_are_not_remembered(shelf: list[Path]) -> None:
    notes, rows = Notes(), [(0, 4, 0.3), (0, 7, 0.3), (1, 8, 0.3), (7, 8, 0.05), (2, 7, 0.6), (7, 2, 0.05)]
    look_again.look_again(shelf, as_pairs(rows), 1, sure=0.1, close=0.5, remembered=notes)
    assert {entry[:2] for entry in notes.entries} == {(0, 4)}


def test_nor_are_those_that_could_not_be_read_once_more(
    tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [paint(seed, 120, 90, 30) for seed in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.gif", save_all=True, append_images=frames[1:], comment=b"b")
    files, pairs, notes = [tmp_path / "a.gif", tmp_path / "b.gif"], as_pairs([(0, 1, 0.3)]), Notes()

    def fails(source: object) -> None:
        raise ImageError("out_of_memory", "not enough memory to decode it")

    with monkeypatch.context() as patched:
        patched.setattr(look, "read_film", fails)
        assert look_again.look_again(files, pairs, 1, remembered=notes) == (Outcome.UNCLEAR,)
    assert not notes.entries
    assert look_again.look_again(files, pairs, 1, remembered=notes) == (Outcome.CONFIRMED,)
    assert len(notes.entries) == 1
