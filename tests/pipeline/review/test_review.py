"""A review without its page: groups, choices, decisions, thresholds, and going on after a restart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from twinpix.encoder.errors import InputError
from twinpix.pipeline.decisions import Verdict, read_decisions
from twinpix.pipeline.duplicates import find_duplicates
from twinpix.pipeline.report import Group
from twinpix.pipeline.review import acting, tell
from twinpix.pipeline.review.acting import carry_out, take_back
from twinpix.pipeline.review.desk import Desk
from twinpix.pipeline.review.facts import differing, facts_of
from twinpix.pipeline.review.placement import place
from twinpix.pipeline.review.review import Review
from twinpix.pipeline.review.tell import plan_dict

MakeReview = Callable[..., Review]


def quiet(done: int, total: int) -> None:
    """No progress."""


def apply(review: Review) -> dict[str, Any]:
    """What is decided, as a person who agrees to it would."""
    return carry_out(review, review.plan().digest, quiet)


def names(paths: list[Path]) -> list[str]:
    return sorted(path.name for path in paths)


def test_it_shows_what_find_duplicates_finds(pictures: Path, make_review: MakeReview) -> None:
    found, review = find_duplicates(pictures), make_review(pictures)
    assert review.report == replace(found, groups=tuple(replace(group, relations=()) for group in found.groups))
    for group in found.groups:
        assert review.related(group) == dict(zip(group.files[1:], group.relations, strict=True))


def test_only_sure_groups_are_preselected(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    assert len(review.groups) == 3
    for group in review.groups:
        planned = review.planned(group)
        assert planned.sure or not any(file.goes for file in planned.files)
        assert all(file.why for file in planned.files)
    identical = next(group for group in review.groups if group.max_l2_distance == 0)
    assert [review.goes(file) for file in review.planned(identical).files] == [False, True]
    (pictures / "favourite").symlink_to(review.planned(identical).files[1].path)
    assert not make_review(pictures).planned(identical).sure


def test_choices_are_kept_across_a_restart_and_can_be_taken_back(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    first, second, third = review.groups
    review.choose(first, [first.files[1]])
    review.choose(second, [])
    review.choose(first, [first.files[0]])
    again = make_review(pictures)
    assert [again.status(group) for group in again.groups] == ["decided", "decided", "open"]
    assert again.going(first) == [first.files[0]] and again.next_open(0) == 2 == again.next_open(2)
    assert again.undo() in first.files and again.going(first) == [first.files[1]]
    assert again.undo() in second.files and again.status(second) == "open"
    assert make_review(pictures).status(second) == "open"
    again.undo()
    assert again.undo() is None and again.counts["open"] == 3
    del third


def test_a_choice_is_about_a_picture_not_a_name(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    group = next(group for group in review.groups if group.max_l2_distance == 0)
    review.choose(group, [group.files[1]])
    assert make_review(pictures).status(group) == "decided"
    for path in group.files:
        path.write_bytes((pictures / "3.png").read_bytes())
    again = make_review(pictures)
    assert not again.going(again.group_with(group.files[1]) or group) and again.counts["decided"] == 0


def test_one_file_always_stays_and_nothing_goes_from_a_reference(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures, references=[pictures / "copies"])
    group = review.groups[0]
    with pytest.raises(InputError, match="one file of a group always stays"):
        review.choose(group, group.files)
    with pytest.raises(InputError, match="reference folder"):
        review.choose(group, [path for path in group.files if path.parent.name == "copies"])
    with pytest.raises(InputError, match="not in this group"):
        review.choose(group, [pictures / "3.png"])
    assert review.counts["decided"] == 0


def test_not_a_duplicate_is_remembered_by_content(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    group = next(group for group in review.groups if "1.png" in names(list(group.files)))
    review.part(group)
    assert review.status(group) == "different" and review.counts["different"] == 1
    (pictures / "1.png").rename(pictures / "renamed.png")
    again = make_review(pictures)
    assert len(again.groups) == 2 and again.report.dismissed == 1
    assert find_duplicates(pictures).dismissed == 1
    again.undo()
    assert len(again.groups) == 3 and not read_decisions().verdicts


def test_one_of_three_is_no_duplicate(pictures: Path, make_review: MakeReview) -> None:
    (pictures / "copies" / "1 too.webp").write_bytes((pictures / "copies" / "1.jpg").read_bytes() + b"\0")
    review = make_review(pictures)
    group = next(group for group in review.groups if len(group.files) == 3)
    odd = next(path for path in group.files if path.name == "1.png")
    review.part(group, odd)
    assert review.status(group) == "open" and review.is_apart(odd)
    assert not any(review.goes(file) for file in review.planned(group).files)  # proposals counted on it
    review.choose(group, [path for path in group.files if path.suffix == ".webp"])
    assert names(review.going(group)) == ["1 too.webp"]
    with pytest.raises(InputError, match="not in this group"):
        review.part(group, odd)
    files = [names(list(group.files)) for group in make_review(pictures).groups]
    assert ["1 too.webp", "1.jpg"] in files


def test_a_group_whose_keeper_is_called_different_is_open_again(pictures: Path, make_review: MakeReview) -> None:
    (pictures / "copies" / "1 too.webp").write_bytes((pictures / "copies" / "1.jpg").read_bytes() + b"\0")
    review = make_review(pictures)
    group = next(group for group in review.groups if len(group.files) == 3)
    keeper, *rest = group.files
    review.choose(group, rest)
    assert review.status(group) == "decided" and review.all_going == 2
    review.part(group, keeper)
    assert review.status(group) == "open" and review.all_going == 0, "nothing of what is left would stay"
    review.choose(group, rest[1:])
    assert review.status(group) == "decided" and review.all_going == 1


@pytest.fixture
def three(pictures: Path) -> Path:
    """`pictures`, with a third file of one group, which is no byte copy."""
    (pictures / "copies" / "1 too.webp").write_bytes((pictures / "copies" / "1.jpg").read_bytes() + b"\0")
    return pictures


def of_three(review: Review) -> Group:
    """The group of three files."""
    return next(group for group in review.groups if len(group.files) == 3)


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"another")])
def test_a_choice_does_not_outlive_what_it_was_made_beside(three: Path, make_review: MakeReview, harm: Any) -> None:
    review = make_review(three)
    group = of_three(review)
    keeper, goes, other = group.files
    review.choose(group, [goes])
    agreed = review.plan().digest
    harm(keeper)
    with pytest.raises(InputError, match="confirm again"):
        carry_out(review, agreed, quiet)
    assert apply(review)["done"] == apply(review)["done"] == 0 and goes.exists()
    again = make_review(three)
    assert not any(path in (goes, other) for group in again.decided for path in again.going(group))
    assert apply(again)["done"] == 0 and goes.exists()


def test_a_choice_beside_a_file_that_is_called_different_is_none(three: Path, make_review: MakeReview) -> None:
    review = make_review(three)
    group = of_three(review)
    keeper, goes, other = group.files
    review.choose(group, [goes])
    agreed = review.plan().digest
    review.part(group, keeper)
    assert review.status(group) == "open" and review.all_going == 0
    assert not any(review.goes(file) for file in review.planned(group).files)
    with pytest.raises(InputError, match="confirm again"):
        carry_out(review, agreed, quiet)
    assert not make_review(three).decided and goes.exists() and other.exists()
    review.undo()
    assert review.going(group) == [goes]


def test_another_file_that_stays_is_another_plan(three: Path, make_review: MakeReview) -> None:
    review = make_review(three)
    group = of_three(review)
    review.choose(group, [group.files[1]])
    agreed = review.plan().digest
    review.part(group, group.files[2])
    review.choose(group, [group.files[1]])
    with pytest.raises(InputError, match="confirm again"):
        carry_out(review, agreed, quiet)


def test_no_file_goes_for_a_picture_of_an_archive(three: Path, make_review: MakeReview) -> None:
    copies = three / "copies"
    review = make_review(three, references=[copies], unpacked=copies)
    group = of_three(review)
    with pytest.raises(InputError, match="picture of an archive"):
        review.choose(group, [three / "1.png"])
    review.choose(group, [])
    assert review.status(group) == "decided"


def test_the_same_bytes_are_no_matter_of_opinion(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    group = next(group for group in review.groups if group.max_l2_distance == 0)
    with pytest.raises(InputError, match="same bytes"):
        review.part(group)
    assert not read_decisions().verdicts and not review.log.steps


def test_the_threshold_regroups_without_reading_a_picture(
    pictures: Path, make_review: MakeReview, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = make_review(pictures)
    with monkeypatch.context() as blind:
        blind.setattr("twinpix.encoder.decode.decode", lambda *args: pytest.fail("a picture was read"))
        review.set_threshold(0)
        assert [group.max_l2_distance for group in review.groups] == [0]
        review.set_threshold(review.loosest_threshold)
        assert len(review.groups) >= 3
        with pytest.raises(InputError, match="lies between"):
            review.set_threshold(3)
    review.set_threshold(0.0)
    assert make_review(pictures).threshold == 0
    review.set_threshold(None)
    assert make_review(pictures).threshold == review.default_threshold


def test_damaged_lines_of_the_log_cost_one_step_each(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    for group in review.groups:
        review.choose(group, [])
    path = review.log.path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"choose", b"chOose") + lines[2][:20])
    again = make_review(pictures)
    assert (again.counts["decided"], again.log.damaged) == (1, 2)
    again.choose(again.groups[2], [])
    assert make_review(pictures).counts["decided"] == 2


def test_all_sure_groups_are_one_step(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    sure = [group for group in review.groups if review.planned(group).sure]
    assert review.choose_sure(quiet) == len(sure) > 0
    assert review.decided == sure == make_review(pictures).decided, "each group by what stays of it alone"
    review.undo()
    assert review.counts["open"] == 3


def test_files_that_are_not_shown_say_what_becomes_of_them_and_are_left_so(
    pictures: Path, make_review: MakeReview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tell, "SHOWN_FILES", 2)
    for name in "abc":
        shutil.copy(pictures / "0.png", pictures / "copies" / f"{name}.png")
    review = make_review(pictures)
    desk = Desk(review)
    at = next(i for i, group in enumerate(review.groups) if len(group.files) == 5)
    seen = desk.answers["group"]({"at": at})
    assert (len(seen["files"]), seen["more"], seen["moreGoing"]) == (2, 3, 3)
    shown = [file["id"] for file in seen["files"]]
    now = desk.acts["choose"]({"id": seen["id"], "going": [], "shown": shown})
    assert (now["group"]["moreGoing"], now["overview"]["going"]) == (3, 3), "the second stays, the others go as before"
    with pytest.raises(InputError, match="always stays"):
        desk.acts["choose"]({"id": seen["id"], "going": shown, "shown": shown})
    review.choose(review.groups[at], [])
    assert desk.answers["group"]({"at": at})["moreGoing"] == 0
    desk.close()


def test_apply_and_take_back(pictures: Path, make_review: MakeReview) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in pictures.rglob("*.*")}
    review = make_review(pictures)
    for group in review.groups:
        review.choose(group, group.files[1:])
    with pytest.raises(InputError, match="confirm again"):
        carry_out(review, "of another plan", quiet)
    gone = [path for group in review.groups for path in group.files[1:]]
    told = apply(review)
    assert (told["done"], told["lines"], len(review.groups)) == (3, [], 0)
    assert not any(path.exists() for path in gone) and len(acting.last_apply(review).entries) == 3  # type: ignore[union-attr]
    # byte copies are nobody's judgement; the two others are
    assert list(read_decisions().verdicts.values()) == [Verdict.SAME] * 2
    assert take_back(review, quiet)["done"] == 3
    assert not read_decisions().verdicts, "what came back is open again"
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in pictures.rglob("*.*")} == before
    assert len(review.groups) == 3 and len(review.decided) == 3
    assert apply(review)["done"] == 3  # what was restored is known by its content
    later = make_review(pictures)  # a search that knows nothing of the files that went
    assert "start the review again" in take_back(later, quiet)["lines"][0]


def test_what_is_moved_is_what_was_agreed_to(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    first, second = review.groups[0].files[:2]
    review.choose(review.groups[0], [second])
    told = plan_dict(review, review.plan())
    review.choose(review.groups[0], [first])  # in another tab: as many files, but others
    with pytest.raises(InputError, match="confirm again"):
        carry_out(review, told["agreed"], quiet)
    assert first.exists() and second.exists()
    review.choose(review.groups[0], [second])
    (partner := second.with_suffix(".xmp")).write_bytes(b"came since")
    again = make_review(pictures)
    with pytest.raises(InputError, match="confirm again"):
        carry_out(again, told["agreed"], quiet)
    partner.unlink()
    assert carry_out(make_review(pictures), told["agreed"], quiet)["done"] == 1


def test_a_confirmation_counts_the_partners_that_have_no_copy(pictures: Path, make_review: MakeReview) -> None:
    for name in ("0.xmp", "copies/0 again.xmp", "copies/0 again.mov"):
        (pictures / name).write_bytes(name[-4:].encode())
    review = make_review(pictures)
    group = next(group for group in review.groups if group.max_l2_distance == 0)
    review.choose(group, [path for path in group.files if path.parent.name == "copies"])
    told = plan_dict(review, review.plan())
    assert (told["files"], told["partners"], told["alone"]) == (1, 2, 1)
    assert apply(review)["done"] == 3


def test_an_apply_to_other_folders_is_not_taken_back(pictures: Path, tmp_path: Path, make_review: MakeReview) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(pictures / "1.png", elsewhere / name)
    other, review = make_review(elsewhere), make_review(pictures)
    other.choose(other.groups[0], other.groups[0].files[1:])
    assert apply(other)["done"] == 1
    with pytest.raises(InputError, match="no apply to these folders"):
        take_back(review, quiet)
    assert len(list(elsewhere.iterdir())) == 1 and Desk(review).answers["overview"]({})["applied"] == 0
    assert take_back(other, quiet)["done"] == 1


def test_a_file_that_changed_is_left_alone(pictures: Path, make_review: MakeReview) -> None:
    review = make_review(pictures)
    group = next(group for group in review.groups if group.max_l2_distance == 0)
    group.files[1].write_bytes((pictures / "3.png").read_bytes())
    assert not any(file.goes for file in review.planned(group).files)
    review.choose(group, [group.files[1]])
    told = apply(review)
    assert told["done"] == 0 and len(told["lines"]) == 1 and group.files[1].exists()


def test_facts_and_what_differs(pictures: Path) -> None:
    one, other = facts_of(pictures / "1.png"), facts_of(pictures / "copies" / "1.jpg")
    assert (one.pixels, one.format, one.camera) == ((480, 360), "PNG", None)
    assert {"bytes", "format", "folder", "name"} <= set(differing([one, other])) and "pixels" not in differing(
        [one, other]
    )
    assert facts_of(pictures / "gone.png").bytes is None


def test_pictures_are_laid_on_one_another(pictures: Path, tmp_path: Path) -> None:
    whole = Image.open(pictures / "1.png")
    crop, mirror = tmp_path / "crop.png", tmp_path / "mirror.png"
    whole.crop((48, 36, 432, 324)).save(crop)
    ImageOps.mirror(whole).save(mirror)
    found = place(crop, pictures / "1.png")
    assert found.found and not found.mirrored
    # the crop's corners, in shares of the whole
    np.testing.assert_allclose(found.matrix[:2], [[0.8, 0, 0.1], [0, 0.8, 0.1]], atol=0.004)
    turned = place(mirror, pictures / "1.png")
    assert turned.found and turned.mirrored
    np.testing.assert_allclose(turned.matrix[:2], [[-1, 0, 1], [0, 1, 0]], atol=0.004)
    assert not place(pictures / "0.png", pictures / "1.png").found
