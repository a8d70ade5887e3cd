"""Applying a plan: what goes, and what is left alone."""

from __future__ import annotations

import os
import urllib.parse
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import twinpix
from twinpix.encoder.find import find_files
from twinpix.pipeline.act import disk
from twinpix.pipeline.act.acted import Acted
from twinpix.pipeline.act.apply import apply_plan
from twinpix.pipeline.act.empty import empty_quarantine
from twinpix.pipeline.act.journal import ActBusyError, journals, locked
from twinpix.pipeline.act.plan import Plan
from twinpix.pipeline.act.state import State
from twinpix.pipeline.act.undo import undo
from twinpix.pipeline.decisions import Verdict, content_of, decide, pair_of


@pytest.fixture
def copies(tree: Path, planned: Any, plan_for: Any) -> Plan:
    """`a.png` stays, its two copies go."""
    names = {"a.png": False, "sub/copy.png": True, "sub/deep/copy2.png": True}
    plan: Plan = plan_for([planned(tree / name, goes) for name, goes in names.items()])
    return plan


def reasons(acted: Acted) -> list[str]:
    return [file.reason or file.status.value for file in acted.files]


def test_it_goes_and_comes_back(tree: Path, copies: Plan, account: Any, png: Any) -> None:
    before = account(tree)
    done = apply_plan(copies, yes=True)
    assert reasons(done) == ["done", "done"]
    assert not (tree / "sub/copy.png").exists()
    assert all(file.place is not None and file.place.read_bytes() == png(0) for file in done.files)
    back = undo(yes=True)
    assert (back.run, reasons(back)) == (done.run, ["done", "done"])
    assert account(tree) == before
    with pytest.raises(twinpix.InputError, match="no apply to take back"):
        undo(yes=True)


def test_a_dry_run_touches_nothing(copies: Plan, tmp_path: Path, account: Any) -> None:
    before = account(tmp_path, Path(os.environ["TWINPIX_DATA"]))
    assert apply_plan(copies).dry_run
    assert reasons(apply_plan(copies)) == ["would", "would"]
    assert account(tmp_path, Path(os.environ["TWINPIX_DATA"])) == before


def test_the_quarantine_is_never_searched(copies: Plan, tree: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TWINPIX_DATA", str(tmp_path / "tree" / "data"))
    done = apply_plan(copies, yes=True)
    assert reasons(done) == ["done", "done"]
    assert {path.name for path in find_files([tree]) if path.suffix == ".png"} == {"a.png", "b.png"}
    place = done.files[0].place
    assert place is not None
    again = replace(copies.groups[0].files[1], path=place)
    plan = replace(copies, groups=(replace(copies.groups[0], files=(copies.groups[0].files[0], again)),))
    assert reasons(apply_plan(plan, yes=True)) == ["quarantine"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tree: (tree / "sub/copy.png").write_bytes(b"new"), "changed"),
        (lambda tree: os.utime(tree / "sub/copy.png"), "changed"),
        (lambda tree: (tree / "sub/copy.png").unlink(), "vanished"),
        (lambda tree: (tree / "a.png").unlink(), "no_survivor"),
        (lambda tree: os.truncate(tree / "a.png", 20), "no_survivor"),
        (lambda tree: (tree / "a.png").rename(tree / "renamed.png"), "no_survivor"),
        (lambda tree: _becomes_link(tree / "sub/copy.png"), "symlink"),
        (lambda tree: _becomes_link(tree / "sub"), "symlink"),
        (lambda tree: _becomes_link(tree / "a.png"), "no_survivor"),
        (lambda tree: _same_entry(tree / "sub/copy.png", tree / "a.png"), "changed"),
    ],
)
def test_what_changed_since_is_left_alone(tree: Path, copies: Plan, account: Any, change: Any, reason: str) -> None:
    change(tree)
    before = account(tree)
    assert reasons(apply_plan(copies))[0] == reason
    acted = apply_plan(copies, yes=True)
    assert reasons(acted)[0] == reason
    assert set(before) - set(account(tree)) <= {tree / "sub/deep/copy2.png"}


