"""Forgetting: what is gone, but not what is only unplugged."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twinpix.encoder.errors import InputError
from twinpix.pipeline.library.library import Library

Shelf = Callable[..., Library]


def test_removed_files_come_back_without_encoding(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.add(photos)
    assert library.remove(photos / "old", photos / "copy.png") == 7
    assert len(library.embeddings().paths) == 6
    assert library.add(photos).encoded == 0


def test_nothing_is_unreadable_of_what_was_removed(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.add(photos)
    assert (library.status().files, library.status().unreadable) == (14, 1)
    library.remove(photos)
    assert (library.status().files, library.status().unreadable) == (0, 0)


def test_compacting_drops_what_no_file_needs(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.add(photos)
    library.remove(photos / "old")
    library.compact()
    assert (library.status().models[0].pictures, library.check()) == (7, ())  # one of the old ones has a copy
    assert library.add(photos).encoded == 5


def test_missing_files_are_forgotten(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.add(photos)
    shutil.rmtree(photos / "old")
    outcome = library.forget_missing()
    assert (len(outcome.paths), outcome.kept) == (6, ())
    assert len(library.embeddings().paths) == 7
    assert library.forget_missing().paths == ()


@pytest.mark.parametrize("mount_point_stays", [True, False])
def test_a_disk_that_is_not_there_is_kept(shelf: Shelf, photos: Path, tmp_path: Path, mount_point_stays: bool) -> None:
    library = shelf()
    library.add(photos / "new", photos / "copy.png")
    (photos / "new").rename(tmp_path / "unplugged")
    if mount_point_stays:
        (photos / "new").mkdir()
    (photos / "copy.png").unlink()
    outcome = library.forget_missing()
    assert (outcome.paths, outcome.kept) == ((photos / "copy.png",), (photos / "new",))
    assert len(library.embeddings().paths) == 6
    assert len(library.forget_missing(force=True).paths) == 6


@pytest.mark.parametrize("mount_point_stays", [True, False])
@pytest.mark.parametrize("has_more", [True, False])
def test_a_backup_that_is_not_there_is_kept(
    shelf: Shelf, photos: Path, tmp_path: Path, mount_point_stays: bool, has_more: bool
) -> None:
    library, backup = shelf(), tmp_path / "backup"
    shutil.copytree(photos / "old", backup)
    if has_more:
        shutil.copy(photos / "new" / "06.png", backup)
    library.add(photos / "old", backup)
    backup.rename(tmp_path / "unplugged")
    if mount_point_stays:
        backup.mkdir()
    outcome = library.forget_missing()
    if mount_point_stays or has_more:
        assert (outcome.paths, outcome.kept) == ((), (backup,))
        outcome = library.forget_missing(force=True)
    assert (len(outcome.paths), outcome.kept) == (6 + has_more, ()), "as where it was moved"


def test_the_old_names_of_a_moved_folder_are_forgotten(shelf: Shelf, photos: Path, tmp_path: Path) -> None:
    library = shelf()
    library.add(photos)
    photos.rename(tmp_path / "moved")
    library.add(tmp_path / "moved")
    outcome = library.forget_missing()
    assert (len(outcome.paths), outcome.kept) == (14, ())
    assert all(path.is_relative_to(tmp_path / "moved") for path in library.embeddings().paths)


def test_nothing_named(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.add(photos)
    with pytest.raises(InputError, match="at least one"):
        library.remove()
    assert len(library.embeddings().paths) == 13


def test_a_disk_below_an_added_folder_is_kept(shelf: Shelf, photos: Path, tmp_path: Path) -> None:
    library = shelf()
    library.add(photos)
    (photos / "new").rename(tmp_path / "unplugged")
    (photos / "new").mkdir()  # what is left of a mount point
    outcome = library.forget_missing()
    assert (outcome.paths, outcome.kept) == ((), (photos / "new",))
    assert len(library.forget_missing(force=True).paths) == 6


def test_what_can_not_be_looked_at_is_not_gone(shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, real = shelf(), os.lstat
    library.add(photos)

    def failing(path: str, **settings: Any) -> os.stat_result:
        if f"{os.sep}old{os.sep}" in os.fspath(path):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, **settings)

    monkeypatch.setattr(os, "lstat", failing)
    assert library.forget_missing().paths == ()


def test_what_is_no_file_any_more_is_forgotten(shelf: Shelf, photos: Path, fine_clock: None) -> None:
    library = shelf()
    library.add(photos)
    (photos / "new/06.png").unlink()
    (photos / "new/06.png").symlink_to("07.png")
    (photos / "new/08.png").unlink()
    (photos / "new/08.png").mkdir()
    said = {one.path: one.message for one in library.embeddings().skipped}
    for name in ("new/06.png", "new/08.png"):
        assert said[photos / name].endswith("no file any more: twinpix library forget-missing")
    assert library.remove(photos / "new/06.png") == 1, "the link's own name, not what it leads to"
    assert library.forget_missing().paths == (photos / "new/08.png",)
    (photos / "new/09.png").write_bytes(b"")
    (photos / "new/10.png").write_text("no picture\n")
    library.add(photos)
    known = library.embeddings()
    assert photos / "new/07.png" in known.paths
    assert not {photos / "new/09.png", photos / "new/10.png"} & {one.path for one in known.skipped}, (
        "nor changed for ever"
    )


def test_an_empty_name_forgets_nothing(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.add(photos)
    with pytest.raises(InputError):
        library.remove("")
    with pytest.raises(InputError):
        library.remove()


def test_pictures_behind_a_closed_door_are_skipped(shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, real = shelf(), os.stat
    library.add(photos)

    def closed(path: Any, **settings: Any) -> os.stat_result:
        if isinstance(path, (str, Path)) and f"{os.sep}old{os.sep}" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, **settings)

    monkeypatch.setattr(os, "stat", closed)
    found = library.search(photos / "new/07.png", k=13)
    assert {one.reason for one in found.skipped if one.path.parent.name == "old"} == {"permission_denied"}
    assert not any(near.path.parent.name == "old" for near in found.nearest)
