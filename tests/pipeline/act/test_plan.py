"""Making, writing and reading plans."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import twinpix
from twinpix.pipeline.act.make import make_plan
from twinpix.pipeline.act.partners import owners_of, partners_of
from twinpix.pipeline.act.plan import CHOSEN, Plan, decide
from twinpix.pipeline.act.plan_file import read_plan, write_plan
from twinpix.pipeline.decisions import Verdict, content_of, pair_of
from twinpix.pipeline.decisions import decide as decide_pairs
from twinpix.pipeline.relation.kinds import Kind, Relation


def test_the_biggest_stays_and_sure_copies_go(album: Path, paint: Any) -> None:
    paint(0, 640, 480).save(album / "large.png")
    plan = plan_of(album)
    assert {file.path.name: file.goes for file in plan.groups[0].files} == {
        "large.png": False, "a.png": True, "a copy.png": True, "a.webp": True,
    }  # fmt: skip
    assert plan.groups[0].sure
    assert "resolution: 640x480 px against 320x240 px" in why(plan, "a.png")


def plan_of(*roots: Path, keep: str = "resolution,format,size,oldest,path", references: tuple[Path, ...] = ()) -> Plan:
    report = twinpix.find_duplicates(*roots, *references)
    return make_plan(report, keep, references, roots=roots)


def test_no_file_goes_for_a_picture_of_an_archive(album: Path) -> None:
    (album / "a.webp").unlink()
    report = twinpix.find_duplicates(album)
    plan = make_plan(report, references=[album / "sub"], roots=[album], unpacked=album / "sub")
    assert plan.going == 0 and plan.groups[0].sure
    assert why(plan, "a copy.png") == "stays: in an archive"
    assert make_plan(report, references=[album / "sub"], roots=[album]).going == 1


def why(plan: Plan, name: str) -> str:
    (found,) = [file.why for group in plan.groups for file in group.files if file.path.name == name]
    return found


def test_a_plan_survives_the_file(album: Path, tmp_path: Path) -> None:
    hostile = album / os.fsdecode(b"\xff\xfe <script> \n =cmd \xe2\x80\xae.png")
    hostile.write_bytes((album / "a.png").read_bytes())
    plan = plan_of(album)
    write_plan(plan, tmp_path / "plan.jsonl")
    assert read_plan(tmp_path / "plan.jsonl") == plan
    assert hostile in {file.path for file in plan.groups[0].files}
    assert all(c.isprintable() or c == "\n" for c in (tmp_path / "plan.jsonl").read_text("utf-8"))


def test_a_plan_may_have_a_long_name(tmp_path: Path) -> None:
    plan, target = Plan((), (), (), ("path",), ""), tmp_path / ("é" * 127)
    write_plan(plan, target)
    assert read_plan(target) == plan and list(tmp_path.iterdir()) == [target]


def test_one_word_of_a_line_is_edited(album: Path, tmp_path: Path) -> None:
    write_plan(plan_of(album), tmp_path / "plan.jsonl")
    lines = (tmp_path / "plan.jsonl").read_text().splitlines()
    lines = [line.replace('"do": "remove"', '"do": "keep"') if "a.webp" in line else line for line in lines]
    (tmp_path / "plan.jsonl").write_text("\r\n".join(lines), newline="")
    edited = read_plan(tmp_path / "plan.jsonl")
    assert [file.path.name for file in edited.groups[0].files if file.goes] == ["a copy.png"]


@pytest.mark.parametrize(
    ("line", "change", "said"),
    [
        (0, {"twinpix_plan": 2}, "schema 1"),
        (2, {"do": "delete"}, "keep or remove"),
        (2, {"do": ["remove"]}, '"do" has a value'),
        (2, {"path": "//a.png"}, "no absolute path"),
        (2, {"group": 7}, "group's line is not above"),
        (2, {"path": "a.png"}, "no absolute path"),
        (2, {"path": "/a/../b.png"}, "no absolute path"),
        (2, {"size": True}, "size"),
        (2, {"content": "00"}, "32 hex digits"),
        (2, {"partners": [3]}, "partner"),
        (1, {"max_l2_distance": 9}, "0 to 2"),
    ],
)
def test_a_bad_line_is_named(album: Path, tmp_path: Path, line: int, change: dict[str, Any], said: str) -> None:
    write_plan(plan_of(album), tmp_path / "plan.jsonl")
    rows = [json.loads(row) for row in (tmp_path / "plan.jsonl").read_text().splitlines()]
    rows[line] |= change
    (tmp_path / "bad.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(twinpix.InputError, match=rf"bad.jsonl, line {line + 1}: .*{said}"):
        read_plan(tmp_path / "bad.jsonl")


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    write_plan(Plan((), (), (), ("path",), ""), tmp_path / "plan.jsonl")
    with open(tmp_path / "plan.jsonl", "a") as file:
        file.write('{"group": 1, sure')
    with pytest.raises(twinpix.InputError, match="line 2: no valid JSON at character 14: mend the line"):
        read_plan(tmp_path / "plan.jsonl")


def test_a_key_that_is_there_twice_is_named(album: Path, tmp_path: Path) -> None:
    write_plan(plan_of(album), tmp_path / "plan.jsonl")
    lines = (tmp_path / "plan.jsonl").read_text().splitlines()
    lines[2] = lines[2].replace('"do": ', '"do": "keep", "do": ')
    (tmp_path / "plan.jsonl").write_text("\n".join(lines))
    with pytest.raises(twinpix.InputError, match="line 3: 'do' is there twice"):
        read_plan(tmp_path / "plan.jsonl")


def test_a_picture_is_not_overwritten_by_a_plan(album: Path, tmp_path: Path) -> None:
    plan = Plan((), (), (), ("path",), "")
    picture = sorted(album.rglob("*.png"))[0]
    before = picture.read_bytes()
    for target, said in ((picture, "not overwritten: name another file"), (Path("/dev/null"), "no regular file")):
        with pytest.raises(twinpix.InputError, match=said):
            write_plan(plan, target)
    assert picture.read_bytes() == before and Path("/dev/null").is_char_device()
    (tmp_path / "empty").touch()
    for target in (tmp_path / "new", tmp_path / "empty", tmp_path / "new"):
        write_plan(plan, target)
        assert read_plan(target) == plan


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"twinpix_plan": 1}'])
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "no plan").write_bytes(content)
    with pytest.raises(twinpix.InputError, match="no plan"):
        read_plan(tmp_path / "no plan")


def test_references_stay_and_are_preferred(album: Path, tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "small.png").write_bytes((album / "a.png").read_bytes())
    plan = plan_of(album, references=(tmp_path / "reference",))
    assert {f.path.name for f in plan.groups[0].files if f.goes} == {"a.png", "a copy.png", "a.webp"}
    assert why(plan, "small.png") == "stays: in a reference folder"


@pytest.mark.parametrize("name", ["tmp", "Trash", ".hidden", "Recycle Bin", "old_cache"])
def test_no_file_goes_for_one_in_a_folder_that_may_be_emptied(album: Path, name: str) -> None:
    for path in (album / "sub" / "a copy.png", album / "a.webp"):
        path.unlink()
    (album / name).mkdir()
    (album / "sub" / "deep").mkdir()
    shutil.copy(album / "a.png", album / name / "a.png")
    (album / "a.png").rename(album / "sub" / "deep" / "the original, on a longer path.png")
    (file,) = [file for group in plan_of(album).groups for file in group.files if file.goes]
    assert file.path == album / name / "a.png" and "hidden folder" in file.why


def test_what_a_symbolic_link_leads_to_is_left_to_a_person(album: Path) -> None:
    (album / "favourites").mkdir()
    (album / "favourites" / "best.png").symlink_to("../sub/a copy.png")
    plan = plan_of(album)
    assert {f.path.name for f in plan.groups[0].files if f.goes} == {"a.webp"} and not plan.groups[0].sure
    assert "best.png leads to it" in why(plan, "a copy.png")


def test_hard_links_stay(album: Path) -> None:
    os.link(album / "a.png", album / "linked.png")
    plan = plan_of(album)
    assert {f.path.name for f in plan.groups[0].files if f.goes} == {"a copy.png", "a.webp"}
    assert "removing it would free nothing" in why(plan, "linked.png")


@pytest.mark.parametrize("kind", ["crop", "grey", "caption", "noise", "blur", "speckles", "hue"])
def test_edited_pictures_are_left_to_a_person(tmp_path: Path, paint: Any, kind: str) -> None:
    picture = paint(3, 640, 480, cells=40)
    picture.save(tmp_path / "a.jpg", quality=95)
    edited = {
        "crop": lambda: picture.crop((30, 20, 590, 440)),
        "grey": lambda: picture.convert("L").convert("RGB"),
        "caption": lambda: _captioned(picture),
        "noise": lambda: _noisy(picture, lambda levels, dice: levels + dice.normal(0, 20, levels.shape)),
        "hue": lambda: _noisy(picture, lambda levels, dice: levels[..., ::-1]),
        "blur": lambda: picture.filter(ImageFilter.GaussianBlur(6)),
        "speckles": lambda: _noisy(
            picture, lambda levels, dice: np.where(dice.random(levels.shape) < 0.02, 255, levels)
        ),
    }[kind]()
    edited.save(tmp_path / "edited.png")
    report = twinpix.find_duplicates(tmp_path)
    plan = make_plan(report)
    assert plan.going == 0
    for group in plan.groups:
        assert not group.sure
        assert "look at it" in group.because


def test_a_faint_colour_goes_for_no_grey(tmp_path: Path, paint: Any) -> None:
    grey = np.asarray(paint(3, 640, 480, cells=40).convert("L"), np.float32)[..., None]
    faint = Image.fromarray((grey + np.array((4, 0, -4))).clip(0, 255).astype(np.uint8))
    faint.save(tmp_path / "faint.jpg", quality=95)
    faint.convert("L").save(tmp_path / "grey.png")
    assert plan_of(tmp_path).going == 0
    faint.save(tmp_path / "grey.png")
    assert plan_of(tmp_path).going == 1


def test_what_was_shrunk_and_enlarged_does_not_stay_alone(tmp_path: Path, paint: Any) -> None:
    fine = np.random.default_rng(0).normal(0, 6, (1800, 2400, 1))
    picture = Image.fromarray((np.asarray(paint(3, 2400, 1800, cells=40), np.float32) + fine).clip(0, 255).astype("u1"))
    picture.save(tmp_path / "original.jpg", quality=95)
    picture.resize((1400, 1050)).resize((2440, 1830)).save(tmp_path / "enlarged.jpg", quality=95)
    assert plan_of(tmp_path).going == 0


@pytest.mark.parametrize("worse", ["blurred", "enlarged"])
def test_crisp_edges_go_for_no_soft_ones(tmp_path: Path, worse: str) -> None:
    chart = Image.new("RGB", (900, 640), "white")
    draw, dice = ImageDraw.Draw(chart), np.random.default_rng(4)
    for at in range(40):
        draw.rectangle(
            [20 + 22 * at, int(dice.integers(40, 600)), 36 + 22 * at, 610], fill=(30 + 5 * at, 90, 200 - 4 * at)
        )
        draw.text((20 + 22 * at, 615), str(at), fill="black")
    chart.save(tmp_path / "crisp.png")
    half = chart.resize((450, 320), Image.Resampling.LANCZOS).resize((1080, 768), Image.Resampling.BICUBIC)
    {"blurred": chart.filter(ImageFilter.GaussianBlur(0.8)), "enlarged": half}[worse].save(tmp_path / "soft.png")
    plan = plan_of(tmp_path)
    assert plan.groups and "crisp.png" not in {file.path.name for file in plan.groups[0].files if file.goes}


@pytest.mark.parametrize("sigma", [1.5, 1.8])
def test_a_sharp_photo_goes_for_none_with_a_blurred_part(tmp_path: Path, grainy: Any, sigma: float) -> None:
    grainy.save(tmp_path / "sharp.jpg", quality=91)
    _blurred(grainy, (300, 200, 600, 500), sigma).save(tmp_path / "blurred.jpg", quality=96)  # more bytes
    plan = plan_of(tmp_path)
    assert plan.groups and plan.going == 0
    assert "a part of it is sharper" in why(plan, "sharp.jpg")


def test_of_two_frames_with_the_focus_elsewhere_both_stay(tmp_path: Path, grainy: Any) -> None:
    for name, part in (("left.jpg", (700, 0, 1400, 1000)), ("right.jpg", (0, 0, 700, 1000))):
        _blurred(grainy, part, 1.5).save(tmp_path / name, quality=92)
    plan = plan_of(tmp_path)
    assert plan.groups and plan.going == 0
    assert "a part of it is sharper" in "".join(file.why for file in plan.groups[0].files)


def test_a_coarser_and_a_smaller_copy_are_as_sharp(tmp_path: Path, grainy: Any) -> None:
    grainy.save(tmp_path / "sharp.jpg", quality=91)
    grainy.save(tmp_path / "copy.jpg", quality=75)
    grainy.resize((700, 500)).save(tmp_path / "half.webp", quality=80)
    assert plan_of(tmp_path).going == 2


@pytest.fixture(scope="module")
def grainy(paint: Any) -> Image.Image:
    fine = np.random.default_rng(0).normal(0, 6, (1000, 1400, 1))
    return Image.fromarray((np.asarray(paint(3, 1400, 1000, cells=40), np.float32) + fine).clip(0, 255).astype("u1"))


def _blurred(picture: Any, part: tuple[int, int, int, int], sigma: float) -> Any:
    blurred = picture.copy()
    blurred.paste(picture.crop(part).filter(ImageFilter.GaussianBlur(sigma)), part[:2])
    return blurred


def _noisy(picture: Any, change: Any) -> Any:
    changed = change(np.asarray(picture, np.float32), np.random.default_rng(0))
    return Image.fromarray(changed.clip(0, 255).astype(np.uint8))


def _captioned(picture: Any) -> Any:
    captioned = picture.copy()
    captioned.paste((255, 255, 255), (0, 400, 640, 480))
    return captioned


def test_blank_pages_are_left_to_a_person(tmp_path: Path, paint: Any) -> None:
    for i, size in enumerate(((200, 300), (210, 300), (400, 600))):
        Image.new("RGB", size, (250, 250, 250)).save(tmp_path / f"{i}.png")
    report = twinpix.find_duplicates(tmp_path)
    assert report.groups
    assert make_plan(report).going == 0


def test_a_file_changed_since_the_search_is_left_alone(album: Path) -> None:
    report = twinpix.find_duplicates(album)
    plan = make_plan(report, since_ns=0)
    assert plan.going == 0
    assert {file.content for file in plan.groups[0].files} == {""}


# a PNG goes for no WebP: how much that has lost can't be told
@pytest.mark.parametrize(
    ("keep", "stays"), [("oldest", ["a.webp", "a.png"]), ("newest", ["a copy.png"]), ("format", ["a.png"])]
)
def test_the_first_rule_that_can_tell_decides(album: Path, keep: str, stays: list[str]) -> None:
    for name, seconds in (("a.webp", 1e9), ("a.png", 1.1e9), ("sub/a copy.png", 1.2e9)):
        os.utime(album / name, (seconds, seconds))
    plan = plan_of(album, keep=keep)
    assert [f.path.name for f in plan.groups[0].files if not f.goes] == stays
    assert plan.keep == (keep, "path")


@pytest.mark.parametrize("keep", ["biggest", "size,size"])
def test_unknown_rules_are_named(album: Path, keep: str) -> None:
    with pytest.raises(twinpix.InputError, match="--keep"):
        plan_of(album, keep=keep)


def test_a_partner_without_a_copy_keeps_its_picture(album: Path) -> None:
    (album / "sub" / "a copy.nef").write_bytes(b"raw")
    plan = plan_of(album)
    assert {f.path.name for f in plan.groups[0].files if f.goes} == {"a.webp"}
    assert "partner a copy.nef has no copy" in why(plan, "a copy.png")


def test_a_sidecar_may_write_its_accents_otherwise(tmp_path: Path) -> None:
    for name in ("caf\u00e9.jpg", "cafe\u0301.xmp", "cafe\u0301.jpg.xmp", "cafe.xmp"):
        (tmp_path / name).write_bytes(b"")
    found = {other.name for other in partners_of(tmp_path / "caf\u00e9.jpg")}
    assert found == {"cafe\u0301.xmp", "cafe\u0301.jpg.xmp"}
    assert owners_of(tmp_path / "cafe\u0301.xmp") == (tmp_path / "caf\u00e9.jpg",)


@pytest.mark.parametrize(
    ("picture", "partner"),
    [
        ("IMG.jpg", "IMG.jpg.json"), ("IMG(1).jpg", "IMG.jpg(1).json"),
        ("IMG.jpg", "IMG.jpg.supplemental-metadata.json"),
        ("IMG(1).jpg", "IMG.jpg.supplemental-metadata(1).json"), ("IMG.jpg", "IMG.jpg.supplemental-me.json"),
        ("IMG.jpg", "IMG.jpg.s.json"), ("IMG.jpg", "IMG.json"), ("n" * 47 + ".jpg", "n" * 46 + ".json"),
        ("IMG.jpg", "IMG.crw"), ("IMG.jpg", "IMG.ori"), ("IMG.jpg", "IMG.m4v"), ("IMG.jpg", "IMG.3gp"),
        ("IMG.jpg", "IMG.AVI"), ("IMG.jpg", "IMG.MTS"), ("PXL_1.MP.jpg", "PXL_1.MP"), ("IMG.jpg", "IMG.wav"),
        ("IMG.jpg", "IMG.jpg.dop"), ("IMG.jpg", "IMG.jpg.pp3"), ("IMG.jpg", "IMG.on1"), ("IMG.jpg", "IMG.cos"),
        ("IMG.jpg", "IMG_01.jpg.xmp"), ("IMG.jpg", "IMG.thm"), ("IMG.JPG", "img.jpg.MOV"), ("a.b.jpg", "a.b.jpg.json"),
        ("IMG.jpg", "IMG.txt"), ("IMG.jpg", "IMG.jpg.nksc"), ("IMG.jpg", "IMG.acr"), ("IMG.jpg", "IMG.jpg.vrd"),
        ("IMG.jpg", "IMG.jpg.arp"), ("IMG.jpg", "IMG.jpg.out.pp3"), ("IMG.jpg", "IMG.psd"), ("IMG.gif", "IMG.xcf"),
        ("IMG.jpg", "IMG.m4a"), ("IMG.jpg", "IMG.insv"), ("IMG.jpg", "IMG.jpg_original"), ("IMG.bmp", "IMG.caption"),
    ],
)  # fmt: skip
def test_what_belongs_to_a_picture(tmp_path: Path, picture: str, partner: str) -> None:
    for name in (picture, partner, "IMG(2).jpg", "IMG_1.jpg", "other.jpg", "IMG.jpg.b.json", "other.jpg.json"):
        (tmp_path / name).write_bytes(b"")
    assert partners_of(tmp_path / picture) == (tmp_path / partner,)
    assert owners_of(tmp_path / partner) == (tmp_path / picture,)


def test_partners_with_a_copy_go_too(album: Path) -> None:
    for name in ("sub/a copy.nef", "a.nef"):
        (album / name).write_bytes(b"raw")
    for name in ("sub/a copy.png.xmp", "a.xmp"):
        (album / name).write_bytes(b"sidecar")
    plan = plan_of(album)
    (gone,) = [f for f in plan.groups[0].files if f.path.name == "a copy.png"]
    assert gone.goes
    assert [p.path.name for p in gone.partners] == ["a copy.nef", "a copy.png.xmp"]


def test_decisions_replace_the_proposal(album: Path) -> None:
    plan = plan_of(album)
    chosen = decide(plan, [album / "a.png"])
    assert [(f.path.name, f.why) for f in chosen.groups[0].files if f.goes] == [("a.png", CHOSEN)]
    assert chosen.going == 1
    assert decide(plan, []).going == 0
    assert decide(plan, [f.path for f in plan.groups[0].files if f.goes]) == plan


def test_what_goes_says_what_it_is(album: Path, paint: Any) -> None:
    paint(0).save(album / "again.jpg", quality=95)
    paint(0, 240, 180).save(album / "small.png")
    plan = plan_of(album)
    assert "identical pixels" in why(plan, "a.webp") and "the same bytes" in why(plan, "a copy.png")
    assert "second look: re-encoded" in why(plan, "again.jpg") and "second look: resized" in why(plan, "small.png")


@pytest.mark.parametrize("kind", [Kind.EDITED, Kind.SAME_SCENE, Kind.DIFFERENT, Kind.TOO_LITTLE])
def test_nothing_goes_that_is_not_unedited(album: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    monkeypatch.setattr("twinpix.pipeline.act.sure.relation_of_looks", lambda *seen: Relation(kind))
    going = [file.path.name for group in plan_of(album).groups for file in group.files if file.goes]
    assert going == ["a copy.png"]
    assert str(kind) in why(plan_of(album), "a.webp")


def test_small_print_keeps_a_picture(tmp_path: Path, paint: Any) -> None:
    photo = paint(4, 1200, 900, cells=60)
    for number, seat in enumerate(("12A", "47C")):
        ticket = photo.copy()
        pen = ImageDraw.Draw(ticket)
        pen.rectangle([300, 300, 800, 600], fill="white")
        pen.text((340, 400), f"SEAT {seat}", fill="black", font=ImageFont.load_default(40))
        ticket.save(tmp_path / f"ticket{number}.jpg", quality=92)
    assert not any(file.goes for group in plan_of(tmp_path).groups for file in group.files)


def test_a_smaller_copy_of_a_detailed_photo_goes(tmp_path: Path, paint: Any) -> None:
    photo = paint(6, 1000, 750, cells=90)
    photo.save(tmp_path / "large.jpg", quality=95)
    photo.resize((600, 450), Image.Resampling.BICUBIC).save(tmp_path / "small.jpg", quality=90)
    assert [file.path.name for group in plan_of(tmp_path).groups for file in group.files if file.goes] == ["small.jpg"]


def test_animations_are_left_to_a_person(tmp_path: Path, paint: Any) -> None:
    frames = [paint(seed, 200, 150, cells=20) for seed in range(6)]
    for name, some in (("whole", frames), ("half", frames[::2])):
        some[0].save(tmp_path / f"{name}.webp", save_all=True, append_images=some[1:], duration=100, lossless=True)
    assert not any(file.goes for group in plan_of(tmp_path).groups for file in group.files)


def test_what_else_a_file_holds_keeps_it(tmp_path: Path, paint: Any) -> None:
    photo, first, second = (paint(seed, 400, 300, cells=40) for seed in (6, 7, 8))
    photo.save(tmp_path / "one.mpo", save_all=True, append_images=[first])  # as of cameras with two lenses
    photo.save(tmp_path / "other.mpo", save_all=True, append_images=[second])
    plan = plan_of(tmp_path)
    assert not any(file.goes for group in plan.groups for file in group.files)
    assert "holds 2 pictures" in why(plan, "one.mpo") + why(plan, "other.mpo")


def test_depth_keeps_a_file(tmp_path: Path, paint: Any) -> None:
    deep = np.asarray(paint(6, 400, 300, cells=40).convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png", compress_level=9)
    Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "flat.png", compress_level=0)
    plan = plan_of(tmp_path, keep="oldest")
    assert not any(file.goes and file.path.name == "deep.png" for group in plan.groups for file in group.files)
    relation = twinpix.explain(tmp_path / "deep.png", tmp_path / "flat.png").relation
    assert relation.kind is not Kind.IDENTICAL_PIXELS


@pytest.mark.parametrize("name", ["0.jpg", "c.jpg"])
def test_not_a_duplicate_holds_through_a_third_file(tmp_path: Path, paint: Any, name: str) -> None:
    picture = paint(6, 800, 600, cells=60)
    for file, quality in (("a.jpg", 90), ("b.jpg", 88)):
        picture.save(tmp_path / file, quality=quality)
    a, b = (content_of(tmp_path / file) for file in ("a.jpg", "b.jpg"))
    decide_pairs([pair_of(a, b)], Verdict.DIFFERENT)
    picture.save(tmp_path / name, quality=96)  # a better copy of one of the two, and nobody has said of which
    plan = plan_of(tmp_path)
    assert plan.groups and plan.going == 0
    assert any("have called" in file.why for file in plan.groups[0].files)
    shutil.copy(tmp_path / name, tmp_path / "same bytes.jpg")
    assert [file.path.name for group in plan_of(tmp_path).groups for file in group.files if file.goes] == [
        "same bytes.jpg"
    ]


def test_an_original_goes_for_no_covered_copy_that_is_saved_better(tmp_path: Path, grainy: Any) -> None:
    grainy.save(tmp_path / "original.jpg", quality=91)
    os.utime(tmp_path / "original.jpg", (1e9, 1e9))
    with Image.open(tmp_path / "original.jpg") as original:
        _blurred(original, (640, 384, 672, 400), 2).save(tmp_path / "covered.jpg", quality=97)
    plan = plan_of(tmp_path, keep="newest")
    assert plan.groups and plan.going == 0
    assert "at full size they differ around 6" in why(plan, "original.jpg")


def test_of_the_same_bytes_what_has_tags_stays(album: Path) -> None:
    copy = album / "sub" / "a copy.png"
    try:
        os.setxattr(copy, "user.xdg.tags", b"wedding,aunt May")
    except (OSError, AttributeError):
        pytest.skip("no extended attributes here")
    plan = plan_of(album)
    assert {file.path.name for file in plan.groups[0].files if file.goes} == {"a.png", "a.webp"}
    assert "it has tags, a comment or a rating" in why(plan, "a.png")
    os.setxattr(album / "a.webp", "user.baloo.rating", b"10")
    os.setxattr(album / "a.png", "user.xdg.comment", b"the only portrait")
    plan = plan_of(album)
    assert plan.going == 0 and "it tells words" in why(plan, "a.png") and "it tells a rating" in why(plan, "a.webp")