def _becomes_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


def _same_entry(path: Path, other: Path) -> None:
    path.unlink()
    os.link(other, path)


def test_a_link_to_what_stays_is_no_copy(tree: Path, planned: Any, plan_for: Any) -> None:
    os.link(tree / "a.png", tree / "linked.png")
    plan = plan_for([planned(tree / "a.png", False), planned(tree / "linked.png", True)])
    assert reasons(apply_plan(plan, yes=True)) == ["same_file"]


def test_a_disk_mounted_twice_is_one() -> None:
    one = State(1, 7, 10, 100, 200, 0o644, "aa")
    assert one.is_same_file(replace(one, ctime_ns=300))
    assert one.is_same_file(replace(one, device=2))
    assert not one.is_same_file(replace(one, device=2, ctime_ns=300))
    assert not one.is_same_file(replace(one, inode=8))


def test_what_lies_in_the_trash_does_not_stay(tree: Path, planned: Any, plan_for: Any, png: Any) -> None:
    (tree / ".Trash-7").mkdir()
    (tree / ".Trash-7" / "a.png").write_bytes(png(0))
    plan = plan_for([planned(tree / ".Trash-7" / "a.png", False), planned(tree / "sub/copy.png", True)])
    assert reasons(apply_plan(plan, yes=True)) == ["no_survivor"]


@pytest.mark.parametrize("damaged", [b"", b"\x89PNG\r\n\x1a\n damaged"])
def test_what_stays_must_be_a_picture(tree: Path, planned: Any, plan_for: Any, damaged: bytes) -> None:
    (tree / "a.png").write_bytes(damaged)
    plan = plan_for([planned(tree / "a.png", False), planned(tree / "sub/copy.png", True)])
    assert reasons(apply_plan(plan, yes=True)) == ["no_survivor"]


def test_one_of_each_group_stays_over_all_groups(tree: Path, planned: Any, plan_for: Any) -> None:
    a, b, c = tree / "a.png", tree / "sub/copy.png", tree / "sub/deep/copy2.png"
    everything = plan_for([planned(a, True), planned(b, True)])
    assert reasons(apply_plan(everything, yes=True)) == ["no_survivor", "no_survivor"]
    chain = plan_for([planned(a, False), planned(b, True)], [planned(b, False), planned(c, True)])
    assert reasons(apply_plan(chain, yes=True)) == ["kept_elsewhere", "done"]
    circle = plan_for([planned(a, False), planned(b, True)], [planned(b, False), planned(a, True)])
    assert reasons(apply_plan(circle, yes=True)) == ["kept_elsewhere", "kept_elsewhere"]


def test_nothing_in_a_reference_folder_goes(tree: Path, planned: Any, plan_for: Any) -> None:
    files = [planned(tree / "a.png", False), planned(tree / "sub/copy.png", True)]
    assert reasons(apply_plan(plan_for(files, references=(tree / "sub",)), yes=True)) == ["reference"]


def test_what_was_not_searched_does_not_go(tree: Path, planned: Any, plan_for: Any, png: Any) -> None:
    outside = tree.parent / "outside.png"
    outside.write_bytes(png(0))
    files = [planned(tree / "a.png", False), planned(outside, True), planned(tree / "sub/copy.png", True)]
    assert reasons(apply_plan(plan_for(files), yes=True)) == ["outside", "done"]
    assert outside.read_bytes() == png(0)


def test_a_reference_is_known_by_any_name(tree: Path, planned: Any, plan_for: Any, tmp_path: Path) -> None:
    # as a second mount, or a file system that does not tell capitals apart, would name it
    (tmp_path / "elsewhere").symlink_to(tree / "sub")
    files = [planned(tree / "a.png", False), planned(tree / "sub/deep/copy2.png", True)]
    assert reasons(apply_plan(plan_for(files, references=(tmp_path / "elsewhere",)), yes=True)) == ["reference"]


