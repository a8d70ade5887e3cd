"""Taking back, emptying, and journals that were damaged."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import twinpix
from twinpix.pipeline.act.acted import Acted, ActedFile, ActStatus
from twinpix.pipeline.act.apply import apply_plan
from twinpix.pipeline.act.empty import empty_quarantine
from twinpix.pipeline.act.journal import journals, open_journals
from twinpix.pipeline.act.undo import _restore, undo

COPIES = ("sub/copy.png", "sub/deep/copy2.png")


@pytest.fixture
def done(tree: Path, planned: Any, plan_for: Any) -> Acted:
    """`sub/copy.png` and `sub/deep/copy2.png` are in the quarantine."""
    names = {"a.png": False, "sub/copy.png": True, "sub/deep/copy2.png": True}
    return apply_plan(plan_for([planned(tree / name, goes) for name, goes in names.items()]), yes=True)


def reasons(acted: Acted) -> list[str]:
    return [file.reason or file.status.value for file in acted.files]


def place(file: ActedFile) -> Path:
    assert file.place is not None
    return file.place


def test_a_linked_path_that_was_deleted_comes_back(tree: Path, planned: Any, plan_for: Any, account: Any) -> None:
    before = account(tree)
    files = [planned(tree / "a.png", False), planned(tree / "sub/copy.png", True)]
    apply_plan(plan_for(files), "hardlink", yes=True)
    (tree / "sub/copy.png").unlink()
    assert reasons(undo(yes=True)) == ["done"]
    assert account(tree) == before


def test_a_place_that_is_the_path_itself_is_never_emptied(tree: Path, done: Acted, account: Any) -> None:
    entry = open_journals()[-1].entries[0]
    undo(yes=True)
    before = account(tree)
    assert _restore(replace(entry, place=entry.path, info="")).status is ActStatus.ALREADY
    assert account(tree) == before


def test_folders_that_are_gone_are_made_again(tree: Path, done: Acted) -> None:
    shutil.rmtree(tree / "sub")
    assert reasons(undo(yes=True)) == ["done", "done"]
    assert (tree / "sub/deep/copy2.png").exists()


def test_nothing_is_overwritten(tree: Path, done: Acted) -> None:
    (tree / "sub/copy.png").write_bytes(b"new")
    assert sorted(reasons(undo())) == ["occupied", "would"]
    assert sorted(reasons(undo(yes=True))) == ["done", "occupied"]
    assert (tree / "sub/copy.png").read_bytes() == b"new"
    (tree / "sub/copy.png").unlink()
    assert sorted(reasons(undo(yes=True))) == ["already", "done"]


def test_times_and_modes_are_restored_whatever_happened(tree: Path, done: Acted) -> None:
    os.utime(place(done.files[0]), ns=(5, 5))
    place(done.files[0]).chmod(0o777)
    undo(yes=True)
    now = (tree / "sub/copy.png").stat()
    assert (now.st_mtime_ns, now.st_mode & 0o777) == (1_100_000_000_000_000_001, 0o600)


def test_what_was_done_through_another_name_stays(tree: Path, planned: Any, plan_for: Any) -> None:
    os.link(tree / "sub/copy.png", tree / "linked.png")
    apply_plan(plan_for([planned(tree / "a.png", False), planned(tree / "sub/copy.png", True)]), yes=True)
    os.utime(tree / "linked.png", ns=(5, 5))
    assert reasons(undo(yes=True)) == ["done"]
    assert (tree / "sub/copy.png").samefile(tree / "linked.png")
    assert (tree / "linked.png").stat().st_mtime_ns == 5


def test_what_changed_in_the_quarantine_is_said(tree: Path, done: Acted) -> None:
    place(done.files[0]).write_bytes(b"something else")
    place(done.files[1]).unlink()
    assert sorted(reasons(undo(yes=True))) == ["changed", "lost"]
    assert not (tree / "sub/copy.png").exists()


def test_the_last_apply_first(tree: Path, done: Acted, planned: Any, plan_for: Any, png: Any) -> None:
    (tree / "b2.png").write_bytes(png(1))
    second = apply_plan(plan_for([planned(tree / "b.png", False), planned(tree / "b2.png", True)]), yes=True)
    assert undo().run == second.run
    assert undo(done.run, yes=True).run == done.run
    assert undo(yes=True).run == second.run
    with pytest.raises(twinpix.InputError, match="no apply nonsense"):
        undo("nonsense")


def test_another_file_in_its_path_does_not_stand_for_what_is_lost(tree: Path, done: Acted) -> None:
    away = place(done.files[0]).rename(place(done.files[0]).with_name("away"))
    (tree / "sub/copy.png").write_bytes(b"new")
    assert sorted(reasons(undo())) == ["lost", "would"]
    assert sorted(reasons(undo(yes=True))) == ["done", "lost"]
    assert "another file has its path now" in next(f.message for f in undo().files if f.reason == "lost")
    (tree / "sub/copy.png").unlink()
    away.rename(place(done.files[0]))
    assert sorted(reasons(undo(yes=True))) == ["already", "done"]


def test_what_is_lost_does_not_hide_the_apply_before(
    tree: Path, done: Acted, planned: Any, plan_for: Any, png: Any
) -> None:
    (tree / "b2.png").write_bytes(png(1))
    second = apply_plan(plan_for([planned(tree / "b.png", False), planned(tree / "b2.png", True)]), yes=True)
    place(second.files[0]).unlink()
    (lost,) = undo(yes=True).files
    assert lost.reason == "lost" and lost.message.endswith(f"twinpix undo {done.run}")
    assert reasons(undo(done.run, yes=True)) == ["done", "done"]
    assert "twinpix undo" not in undo(yes=True).files[0].message  # there is none before it


def test_a_line_that_was_cut_off_was_not_done(tree: Path, done: Acted) -> None:
    (journal,) = journals().glob("*.jsonl")
    journal.write_bytes(journal.read_bytes() + b'{"row": {"entry": {"path": "/x')
    assert reasons(undo(yes=True)) == ["done", "done"]


@pytest.mark.parametrize(("cut", "said"), [(1, ["done", "done"]), (40, ["done", "damaged"])])
def test_a_line_that_lost_its_end_is_of_an_act_that_was_done(
    tree: Path, done: Acted, cut: int, said: list[str]
) -> None:
    (journal,) = journals().glob("*.jsonl")
    os.truncate(journal, journal.stat().st_size - cut)
    assert reasons(undo(yes=True)) == said
    assert (tree / "sub/copy.png").exists() and (tree / "sub/deep/copy2.png").exists() is (cut == 1)
    assert journal.exists() is (cut > 1), "its file may still be in the quarantine"


@pytest.mark.parametrize("line", [0, 1, 2])
def test_every_flipped_bit_of_a_journal_is_seen(tree: Path, done: Acted, line: int) -> None:
    (journal,) = journals().glob("*.jsonl")
    content = bytearray(journal.read_bytes())
    starts = [0, *(i + 1 for i, byte in enumerate(content) if byte == 0x0A)]
    for at in range(starts[line], starts[line + 1] - 1, 7):
        flipped = bytearray(content)
        flipped[at] ^= 1
        journal.write_bytes(flipped)
        assert "damaged" in reasons(undo()), at
    assert reasons(empty_quarantine(0)).count("would") == (0 if line == 0 else 1)
    undo(yes=True)
    journal.write_bytes(content)
    undo(yes=True)
    assert (tree / "sub/copy.png").exists()


def test_the_quarantine_is_emptied_when_told_to(tree: Path, done: Acted) -> None:
    assert empty_quarantine(yes=True).files == ()
    assert reasons(empty_quarantine(0)) == ["would", "would"]
    assert place(done.files[0]).exists()
    assert reasons(empty_quarantine(0, yes=True)) == ["done", "done"]
    assert not place(done.files[0]).exists()
    assert empty_quarantine(0, yes=True).files == ()
    with pytest.raises(twinpix.InputError):
        undo()
    with pytest.raises(twinpix.InputError):
        empty_quarantine(-1)


@pytest.mark.parametrize(
    ("applied", "emptied", "said"),
    [
        (lambda now: now - 40 * 86400, 0, ["clock", "clock"]),
        (lambda now: 1e9, 400, ["clock", "done"]),  # the first copy was changed later, the other earlier
        (lambda now: now + 90 * 86400, 0, ["clock"]),
        (lambda now: now, 31, ["done", "done"]),
    ],
)
def test_a_wrong_clock_voids_no_thirty_days(
    tree: Path, planned: Any, plan_for: Any, monkeypatch: Any, applied: Any, emptied: int, said: list[str]
) -> None:
    files = [planned(tree / "a.png", False), *(planned(tree / name, True) for name in COPIES)]
    now = time.time()
    with monkeypatch.context() as wrong:
        wrong.setattr("twinpix.pipeline.act.journal.time.time", lambda: applied(now))
        apply_plan(plan_for(files), yes=True)
    monkeypatch.setattr("twinpix.pipeline.act.empty.time.time", lambda: now + emptied * 86400 + 60)
    assert reasons(empty_quarantine(yes=True)) == said
    assert not (set(said) & {"clock"}) or "--older-than 0" in empty_quarantine().files[0].message
    assert reasons(empty_quarantine(0, yes=True)) == ["done"] * (2 - said.count("done"))


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"edited")])
def test_the_last_copy_is_not_emptied(tree: Path, done: Acted, harm: Any) -> None:
    harm(tree / "a.png")
    assert reasons(empty_quarantine(0, yes=True)) == ["no_survivor", "no_survivor"]
    assert reasons(undo(yes=True)) == ["done", "done"]


@pytest.mark.parametrize("missing", ["sub", "a.png", "quarantine"])
def test_a_disk_that_is_not_connected_ends_no_journal(tree: Path, done: Acted, missing: str) -> None:
    # of a disk that is away all is gone, or an empty folder is there in its place
    quarantine = place(done.files[0]).parent
    quarantine.rename(tree.parent / "away")
    if missing != "quarantine":
        quarantine.mkdir()
        (tree / missing).rename(tree.parent / "away too")
    assert reasons(empty_quarantine(0)) == reasons(empty_quarantine(0, yes=True)) == ["lost", "lost"]
    if missing != "quarantine":
        quarantine.rmdir()
        (tree.parent / "away too").rename(tree / missing)
    (tree.parent / "away").rename(quarantine)
    assert reasons(undo(yes=True)) == ["done", "done"]


def test_what_was_deleted_by_hand_is_gone(tree: Path, done: Acted) -> None:
    for file in done.files:
        place(file).unlink()
    assert empty_quarantine(0, yes=True).files == ()
    with pytest.raises(twinpix.InputError, match="no apply to take back"):
        undo()


def test_what_is_back_needs_nothing_to_stay(tree: Path, done: Acted) -> None:
    (tree / "sub/copy.png").write_bytes(b"new")
    undo(yes=True)
    (tree / "a.png").unlink()
    assert reasons(empty_quarantine(0, yes=True)) == ["no_survivor"]


def test_what_was_deleted_for_good_is_no_matter_of_what_stays_any_more(tree: Path, done: Acted) -> None:
    place(done.files[1]).write_bytes(b"something else")
    assert reasons(empty_quarantine(0, yes=True)) == ["done", "changed"]
    (tree / "a.png").unlink()
    assert reasons(empty_quarantine(0, yes=True)) == reasons(undo(yes=True)) == ["changed"]
