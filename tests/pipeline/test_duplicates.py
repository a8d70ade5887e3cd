"""The main job as Python calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import twinpix
from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import FingerprintError, ImageError, InputError
from twinpix.encoder.onnx import OnnxEncoder, load_encoder
from twinpix.pipeline import duplicates
from twinpix.pipeline.calibration.alikeness import LEAST
from twinpix.pipeline.decisions import Decisions
from twinpix.pipeline.duplicates import candidate_pairs, compare, find_duplicates, group_duplicates
from twinpix.pipeline.limits import WIDER, Limits, check_threshold, limits
from twinpix.pipeline.report import Embeddings, Report
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.stream import encode_images

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]


def named(report: Report) -> list[list[str]]:
    return [sorted(path.name for path in group.files) for group in report.groups]


# -- two images


def test_byte_identical_files_are_at_exactly_zero(album: Path, encoder: OnnxEncoder) -> None:
    match = compare(album / "a.png", album / "sub" / "a copy.png", encoder=encoder)
    assert match.l2_distance == 0
    assert match.is_duplicate
    assert match.second_look is None
    assert match.threshold == pytest.approx(WIDER * encoder.calibration.candidate_threshold(2))
    plain = compare(album / "a.png", album / "a.png", encoder=encoder, verify=False)
    assert plain.threshold == encoder.calibration.pair_threshold
    assert compare(album / "a.png", album / "a.png", threshold=0).is_duplicate


def test_same_pixels_in_another_format(album: Path) -> None:
    match = twinpix.compare(str(album / "a.png"), str(album / "a.webp"))
    assert match.l2_distance < 1e-3
    assert match.is_duplicate


def test_unrelated_pictures(album: Path) -> None:
    assert not compare(album / "a.png", album / "b.png").is_duplicate


def test_symmetric_and_within_the_scale(album: Path) -> None:
    there, back = compare(album / "a.png", album / "b.png"), compare(album / "b.png", album / "a.png")
    assert there.l2_distance == back.l2_distance
    assert 0 < there.l2_distance <= 2
    assert isinstance(there.l2_distance, float)


def test_whatever_the_encoder_accepts(album: Path, paint: Paint) -> None:
    data = (album / "a.png").read_bytes()
    kinds: tuple[Any, ...] = (album / "a.png", str(album / "a.png"), data, paint(0), np.asarray(paint(0)))
    for kind in kinds:
        assert compare(album / "a.png", kind).l2_distance == 0, type(kind)
    assert compare(paint(0), data).query == "<image 320x240>"
    assert compare(data, np.asarray(paint(0))).query == f"<{len(data)} bytes>"
    assert compare(data, np.asarray(paint(0))).reference == "<array (240, 320, 3)>"


def test_paths_of_a_match_are_absolute(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(album)
    assert compare("a.png", Path("b.png")).query == album / "a.png"


def test_an_unreadable_image_raises(album: Path) -> None:
    with pytest.raises(ImageError, match=r"notes\.txt"):
        compare(album / "a.png", album / "notes.txt")
    with pytest.raises(ImageError):
        compare(album / "nothing.png", album / "a.png")


@pytest.mark.parametrize("threshold", [-0.1, 2.1, float("nan"), float("inf")])
def test_a_threshold_lies_within_0_and_2(album: Path, threshold: float) -> None:
    for call in (
        lambda: check_threshold(threshold),
        lambda: compare(album / "a.png", album / "b.png", threshold=threshold),
        lambda: find_duplicates(album, threshold=threshold),
    ):
        with pytest.raises(InputError, match="0 to 2"):
            call()


@pytest.mark.parametrize("threshold", [1e20, 1e308, float("inf")])
def test_a_threshold_beyond_all_distances_is_refused_for_models_without_a_scale_too(threshold: float) -> None:
    with pytest.raises(InputError, match=r"0 to 1e\+19"):
        check_threshold(threshold, float("inf"))
    assert check_threshold(1e19, float("inf")) == 1e19


def test_a_given_threshold_decides(album: Path) -> None:
    distance = compare(album / "a.png", album / "b.png").l2_distance
    assert compare(album / "a.png", album / "b.png", threshold=distance).is_duplicate
    assert not compare(album / "a.png", album / "b.png", threshold=distance - 1e-4).is_duplicate


# -- folders


def test_find_duplicates(album: Path, encoder: OnnxEncoder) -> None:
    report = find_duplicates(album)
    assert named(report) == [["a copy.png", "a.png", "a.webp"]]
    assert report.images == 5
    assert [s.path.name for s in report.skipped] == ["notes.txt"]
    assert report.threshold == pytest.approx(WIDER * encoder.calibration.candidate_threshold(5))
    assert report.unverified_threshold == encoder.calibration.library_threshold(5)
    assert report.fingerprint == encoder.fingerprint
    assert not report.clamped
    assert report.expected_false_pairs is not None and 0 < report.expected_false_pairs < 1
    assert report.duplicates == 2


def test_matches_are_every_pair_within_the_threshold_closest_first(album: Path) -> None:
    report = find_duplicates(album)
    assert len(report.matches) == 3
    gaps = [match.l2_distance for match in report.matches]
    assert gaps == sorted(gaps)
    copy = next(m for m in report.matches if {Path(m.query).name, Path(m.reference).name} == {"a.png", "a copy.png"})
    assert copy.l2_distance == 0
    assert all(match.is_duplicate and match.threshold == report.threshold for match in report.matches)


def test_at_threshold_two_everything_is_one_group(album: Path) -> None:
    report = find_duplicates(album, threshold=2)
    assert len(report.matches) == 10
    assert [len(group.files) for group in report.groups] == [5]
    assert report.expected_false_pairs == 10, "beyond the curve nothing is promised"


def test_byte_identical_files_at_threshold_zero(album: Path, tmp_path: Path, paint: Paint, pack: Pack) -> None:
    data = pack(paint(9, 900, 700), "JPEG")
    for i in range(40):  # in different chunks, beside different neighbours
        (album / f"twin{i:02}.jpg").write_bytes(data)
        paint(100 + i, 64, 64).save(album / f"other{i:02}.png")
    report = find_duplicates(album, threshold=0, workers=2)
    assert next(names for names in named(report) if "twin00.jpg" in names) == [f"twin{i:02}.jpg" for i in range(40)]
    assert all(match.l2_distance == 0 for match in report.matches)


def test_overlapping_roots_count_each_file_once(album: Path) -> None:
    report = find_duplicates(album / "sub", album, album / "a.png")
    assert (report.images, len(report.skipped)) == (5, 1)
    assert report.groups == find_duplicates(album).groups


def test_groups_do_not_depend_on_the_order_of_folders(album: Path) -> None:
    (album / "two").mkdir()
    (album / "a.webp").rename(album / "two" / "a.webp")
    one, other = find_duplicates(album / "sub", album / "two"), find_duplicates(album / "two", album / "sub")
    assert one.groups == other.groups
    assert one.threshold == other.threshold


def test_the_first_by_name_is_the_query_whatever_the_order_of_folders(
    album: Path, encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "two").mkdir()
    (album / "a.webp").rename(album / "two" / "a.webp")
    looked_at = list[list[tuple[str, str]]]()

    def looks(paths: tuple[Path, ...], pairs: tuple[Any, ...], *_: Any) -> tuple[Outcome, ...]:
        looked_at.append(sorted((str(paths[i]), str(paths[j])) for i, j in zip(*pairs[:2], strict=True)))
        return (Outcome.CONFIRMED,) * len(pairs[0])

    monkeypatch.setattr(duplicates, "look_again", looks)
    folders = album / "sub", album / "two"
    there = candidate_pairs(encode_images(*folders, encoder=encoder), encoder)
    back = candidate_pairs(encode_images(*folders[::-1], encoder=encoder), encoder)
    assert looked_at[0]
    assert looked_at[0] == looked_at[1]
    assert all(query < reference for query, reference in looked_at[0])
    named = [{(one.paths[i], one.paths[j]) for i, j in one.copies} for one in (there, back)]
    assert named[0] == named[1]


def test_unreadable_files_are_never_duplicates_of_each_other(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(b"")
        (tmp_path / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    report = find_duplicates(tmp_path)
    assert (report.images, report.groups, report.matches, len(report.skipped)) == (0, (), (), 6)


def test_an_empty_folder(tmp_path: Path) -> None:
    report = find_duplicates(tmp_path)
    assert (report.images, report.groups, report.matches, report.skipped) == (0, (), (), ())
    assert report.expected_false_pairs == 0


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        find_duplicates()
    with pytest.raises(InputError, match="no such folder"):
        find_duplicates(tmp_path / "nothing")


def test_nothing_is_changed(album: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in album.rglob("*") if path.is_file()}
    find_duplicates(album)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in album.rglob("*") if p.is_file()} == before


# -- the second look


def test_a_refuted_pair_is_no_duplicate(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinpix.pipeline.limits.SURE", -1.0)
    monkeypatch.setattr(duplicates, "second_look", lambda query, reference, is_far: Outcome.REFUTED)
    match = compare(album / "a.png", album / "a.webp")
    assert (match.is_duplicate, match.second_look) == (False, Outcome.REFUTED)
    assert compare(album / "a.png", album / "a.webp", verify=False).is_duplicate


def test_a_pair_far_below_the_threshold_is_not_looked_at(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "second_look", None)
    assert compare(album / "a.png", album / "a.webp").second_look is None


def test_matches_and_groups_hold_what_passed(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(pictures: Any, near: Any, *rest: Any) -> tuple[Outcome, ...]:
        names = [{pictures[i].name, pictures[j].name} for i, j in zip(near[0], near[1], strict=True)]
        return tuple(Outcome.CONFIRMED if pair == {"a.png", "b.png"} else Outcome.REFUTED for pair in names)

    monkeypatch.setattr("twinpix.pipeline.limits.SURE", -1.0)
    monkeypatch.setattr(duplicates, "look_again", answer)
    report = find_duplicates(album, threshold=2, verify=True)
    assert named(report) == [["a.png", "b.png"]]
    assert [match.second_look for match in report.matches] == [Outcome.CONFIRMED]
    assert (report.looked_at, report.refuted) == (10, 9)


def test_far_pairs_are_left_when_looking_no_longer_pays(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(7):
        paint(seed, 200, 150, 40).save(tmp_path / f"{seed}.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "3.png").read_bytes())
    monkeypatch.setattr(duplicates, "affordable", lambda images: 1)
    wide = replace(limits(load_encoder(), 8, None, None), candidate=2.0, far=2.0, unverified=0.1)
    monkeypatch.setattr(duplicates, "limits", lambda *_: wide)
    quick, thorough = (find_duplicates(tmp_path, thorough=value) for value in (False, True))
    assert named(quick) == named(thorough) == [["3.png", "copy.png"]]
    assert (quick.looked_at, thorough.looked_at) == (1, 27), "the copy is sure, and the first other pair is not"
    assert (quick.unseen, thorough.unseen) == (26, 0)
    monkeypatch.setattr(duplicates, "PORTION", 1)
    monkeypatch.setattr(duplicates, "affordable", lambda images: 5)
    assert find_duplicates(tmp_path).looked_at == 5


def test_what_can_no_longer_be_read_is_named_and_in_no_group(
    paint: Paint, tmp_path: Path, encoder: OnnxEncoder
) -> None:
    for seed in range(4):
        paint(seed, 400, 300, 40).save(tmp_path / f"{seed}.png")
        paint(seed, 400, 300, 40).crop((30, 20, 370, 280)).save(tmp_path / f"{seed} cropped.png")
    embedded = encode_images(tmp_path, encoder=encoder)
    whole = group_duplicates(embedded, encoder)
    assert len(named(whole)) == 4 and not whole.skipped
    (tmp_path / "1 cropped.png").unlink()
    (tmp_path / "2.png").write_bytes(b"damaged")
    report = group_duplicates(embedded, encoder)
    assert named(report) == [group for group in named(whole) if group[0][0] in "03"]
    assert [(gone.path.name, gone.reason) for gone in report.skipped] == [
        ("1 cropped.png", "vanished"), ("2.png", "not_an_image")
    ]  # fmt: skip
    assert all(str(gone.path) in gone.message for gone in report.skipped)
    assert {pair.query.name for pair in report.matches if isinstance(pair.query, Path)} == {
        "0 cropped.png",
        "3 cropped.png",
    }


@pytest.mark.parametrize("asked", [{"verify": False}, {"threshold": 0.5}])
def test_thorough_looks_where_none_are_taken_are_refused(album: Path, encoder: OnnxEncoder, asked: Any) -> None:
    with pytest.raises(InputError, match="none is taken: ask for them"):
        find_duplicates(album, thorough=True, **asked)
    with pytest.raises(InputError, match="none is taken: ask for them"):
        group_duplicates(encode_images(album), encoder, thorough=True, **asked)


def test_a_threshold_of_ones_own_is_taken_at_its_word(album: Path) -> None:
    report = find_duplicates(album, threshold=2)
    assert (len(report.matches), report.looked_at) == (10, 0)
    looked = find_duplicates(album, threshold=2, verify=True)
    assert looked.looked_at > 0
    assert len(looked.matches) == 3  # the copies: pictures of blobs have nothing in common


@pytest.mark.parametrize(
    ("distance", "outcome", "accepted"),
    [
        (0.8, None, True),
        (0.81, None, False),
        (0.8, Outcome.CONFIRMED, True),
        (0.81, Outcome.CONFIRMED, False),
        (0.4, Outcome.UNCLEAR, True),
        (0.41, Outcome.UNCLEAR, False),
        (0.6, Outcome.LIKELY, True),
        (0.61, Outcome.LIKELY, False),
        (0.2, Outcome.REFUTED, False),
    ],
)
def test_what_is_accepted(distance: float, outcome: Outcome | None, accepted: bool) -> None:
    assert Limits(candidate=0.8, unverified=0.4, sure=0.1, likely=0.6).accept(distance, outcome) is accepted


def test_limits(encoder: OnnxEncoder) -> None:
    curve = encoder.calibration
    default = limits(encoder, 5000, None, None)
    looked, plain = curve.candidate_threshold(5000), curve.library_threshold(5000)
    assert default == Limits(WIDER * looked, plain, min(0.04, plain), curve.likely_threshold(5000), looked)
    assert limits(encoder, 1000, None, None).sure == 0.04
    assert limits(encoder, 5000, None, False) == Limits(plain, plain, plain, plain)
    assert limits(encoder, 5000, 0.7, None) == Limits(0.7, 0.7, 0.7, 0.7)
    assert limits(encoder, 5000, 0.7, True) == Limits(0.7, 0.7, 0.04, 0.7)
    assert limits(encoder, 5000, 0.02, True) == Limits(0.02, 0.02, 0.02, 0.02)


# -- vectors


class Known(OnnxEncoder):
    """An encoder with a known curve that encodes nothing."""

    def __init__(self) -> None:
        self.dim, self.fingerprint = 2, "known"
        self._curve = {"made": "up"}
        self.calibration = Calibration((0.1, 0.3), (1e-8, 1e-6), 1e-6, 1000, "made up")


def on_circle(degrees: list[float]) -> Embeddings:
    angle = np.radians(degrees)
    vectors = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)
    return Embeddings(tuple(Path(f"/{i:02}") for i in range(len(degrees))), vectors, "known")


def test_a_planted_chain_of_26_stays_within_its_representatives() -> None:
    step = np.degrees(2 * np.arcsin(0.2 / 2))
    report = group_duplicates(on_circle([i * step for i in range(26)]), Known(), 0.21)
    assert len(report.matches) == 25
    assert max(len(group.files) for group in report.groups) == 3
    assert all(group.max_l2_distance <= 0.21 for group in report.groups)


def test_a_library_beyond_the_curve_is_clamped_and_that_is_said() -> None:
    spread = np.random.default_rng(0).standard_normal((15_000, 24)).astype(np.float32)
    vectors = spread / np.linalg.norm(spread, axis=1, keepdims=True)
    paths = tuple(Path(f"/{i}") for i in range(len(vectors)))
    report = group_duplicates(Embeddings(paths, vectors, "known"), Known(), verify=False)
    assert (report.clamped, report.threshold) == (True, 0.1)
    assert report.alikeness == LEAST
    assert report.expected_false_pairs == pytest.approx(LEAST * 15_000 * 14_999 / 2 * 1e-8)
    assert not group_duplicates(Embeddings(paths[:5000], vectors[:5000], "known"), Known(), verify=False).clamped


def test_another_encoders_embeddings_are_refused() -> None:
    with pytest.raises(FingerprintError, match="encode again"):
        group_duplicates(replace(on_circle([0, 1]), fingerprint="other"), Known())


def test_limits_scale_together(encoder: OnnxEncoder) -> None:
    limit = Limits(candidate=0.8, unverified=0.4, sure=0.03, likely=0.6)
    assert limit.at(0.8) == limit
    half = limit.at(0.4)
    assert (half.candidate, half.unverified, half.sure) == (0.4, 0.2, 0.03) and half.likely == pytest.approx(0.3)
    assert limit.at(0) == Limits(0, 0, 0.03, 0)
    assert limit.at(limit.loosest).unverified == pytest.approx(0.8)


def test_candidates_are_grouped_again_without_reading_a_file(album: Path, encoder: OnnxEncoder) -> None:
    candidates = candidate_pairs(encode_images(album, encoder=encoder), encoder)
    found = find_duplicates(album)
    found = replace(found, groups=tuple(replace(group, relations=()) for group in found.groups))
    assert candidates.report() == found
    for path in found.groups[0].files:
        path.unlink()
    assert candidates.report(candidates.limit.at(0.5)).groups == found.groups
    assert len(candidates.report(candidates.limit.at(0)).matches) == sum(m.l2_distance == 0 for m in found.matches)


# -- crowds within a threshold of one's own


def crowd(n: int, encoder: OnnxEncoder, seed: int = 0) -> Embeddings:
    """Look-alikes, L2 about 0.07 from one another, and a pair of others."""
    dice = np.random.default_rng(seed)
    vectors = dice.normal(0, 0.003, (n, encoder.dim)).astype(np.float32)
    vectors[:, 0], vectors[-2:, :2] = 1, (0, 1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings(tuple(Path(f"/r/{k:04}.png") for k in dice.permutation(n)), vectors, encoder.fingerprint)


@pytest.mark.parametrize("n", [300, 600])
def test_a_crowd_is_one_group_and_few_pairs(encoder: OnnxEncoder, n: int) -> None:
    looked = crowd(n, encoder)
    found = group_duplicates(looked, encoder, 0.3, decisions=Decisions({}))
    assert [len(group.files) for group in found.groups] == [n - 2, 2]
    assert found.groups[0].files[0] == min(looked.paths[:-2])
    assert len(found.matches) <= 16 * n
    assert len(found.matches) + found.unlisted == (n - 2) * (n - 3) // 2 + 1
    order = np.random.default_rng(1).permutation(n)
    paths, vectors = tuple(looked.paths[k] for k in order), looked.vectors[order]
    again = group_duplicates(replace(looked, paths=paths, vectors=vectors), encoder, 0.3, decisions=Decisions({}))
    assert (again.groups, again.matches, again.unlisted) == (found.groups, found.matches, found.unlisted)


def test_each_of_a_crowd_is_listed_with_its_nearest(encoder: OnnxEncoder) -> None:
    looked = crowd(300, encoder)
    found = group_duplicates(looked, encoder, 0.3, decisions=Decisions({}))
    listed = {frozenset((match.query, match.reference)) for match in found.matches}
    gaps = np.linalg.norm(looked.vectors[:298, None] - looked.vectors[None, :298], axis=2)
    np.fill_diagonal(gaps, np.inf)
    assert all(frozenset((looked.paths[i], looked.paths[j])) in listed for i, j in enumerate(gaps.argmin(1).tolist()))


def test_up_to_121_look_alikes_lack_no_pair(encoder: OnnxEncoder) -> None:
    found = group_duplicates(crowd(123, encoder), encoder, 0.3, decisions=Decisions({}))
    assert (len(found.matches), found.unlisted) == (121 * 120 // 2 + 1, 0)