def test_partners_go_and_come_together(tree: Path, planned: Any, plan_for: Any, account: Any) -> None:
    for name in ("sub/copy.nef", "sub/copy.mov", "sub/copy.png.xmp"):
        (tree / name).write_bytes(name.encode())
    before = account(tree)
    partners = [tree / "sub/copy.nef", tree / "sub/copy.mov", tree / "sub/copy.png.xmp"]
    plan = plan_for([planned(tree / "a.png", False), planned(tree / "sub/copy.png", True, partners)])
    assert reasons(apply_plan(plan, yes=True)) == ["done"] * 4
    assert [path.name for path in (tree / "sub").iterdir()] == ["deep"]
    assert reasons(undo(yes=True)) == ["done"] * 4
    assert account(tree) == before


def test_a_partner_that_changed_or_is_new_keeps_all(tree: Path, planned: Any, plan_for: Any) -> None:
    (tree / "sub/copy.nef").write_bytes(b"raw")
    new = plan_for([planned(tree / "a.png", False), planned(tree / "sub/copy.png", True)])
    assert reasons(apply_plan(new, yes=True)) == ["new_partner"]
    known = plan_for([planned(tree / "a.png", False), planned(tree / "sub/copy.png", True, [tree / "sub/copy.nef"])])
    (tree / "sub/copy.nef").write_bytes(b"another")
    assert reasons(apply_plan(known, yes=True)) == ["changed"]
    assert (tree / "sub/copy.png").exists()


def test_a_shot_that_can_not_go_whole_does_not_go(
    tree: Path, planned: Any, plan_for: Any, account: Any, monkeypatch: Any
) -> None:
    (tree / "sub/copy.nef").write_bytes(b"raw")
    plan = plan_for([planned(tree / "a.png", False), planned(tree / "sub/copy.png", True, [tree / "sub/copy.nef"])])
    before, rename = account(tree), disk._rename

    def stubborn(place: int, name: str, *rest: Any) -> None:
        if name == "copy.nef":
            raise PermissionError(1, "Operation not permitted")
        rename(place, name, *rest)

    monkeypatch.setattr(disk, "_rename", stubborn)
    assert reasons(apply_plan(plan, yes=True)) == ["partner", "permission_denied"]
    assert account(tree) == before


@pytest.mark.parametrize("is_replaced", [False, True])
def test_what_another_program_writes_at_that_moment_goes_back(
    tree: Path, copies: Plan, account: Any, monkeypatch: Any, is_replaced: bool
) -> None:
    move, before = disk._rename, account(tree)

    def overtaken(from_folder: int, name: str, to_folder: int, new_name: str, flags: int) -> None:
        if name == "copy.png" and is_replaced:
            (tree / "new").write_bytes(b"another file")
            (tree / "new").replace(tree / "sub" / "copy.png")
        elif name == "copy.png":
            (tree / "sub" / "copy.png").write_bytes(b"edited")
        move(from_folder, name, to_folder, new_name, flags)

    monkeypatch.setattr(disk, "_rename", overtaken)
    done = apply_plan(copies, yes=True)
    assert reasons(done) == ["changed", "done"]
    assert (tree / "sub" / "copy.png").read_bytes() == (b"another file" if is_replaced else b"edited")
    assert account(tree).keys() == before.keys() - {tree / "sub/deep/copy2.png"}


