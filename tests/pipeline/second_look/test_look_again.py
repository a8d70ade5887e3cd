"""Which pairs get a second look, and looking in parallel."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from twinpix.encoder import contained
from twinpix.pipeline.bench.edits import jpeg, mirror, zoom
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.second_look import eye
from twinpix.pipeline.second_look import features as features_room
from twinpix.pipeline.second_look import look as look_room
from twinpix.pipeline.second_look import look_again as second_look
from twinpix.pipeline.second_look.look import look, try_look
from twinpix.pipeline.second_look.look_again import (
    PAIR,
    PATIENCE,
    affordable,
    in_portions,
    look_again,
    nearest_candidates,
    one_thread_each,
)
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import verify

Paint = Callable[..., Image.Image]
Row = tuple[int, int, float]
C, R, U = Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNCLEAR


def as_pairs(rows: list[Row]) -> Pairs:
    i, j, distance = ([row[column] for row in rows] for column in range(3))
    return np.array(i, np.intp), np.array(j, np.intp), np.array(distance, np.float32)


def as_rows(pairs: Pairs) -> list[Row]:
    return list(zip(*(column.tolist() for column in pairs), strict=True))


def brute_force(rows: list[Row], sure: float, most: int) -> list[Row]:
    kept = {row for row in rows if row[2] <= sure}
    rest = [row for row in rows if row[2] > sure]
    for picture in {end for row in rest for end in row[:2]}:
        own = [row for row in rest if picture in row[:2]]
        kept.update(sorted(own, key=lambda row: (row[2], row[0] + row[1] - picture))[:most])
    return [row for row in rows if row in kept]


def random_rows(seed: int, left: range, right: range, share: float = 0.4) -> list[Row]:
    dice = np.random.default_rng(seed)
    levels = np.linspace(0.05, 0.5, 8, dtype=np.float32).tolist()  # few of them: many ties
    return [(i, j, levels[dice.integers(8)]) for i in left for j in right if i < j and dice.random() < share]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [1, 3, 10])
def test_candidates_between_two_halves_are_those_of_brute_force(seed: int, most: int) -> None:
    rows = random_rows(seed, range(25), range(25, 60))
    got = as_rows(nearest_candidates(as_pairs(rows), 0.1, most))
    assert got == brute_force(rows, 0.1, most)
    assert len(got) < len(rows)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [1, 3])
def test_candidates_are_those_of_brute_force(seed: int, most: int) -> None:
    rows = random_rows(seed, range(50), range(50))
    assert as_rows(nearest_candidates(as_pairs(rows), 0.1, most)) == brute_force(rows, 0.1, most)


def test_a_picture_vouches_for_so_many_pairs_whichever_end_it_is() -> None:
    chain = [(0, 1, 0.2), (1, 2, 0.3), (2, 3, 0.25)]
    assert as_rows(nearest_candidates(as_pairs(chain), 0.1, 1)) == as_rows(as_pairs([chain[0], chain[2]]))


def test_either_end_may_vouch_for_a_pair() -> None:
    hub = [(0, 1, 0.2), (0, 2, 0.3), (0, 3, 0.4)]  # each of 1, 2, 3 has no other
    assert as_rows(nearest_candidates(as_pairs(hub), 0.1, 1)) == as_rows(as_pairs(hub))
    other_way = [(1, 9, 0.2), (2, 9, 0.3), (3, 9, 0.4)]
    assert as_rows(nearest_candidates(as_pairs(other_way), 0.1, 1)) == as_rows(as_pairs(other_way))


def test_a_crowd_costs_few_looks() -> None:
    rows = [(i, j, 0.2 + 0.001 * ((i * 7 + j * 13) % 97)) for i in range(40) for j in range(40, 80)]
    got = as_rows(nearest_candidates(as_pairs(rows), 0.1, 2))
    assert 80 <= len(got) <= 160 < len(rows)


def test_ties_go_to_the_lower_row() -> None:
    # 0 may keep one of three; 4 and 5 have nearer ones than 0, 3 too
    near = [(1, 3, 0.15), (1, 4, 0.16), (1, 5, 0.17), (2, 3, 0.18), (2, 4, 0.14), (2, 5, 0.13)]
    rows = sorted([(0, 3, 0.2), (0, 4, 0.2), (0, 5, 0.2), *near])
    got = as_rows(nearest_candidates(as_pairs(rows), 0.1, 1))
    assert [row[:2] for row in got if row[0] == 0] == [(0, 3)]


def test_sure_pairs_are_kept_and_take_no_place() -> None:
    rows = [(0, 5, 0.01), (0, 6, 0.1), (0, 7, 0.3), (0, 8, 0.4), (1, 7, 0.2), (1, 8, 0.2)]
    got = as_rows(nearest_candidates(as_pairs(rows), float(np.float32(0.1)), 1))
    assert [row[:2] for row in got] == [(0, 5), (0, 6), (0, 7), (1, 7), (1, 8)]


def test_no_pairs() -> None:
    assert as_rows(nearest_candidates(as_pairs([]), 0.1)) == []
    told: list[tuple[int, int]] = []
    assert look_again([], as_pairs([]), 1, lambda done, of: told.append((done, of))) == ()
    assert told == []


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, paint: Paint) -> list[Path]:
    """0 a; 1 a zoomed; 2 b; 3 a mirrored; 4 blank; 5 not there; 6 b as JPEG; 7 no picture."""
    folder = tmp_path_factory.mktemp("shelf")
    a, b, dice = paint(1, 400, 300, 40), paint(2, 400, 300, 40), np.random.default_rng(0)
    pictures = [a, zoom(1.25)(a, dice), b, mirror(a, dice), Image.new("RGB", (400, 300), "teal"), None]
    pictures += [jpeg(60)(b, dice), None]
    paths = [folder / f"{row}.png" for row in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        if picture is not None:
            picture.save(path)
    paths[7].write_text("no picture\n")
    return paths


KNOWN = {(0, 1): C, (0, 2): R, (0, 3): C, (0, 4): R, (0, 5): U, (1, 2): R, (2, 6): C, (3, 6): R, (5, 7): U, (6, 7): U}


@pytest.mark.parametrize("workers", [1, 2, None])
def test_outcomes_are_in_the_order_of_the_pairs(workers: int | None, shelf: list[Path]) -> None:
    pairs = as_pairs([(i, j, 0.2) for i, j in KNOWN])
    assert look_again(shelf, pairs, workers) == tuple(KNOWN.values())
    backwards = pairs[0][::-1], pairs[1][::-1], pairs[2]
    assert look_again(shelf, backwards, workers) == tuple(KNOWN.values())[::-1]


def test_the_same_as_looking_at_each_pair_alone(shelf: list[Path], paint: Paint) -> None:
    """Threads share nothing that changes an outcome, near the limits either."""
    a = paint(1, 400, 300, 40)
    pictures = [
        a,
        *(jpeg(quality)(a, np.random.default_rng(0)) for quality in (1, 2, 4)),
        *(Image.open(path).convert("RGB") for path in shelf[1:5]),
    ]
    rows = [(i, j, 0.2) for i in range(len(pictures)) for j in range(i + 1, len(pictures))]
    looks = [look(picture) for picture in pictures]
    alone = tuple(verify(looks[i], looks[j]) for i, j, _ in rows)
    assert set(alone) >= {C, R}
    for workers in (1, 2, 4):
        assert look_again(pictures, as_pairs(rows), workers) == alone, workers


def test_progress_rises_to_the_number_of_pairs(shelf: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_look, "BLOCK", 4)
    told: list[tuple[int, int]] = []
    pairs = as_pairs([(i, j, 0.2) for i, j in KNOWN])
    got = look_again(shelf, pairs, 2, lambda done, of: told.append((done, of)))
    assert told == [(4, 10), (8, 10), (10, 10)]
    assert got == tuple(KNOWN.values()), "blocks change nothing"
    told.clear()
    assert len(look_again(shelf, pairs, 2, lambda done, of: told.append((done, of)), close=0.1)) == 10
    assert told == [(4, 10), (8, 10), (10, 10)], "what a coarse look refutes counts, too"


def test_a_file_that_vanished_is_unclear(shelf: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(shelf[0].read_bytes())
    pairs = as_pairs([(0, 1, 0.2)])
    assert look_again([shelf[0], copy], pairs, 1) == (C,)
    copy.unlink()
    assert look_again([shelf[0], copy], pairs, 1) == (U,)
    assert look_again([copy, shelf[0]], pairs, 1) == (U,)


def test_try_look(shelf: list[Path]) -> None:
    assert try_look(shelf[5]) is None
    assert try_look(shelf[7]) is None
    seen = try_look(shelf[0])
    assert seen is not None and np.array_equal(seen.tones, look(shelf[0]).tones)


def test_a_picture_is_read_once_for_all_its_pairs(shelf: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(eye, "look", lambda source: read.append(source))
    assert look_again(shelf, as_pairs([(0, j, 0.2) for j in range(1, 5)]), 1) == (U,) * 4
    assert sorted(map(str, read)) == sorted(map(str, shelf[:5]))


@pytest.mark.parametrize("before", [1, 2])
def test_opencv_gets_its_threads_back(before: int, shelf: list[Path]) -> None:
    own = cv2.getNumThreads()
    cv2.setNumThreads(before)
    try:
        with one_thread_each():
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == before
        look_again(shelf, as_pairs([(0, 2, 0.2)]), 2)
        assert cv2.getNumThreads() == before
        with pytest.raises(RuntimeError), one_thread_each():
            raise RuntimeError
        assert cv2.getNumThreads() == before
    finally:
        cv2.setNumThreads(own)


def test_a_decoder_that_crashes_at_the_look_ends_nothing(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Path(__file__).resolve().parents[2] / "encoder" / "failing_worker.py"
    monkeypatch.setattr(contained, "WORKER", worker)
    monkeypatch.setattr(contained, "SECONDS", 2.0)
    failing = runpy.run_path(str(worker))
    for name in ("good", "same", *failing["FAILURES"]):
        paint(0, 600, 450, 60).save(tmp_path / name, "PNG")
    for name in failing["FAILURES"]:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + failing["ASK_LOOKING"] + name.encode())
    files = [tmp_path / name for name in ("good", "same", *failing["FAILURES"])]
    pairs = as_pairs([(0, j, 0.1) for j in range(1, len(files))])
    assert look_again(files, pairs, workers=2) == (C, *[U] * len(failing["FAILURES"]))


def test_far_pairs_get_a_glimpse_first(paint: Paint) -> None:
    whole = paint(0, 500, 400, cells=60)
    pictures = [whole, whole.crop((60, 40, 400, 330)), paint(1, 500, 400, cells=60)]
    rows = [(0, 1, 1.15), (0, 2, 1.15), (1, 2, 1.15)]
    assert look_again(pictures, as_pairs(rows), 1, far=1.1) == (C, R, R)
    assert look_again(pictures[::-1], as_pairs([(0, 1, 1.15), (1, 2, 1.15)]), 1, far=1.1) == (R, C)


def test_beyond_a_distance_a_coarse_look_comes_first(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [paint(0, 400, 300, 40), paint(1, 400, 300, 40)]
    monkeypatch.setattr(eye, "worth_a_close_look", lambda pairs: [bool((a == b).all()) for a, b, _ in pairs])
    closely: list[object] = []
    monkeypatch.setattr(eye, "look", lambda source: closely.append(source))
    assert look_again(pictures, as_pairs([(0, 1, 0.5)]), 1, close=0.4) == (R,)
    assert not closely, "refuted by the coarse look"
    assert look_again(pictures, as_pairs([(0, 1, 0.5)]), 1, close=0.5) == (U,)
    assert len(closely) == 2
    same = [pictures[0], pictures[0].copy()]
    assert look_again(same, as_pairs([(0, 1, 0.5)]), 1, close=0.4) == (U,)
    assert len(closely) == 4, "what has something in common is looked at closely"


def test_looks_end_when_they_have_long_found_no_duplicate(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_look, "BLOCK", 2)
    pictures = [paint(seed, 200, 150, 40) for seed in range(8)]
    pictures[6] = pictures[5].copy()
    rows = [(0, 1, 0.1), (0, 2, 0.3), (1, 2, 0.31), (3, 4, 0.4), (5, 6, 0.5), (0, 7, 0.6), (1, 7, 0.7), (2, 7, 0.8)]

    def seen(portion: int | None, close: float = 0.2, patience: int = 1) -> int:
        return len(look_again(pictures, as_pairs(rows), 2, close=close, portion=portion, patience=patience))

    assert seen(None) == seen(8) == 8
    assert seen(1) == 2, "the first is close, the second was in vain"
    assert seen(2) == 4, "the first two hold a close one, the next two were in vain"
    assert seen(3) == 8, "four to six hold a duplicate"
    assert seen(1, close=0.45) == 6, "what is close is always looked at, and a duplicate is worth another portion"
    assert seen(1, patience=2) == 3, "the second and the third were in vain"
    assert seen(1, patience=3) == 4 and seen(2, patience=2) == 8


def test_how_many_looks_in_vain_are_affordable() -> None:
    assert affordable(10) == affordable(1_680) == 5_000, "of a small folder each picture gets one coarse look"
    assert affordable(1_900) == 1_600 and affordable(2_000) == affordable(10_000) == int(PATIENCE / (2 + PAIR))
    assert affordable(300_000) == int(15_000 / (2 + PAIR))


@pytest.mark.parametrize("portion", [1, 7, 1000])
def test_portions_keep_the_nearest_first(portion: int) -> None:
    rows = sorted(random_rows(1, range(20), range(20)), key=lambda row: row[2])
    got = as_rows(in_portions(as_pairs(rows), portion))
    for start in range(0, len(rows), portion):
        assert got[start : start + portion] == sorted(as_rows(as_pairs(rows[start : start + portion])))


def test_in_a_crowd_fewer_are_looked_at() -> None:
    n = 100
    crowd = [(i, j, distance) for distance, first in ((0.5, 0), (0.95, n)) for i in range(first, first + n)
             for j in range(i + 1, first + n)]  # fmt: skip
    kept = nearest_candidates(as_pairs(crowd), 0.1)
    by_far = (kept[2] > 0.8).sum()
    assert by_far == n * (n - 1) // 2 and len(kept[0]) - by_far < by_far


def test_a_copy_that_lies_in_place_needs_no_features(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = paint(3, 500, 400, 40)
    pictures = [whole, jpeg(50)(whole, np.random.default_rng(0)), whole.crop((60, 40, 460, 360))]
    assert look_again(pictures, as_pairs([(0, 1, 0.1), (0, 2, 0.2)]), 1) == (C, C)
    monkeypatch.setattr("twinpix.pipeline.second_look.features._orb", None)
    assert look_again(pictures, as_pairs([(0, 1, 0.1)]), 1) == (C,)
    with pytest.raises(TypeError):
        look_again(pictures, as_pairs([(0, 2, 0.2)]), 1)


def test_features_that_were_found_serve_all_pairs_of_a_picture(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    found, real = list[object](), features_room.find_features

    def noting(luma: Any) -> Any:
        found.append(luma)
        return real(luma)

    monkeypatch.setattr(look_room, "find_features", noting)
    monkeypatch.setattr(eye, "LOOKS_KEPT", 2)
    whole = paint(3, 500, 400, 40)
    pictures = [whole, *(whole.crop((k, k, 400 + k, 330 + k)) for k in range(5, 45, 5))]
    rows = [(i, j, 0.2) for i in range(len(pictures)) for j in range(i + 1, len(pictures))]
    assert set(look_again(pictures, as_pairs(rows), 1)) == {C}
    assert len(found) <= len(pictures) + 2
