"""Calibrating with what a person said of pairs: it counts for more than what they look like."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder.calibration import Calibration, pairs
from twinpix.encoder.onnx import load_encoder
from twinpix.pipeline.calibration import calibrate as calibrating
from twinpix.pipeline.calibration import study as studying
from twinpix.pipeline.calibration.calibrations import in_force
from twinpix.pipeline.calibration.gather import gather, regrouped
from twinpix.pipeline.calibration.study import calibrate
from twinpix.pipeline.decisions import Verdict, content_of, decide, read_decisions
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.second_look.outcome import Outcome

Command = Callable[..., subprocess.CompletedProcess[str]]
PICTURES = 206


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer second looks and edits than for real pictures."""
    monkeypatch.setattr(calibrating, "LOOKED_AT", 30)
    monkeypatch.setattr(studying, "EDITED", 4)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Unrelated pictures; 000 is there twice, as a copy in JPEG."""
    folder, dice = tmp_path_factory.mktemp("decided"), np.random.default_rng(3)
    for k in range(PICTURES):
        cells = dice.integers(0, 256, (7, 9, 3), dtype=np.uint8)
        Image.fromarray(cells).resize((96, 72), Image.Resampling.BICUBIC).save(folder / f"{k:03}.png")
    Image.open(folder / "000.png").save(folder / "twin.jpg", quality=92)
    yield folder


def say(verdict: Verdict, *paths: Path) -> None:
    decide([(content_of(paths[0]), content_of(paths[1]))], verdict)


def test_twins_that_a_person_calls_different_count_as_a_false_match(photos: Path) -> None:
    plain = calibrate(photos)
    assert {(p.first.name, p.second.name) for p in plain.excluded} == {("000.png", "twin.jpg")}
    say(Verdict.DIFFERENT, photos / "twin.jpg", photos / "000.png")
    told = calibrate(photos, decisions=read_decisions())
    assert told.decided == (1, 0) and told.excluded == ()
    assert (told.closest[0].first.name, told.closest[0].second.name) == ("000.png", "twin.jpg")
    seen = told.calibration.second_look
    assert seen is not None and seen.confirmed == 1  # the second look errs here, and that is written down
    assert seen.wrong == pytest.approx([told.closest[0].distance]) and told.calibration.told_apart is not None
    assert told.calibration.rate(0.05) > plain.calibration.rate(0.05)
    assert told.calibration.library_threshold(1000) < plain.calibration.library_threshold(1000)
    assert "what you decided" in told.calibration.source


def test_pictures_that_a_person_calls_one_are_no_negatives(photos: Path) -> None:
    plain = calibrate(photos)
    first, second = plain.closest[0].first, plain.closest[0].second
    say(Verdict.SAME, first, second)
    told = calibrate(photos, decisions=read_decisions())
    assert told.decided == (0, 1)
    assert {first, second} not in [{pair.first, pair.second} for pair in told.closest]
    assert {first, second} in [{pair.first, pair.second} for pair in told.excluded]


def test_a_word_on_groups() -> None:
    group = np.array([0, 0, 2, 3, 2, 5])
    assert regrouped(group, [], []).tolist() == group.tolist()
    assert regrouped(group, [(2, 4)], []).tolist() == [0, 0, 2, 3, 4, 5]
    assert regrouped(group, [], [(1, 4)]).tolist() == [0, 0, 0, 3, 0, 5]
    assert regrouped(group, [(0, 1)], [(3, 5)]).tolist() == [0, 1, 2, 3, 2, 3]
    assert group.tolist() == [0, 0, 2, 3, 2, 5]  # left as it was


def test_what_was_decided_is_among_a_random_choice(photos: Path) -> None:
    say(Verdict.DIFFERENT, photos / "twin.jpg", photos / "000.png")
    some = gather(photos, encoder=load_encoder(), limit=202, decisions=read_decisions())
    assert {photos / "twin.jpg", photos / "000.png"} <= set(some.paths)
    assert len(some.paths) <= 204 and len(some.apart) == 1


def erring(*wrong: float) -> Calibration:
    """The shipped curve, of a second look that confirmed pairs so far apart (L2) which are different."""
    curve = load_encoder().calibration
    assert curve.second_look is not None and curve.second_look.confirmed == 0
    look = replace(curve.second_look, confirmed=len(wrong), wrong=tuple(sorted(wrong)))
    return replace(curve, second_look=look)


@pytest.mark.parametrize("n", [1000, 10_000, 100_000])
def test_few_errors_of_the_second_look_leave_most_candidates(n: int) -> None:
    reach = erring().candidate_threshold(n)
    for wrong in (0.05, 0.2, 0.9 * reach, 0.99 * reach):
        assert erring(*[wrong] * 3).candidate_threshold(n) >= 0.94 * reach
        assert erring(*[wrong] * 10).candidate_threshold(n) >= 0.8 * reach
    assert erring(*[0.2] * 10, *[1.5] * 100).candidate_threshold(n) == reach, "avoids none within reach"


@pytest.mark.parametrize("n", [1000, 10_000, 100_000])
def test_errors_draw_the_threshold_in_below_them(n: int) -> None:
    reach = erring().candidate_threshold(n)
    far = [share * reach for share in (0.95, 0.96, 0.97, 0.98)]
    assert erring(*far).candidate_threshold(n) == pytest.approx(0.95 * reach)
    assert erring(*far).candidate_threshold(n) < far[0]
    assert erring(*far, 0.2).candidate_threshold(n) == pytest.approx(0.95 * reach), "one more, elsewhere"
    many = erring(*[0.3] * 100)
    assert many.candidate_threshold(n) == max(float(np.nextafter(0.3, 0)), many.library_threshold(n)) < 0.8 * reach


def test_errors_are_expected_again() -> None:
    at = 0.9, 0.4, 0.1  # L2
    curve = erring(*[0.3] * 10)
    ten = 10 * pairs(10_000) / pairs(curve.pictures)
    assert curve.verified_false_pairs(*at, 10_000) >= ten > 2 * erring().verified_false_pairs(*at, 10_000)
    assert curve.verified_false_pairs(0.2, 0.2, 0.1, 10_000) < ten, "those beyond are avoided"


def test_what_is_confirmed_wrongly_takes_no_looks_from_other_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).standard_normal((403, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[400:] = vectors[:3] + np.float32(1e-3)  # near, and different all the same
    near, said = {(k, 400 + k) for k in range(3)}, {True: Outcome.CONFIRMED, False: Outcome.REFUTED}
    monkeypatch.setattr(calibrating, "look_again", lambda pictures, found: tuple(
        said[pair in near] for pair in zip(found[0].tolist(), found[1].tolist(), strict=True)
    ))  # fmt: skip
    others = calibrating.calibrate(vectors[:400], "others", [b""] * 400)
    curve = calibrating.measure(vectors, "all", [b""] * 403, apart=near).calibration
    assert curve.second_look is not None and curve.second_look.wrong == pytest.approx([8**0.5 / 1000] * 3, abs=1e-4)
    for n in (1000, 10_000, 100_000):
        assert curve.candidate_threshold(n) == pytest.approx(others.candidate_threshold(n), rel=0.1)
        assert curve.library_threshold(n) < 0.01 < others.library_threshold(n)


def test_command(photos: Path, command: Command) -> None:
    nothing = command("twinpix", "calibrate", str(photos), "--from-decisions")
    assert nothing.returncode == 2 and "nothing is decided yet" in nothing.stderr
    say(Verdict.DIFFERENT, photos / "twin.jpg", photos / "000.png")
    both = command("twinpix", "calibrate", "--show", "--from-decisions")
    assert both.returncode == 2 and "--show" in both.stderr
    lost = command("twinpix", "calibrate", "--from-decisions")
    assert lost.returncode == 2 and "add a folder first" in lost.stderr and "Traceback" not in lost.stderr
    Library().add(photos)
    done = command("twinpix", "calibrate", "--from-decisions", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["decided"] == {"different": 1, "same": 0}
    own = in_force(load_encoder())
    assert own.is_own and "more, and what you decided" in own.calibration.source


def test_what_is_about_no_folder_takes_none(command: Command, album: Path) -> None:
    for option in ("--show", "--forget"):
        done = command("twinpix", "calibrate", album, option)
        assert done.returncode == 2 and f"{option} takes no DIR" in done.stderr