def test_the_video_of_two_pictures_goes_with_the_last(tree: Path, planned: Any, plan_for: Any, png: Any) -> None:
    for name in ("live.jpg", "live.heic"):
        (tree / "sub" / name).write_bytes(png(0))
    (tree / "sub/live.mov").write_bytes(b"video")
    video = [tree / "sub/live.mov"]
    one = plan_for([planned(tree / "a.png", False), planned(tree / "sub/live.jpg", True, video)])
    assert [file.path.name for file in apply_plan(one, yes=True).files] == ["live.jpg"]
    undo(yes=True)
    both = plan_for([planned(tree / "a.png", False), *(planned(tree / "sub" / n, True, video) for n in
                    ("live.jpg", "live.heic"))])  # fmt: skip
    assert [file.path.name for file in apply_plan(both).files] == ["live.jpg", "live.heic", "live.mov"]
    assert [file.path.name for file in apply_plan(both, yes=True).files] == ["live.jpg", "live.heic", "live.mov"]


def test_the_trash_is_as_desktops_have_it(tree: Path, copies: Plan, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    done = apply_plan(copies, "trash", yes=True)
    place = done.files[0].place
    assert place is not None
    assert place.parent == tmp_path / "share" / "Trash" / "files"
    info = (tmp_path / "share" / "Trash" / "info" / f"{place.name}.trashinfo").read_text()
    assert info.startswith(f"[Trash Info]\nPath={urllib.parse.quote(str(tree / 'sub/copy.png'))}\nDeletionDate=20")
    assert reasons(undo(yes=True)) == ["done", "done"]
    assert list((tmp_path / "share" / "Trash" / "info").iterdir()) == []


def test_to_a_folder_of_ones_own(tree: Path, copies: Plan, tmp_path: Path, account: Any) -> None:
    before = account(tree)
    with pytest.raises(twinpix.InputError, match="was searched"):
        apply_plan(copies, "folder", to=tree / "sub")
    with pytest.raises(twinpix.InputError, match="no such folder"):
        apply_plan(copies, "folder", to=tmp_path / "nothing")
    (tmp_path / "away/tree/sub").mkdir(parents=True)
    (tmp_path / "away/tree/sub/copy.png").write_bytes(b"in the way")
    done = apply_plan(copies, "folder", to=tmp_path / "away", yes=True)
    assert reasons(done) == ["io_error", "done"]
    assert (tmp_path / "away/tree/sub/copy.png").read_bytes() == b"in the way"
    assert (tmp_path / "away/tree/sub/deep/copy2.png").exists()
    assert sorted(file.status.value for file in undo(yes=True).files) == ["already", "done"]
    assert account(tree) == before


def test_a_folder_in_which_files_would_meet_themselves_is_refused(
    tree: Path, copies: Plan, tmp_path: Path, account: Any
) -> None:
    before = account(tree)
    with pytest.raises(twinpix.InputError, match=r"files would go to .*tree, where .*tree was searched"):
        apply_plan(copies, "folder", to=tmp_path, yes=True)
    roots = (tree, tmp_path / "other" / "tree")
    (tmp_path / "away").mkdir()
    apply_plan(replace(copies, roots=roots), "folder", to=tmp_path / "away", yes=True)
    below = tmp_path / "away" / tree.relative_to(tree.anchor)  # two have this name: nothing collides
    assert (below / "sub/copy.png").exists()
    undo(yes=True)
    assert account(tree) == before


def test_what_a_file_goes_for_must_be_there(tree: Path, planned: Any, plan_for: Any) -> None:
    crop = replace(planned(tree / "sub/copy.png", True), instead=tree / "a.png")
    files = [planned(tree / "a.png", False), planned(tree / "b.png", False), crop]
    (tree / "a.png").rename(tree / "elsewhere.png")
    assert reasons(apply_plan(plan_for(files), yes=True)) == ["no_survivor"]
    chosen = [planned(tree / "b.png", False), replace(crop, instead=None)]
    assert reasons(apply_plan(plan_for(chosen), yes=True)) == ["done"], "a person may choose that"
    undo(yes=True)
    same = [planned(tree / "b.png", False), planned(tree / "sub/deep/copy2.png", False), crop]
    (row,) = apply_plan(plan_for(same), yes=True).files
    assert row.message == f"{tree / 'sub/deep/copy2.png'} stays", "the same bytes come first"


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"edited")])
def test_what_a_person_lets_go_goes_while_all_that_stays_is_there(
    tree: Path, planned: Any, plan_for: Any, png: Any, harm: Any
) -> None:
    (tree / "crop.png").write_bytes(png(2))
    files = [planned(tree / "a.png", False), planned(tree / "crop.png", False), planned(tree / "b.png", True)]
    assert reasons(apply_plan(plan_for(files))) == ["would"]
    swapped = [replace(files[2], goes=False), files[1], replace(files[0], goes=True)]
    assert reasons(apply_plan(plan_for(swapped))) == ["would"], "keep and remove of two lines exchanged"
    unread = [replace(files[0], content=""), *files[1:]]
    harm(tree / "a.png")
    for some in (files, unread):
        (row,) = apply_plan(plan_for(some), yes=True).files
        assert row.reason == "no_survivor" and f"while {tree / 'a.png'} stays" in row.message
    assert (tree / "b.png").exists()
    kept = replace(files[2], instead=tree / "a.png")  # that line was taken out, or called different
    assert reasons(apply_plan(plan_for([files[1], kept]), yes=True)) == ["no_survivor"]
    both = [replace(files[0], goes=True), files[1], kept]
    assert reasons(apply_plan(plan_for(both)))[1:] == ["would"], "a person wants both to go for the other"


