"""Forgetting: what is gone, but not what is only unplugged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

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