@pytest.mark.parametrize("place", ["data", "unpacked"])
def test_what_twinpix_keeps_for_itself_does_not_stay(
    tree: Path, planned: Any, plan_for: Any, png: Any, monkeypatch: Any, place: str
) -> None:
    (tree / place / "in").mkdir(parents=True)
    (tree / place / "in" / "a.png").write_bytes(png(0))
    if place == "data":
        monkeypatch.setenv("TWINPIX_DATA", str(tree / "data"))
    else:
        (tree / place / ".twinpix-review").touch()
    own = tree / place / "in" / "a.png"
    assert reasons(apply_plan(plan_for([planned(own, False), planned(tree / "a.png", True)]))) == ["no_survivor"]
    assert reasons(apply_plan(plan_for([planned(tree / "a.png", False), planned(own, True)]))) == ["quarantine"]
    assert own not in set(find_files([tree])) and own in set(find_files([own.parent]))


def test_a_dry_run_knows_a_folder_that_can_not_be_written(tree: Path, copies: Plan, monkeypatch: Any) -> None:
    # root may write everywhere, and tests may be run by it
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tree / "sub" and allowed(path, mode))
    assert reasons(apply_plan(copies)) == ["permission_denied", "would"]


def test_a_dry_run_knows_another_volume(copies: Plan) -> None:
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == copies.roots[0].stat().st_dev:
        pytest.skip("there is no second volume")
    assert reasons(apply_plan(copies, "folder", to="/dev/shm")) == ["other_volume"] * 2


def test_identical_files_become_hard_links(tree: Path, planned: Any, plan_for: Any, account: Any, png: Any) -> None:
    (tree / "other.png").write_bytes(png(9))
    before = account(tree)
    files = [planned(tree / "a.png", False), planned(tree / "sub/copy.png", True), planned(tree / "other.png", True)]
    assert reasons(apply_plan(plan_for(files), "hardlink", yes=True)) == ["done", "not_identical"]
    assert (tree / "sub/copy.png").samefile(tree / "a.png")
    undo(yes=True)
    assert not (tree / "sub/copy.png").samefile(tree / "a.png")
    assert account(tree) == before


def test_a_link_drops_no_tags(tree: Path, planned: Any, plan_for: Any) -> None:
    try:
        os.setxattr(tree / "sub/copy.png", "user.xdg.tags", b"wedding")
    except (OSError, AttributeError):
        pytest.skip("no extended attributes here")
    plan = plan_for([planned(tree / "a.png", False), planned(tree / "sub/copy.png", True)])
    assert reasons(apply_plan(plan, "hardlink", yes=True)) == ["not_identical"]
    os.setxattr(tree / "a.png", "user.xdg.tags", b"wedding,Rome")
    assert reasons(apply_plan(plan, "hardlink", yes=True)) == ["done"]


def test_a_reference_is_not_tied_to_a_copy(tree: Path, planned: Any, plan_for: Any) -> None:
    plan = plan_for([planned(tree / "sub/copy.png", False), planned(tree / "a.png", True)], references=(tree / "sub",))
    assert reasons(apply_plan(plan, "hardlink", yes=True)) == ["reference"]


@pytest.mark.parametrize("supported", [True, False])
def test_identical_files_share_blocks(
    tree: Path, copies: Plan, account: Any, monkeypatch: Any, supported: bool
) -> None:
    before = account(tree)

    def share(source: int, target: int) -> None:  # this file system may not know how
        if not supported:
            raise OSError(95, "Operation not supported")
        os.write(target, os.pread(source, 1 << 20, 0))

    monkeypatch.setattr(disk, "_share_blocks", share)
    inodes = {path: path.stat().st_ino for path in before}
    done = apply_plan(copies, "reflink", yes=True)
    assert account(tree) == before
    assert reasons(done) == (["done"] * 2 if supported else ["unsupported"] * 2)
    assert (inodes == {path: path.stat().st_ino for path in before}) is not supported
    assert len(list(Path(os.environ["TWINPIX_DATA"]).rglob("info/*"))) == (2 if supported else 0)
    if supported:
        undo(yes=True)
        assert inodes == {path: path.stat().st_ino for path in before}


def test_without_a_quarantine_nothing_goes(
    tree: Path, copies: Plan, account: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("twinpix.pipeline.act.places._candidates", lambda kind, top: iter(()))
    before = account(tree)
    assert reasons(apply_plan(copies)) == ["no_quarantine"] * 2  # a dry run says so, too
    assert reasons(apply_plan(copies, yes=True)) == ["no_quarantine"] * 2
    assert account(tree) == before
    assert list(journals().glob("*.jsonl")) == []


@pytest.mark.parametrize("mode", [0o777, 0o722])
def test_a_quarantine_others_can_write_is_not_used(copies: Plan, tmp_path: Path, monkeypatch: Any, mode: int) -> None:
    from twinpix.pipeline.act.places import Bin

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin").chmod(mode)
    monkeypatch.setattr("twinpix.pipeline.act.places._candidates", lambda kind, top: iter((Bin(tmp_path / "bin"),)))
    assert reasons(apply_plan(copies)) == ["no_quarantine"] * 2
    done = apply_plan(copies, yes=True)
    assert reasons(done) == ["no_quarantine"] * 2
    assert "others can write" in done.files[0].message


def test_the_same_plan_again_has_nothing_to_do(copies: Plan) -> None:
    done = apply_plan(copies, yes=True)
    again = apply_plan(copies, yes=True)
    assert (again.run, reasons(again)) == ("", ["already", "already"])
    assert undo(yes=True).run == done.run


def test_one_at_a_time(copies: Plan) -> None:
    with locked(), pytest.raises(ActBusyError):
        apply_plan(copies, yes=True)


def test_no_journal_no_act(tree: Path, copies: Plan, account: Any, monkeypatch: Any) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    before = account(tree)
    monkeypatch.setattr(os, "fsync", full)
    assert reasons(apply_plan(copies, yes=True)) == ["journal", "journal"]
    assert account(tree) == before


def test_a_file_system_that_knows_no_safe_move(tree: Path, copies: Plan, account: Any, monkeypatch: Any) -> None:
    """As network file systems: the quarantine is private, so that a look is enough; undo links and unlinks."""

    def unknown(*args: Any) -> None:
        raise OSError(22, "Invalid argument")

    before = account(tree)
    monkeypatch.setattr(disk, "_rename", unknown)
    assert reasons(apply_plan(copies, yes=True)) == ["done", "done"]
    (tree / "sub/copy.png").write_bytes(b"new")
    assert sorted(reasons(undo(yes=True))) == ["done", "occupied"]
    assert (tree / "sub/copy.png").read_bytes() == b"new"
    (tree / "sub/copy.png").unlink()
    undo(yes=True)
    assert account(tree) == before


def test_unknown_actions_are_named(copies: Plan) -> None:
    for action, to in (("delete", None), ("folder", None), ("trash", "somewhere")):
        with pytest.raises(twinpix.InputError):
            apply_plan(copies, action, to=to)


def test_a_raw_goes_only_while_its_copy_is_there(tree: Path, planned: Any, plan_for: Any, account: Any) -> None:
    raws = [tree / "a.nef", tree / "sub/copy.nef"]
    for raw in raws:
        raw.write_bytes(b"raw")
    plan = plan_for([planned(tree / "a.png", False, raws[:1]), planned(tree / "sub/copy.png", True, raws[1:])])
    raws[0].unlink()
    before = account(tree)
    assert reasons(apply_plan(plan, yes=True)) == ["no_survivor"]
    assert account(tree) == before, "the last copy of the RAW"
    raws[0].write_bytes(b"raw")
    acted = apply_plan(plan, yes=True)
    assert reasons(acted) == ["done", "done"] and acted.files[1].message == f"{raws[0]} stays"
    raws[0].unlink()
    assert reasons(empty_quarantine(0, yes=True)) == ["done", "no_survivor"]
    assert reasons(undo(yes=True))[-1:] == ["done"] and raws[1].read_bytes() == b"raw"


def test_a_raw_without_a_copy_goes_in_plain_words_and_is_not_deleted(tree: Path, planned: Any, plan_for: Any) -> None:
    (raw := tree / "sub/copy.nef").write_bytes(b"raw")
    plan = plan_for([planned(tree / "a.png", False), planned(tree / "sub/copy.png", True, [raw])])
    said = "goes with copy.png: nothing that stays holds a copy of it"
    assert [file.message for file in apply_plan(plan).files] == [f"{tree / 'a.png'} stays", said]
    done = apply_plan(plan, yes=True)
    assert [file.message for file in done.files] == [f"{tree / 'a.png'} stays", said]
    emptied = empty_quarantine(0, yes=True)
    assert reasons(emptied) == ["done", "no_survivor"] and "nothing that stayed holds it" in emptied.files[1].message
    place = done.files[1].place
    assert place is not None and place.read_bytes() == b"raw"
    place.unlink()  # it is a person's to delete
    assert empty_quarantine(0, yes=True).files == ()
    with pytest.raises(twinpix.InputError, match="no apply to take back"):
        undo()


def test_the_jpeg_of_a_raw_has_its_copy_in_the_group(tree: Path, planned: Any, plan_for: Any) -> None:
    (raw := tree / "sub/copy.nef").write_bytes(b"raw")
    jpeg = tree / "sub/copy.png"
    plan = plan_for([planned(tree / "a.png", False), planned(raw, True, [jpeg]), planned(jpeg, True, [raw])])
    assert [file.message for file in apply_plan(plan).files] == [f"{tree / 'a.png'} stays"] * 2
    assert not plan.groups[0].alone


def test_what_a_person_has_called_different_since_does_not_go(
    tree: Path, planned: Any, plan_for: Any, account: Any
) -> None:
    plan = plan_for([planned(tree / "a.png", False), planned(tree / "b.png", True)])
    before = account(tree)
    decide([pair_of(content_of(tree / "a.png"), content_of(tree / "b.png"))], Verdict.DIFFERENT)
    acted = apply_plan(plan, yes=True)
    assert reasons(acted) == ["no_survivor"] and "as you have said" in acted.files[0].message
    assert account(tree) == before
