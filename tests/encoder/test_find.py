"""Which files are looked at."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from twinpix.encoder.errors import InputError
from twinpix.encoder.find import find_files
from twinpix.pipeline.stream import list_files


def names(root: Path, *roots: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in find_files(roots or (root,))]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/2.jpg", "b/10.jpg", "a.txt", ".hidden", ".git/x", "c/d/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path.resolve()


def test_every_regular_file_in_a_stable_order(tree: Path) -> None:
    expected = [".hidden", "a.txt", ".git/x", "b/10.jpg", "b/2.jpg", "c/d/e"]
    assert names(tree) == expected
    assert names(tree) == expected


def test_paths_are_absolute(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert all(path.is_absolute() for path in find_files(["b", "a.txt"]))


def test_symlinks_below_a_root_are_not_followed(tree: Path) -> None:
    (tree / "link.jpg").symlink_to(tree / "a.txt")
    (tree / "dir-link").symlink_to(tree / "b")
    (tree / "loop").symlink_to(tree)
    (tree / "dangling").symlink_to(tree / "nothing")
    assert len(names(tree)) == 6


def test_a_root_may_be_a_symlink(tree: Path, tmp_path: Path) -> None:
    (tree / "link").symlink_to(tree / "b")
    assert names(tree, tree / "link") == ["b/10.jpg", "b/2.jpg"]
    (tree / "file").symlink_to(tree / "a.txt")
    assert names(tree, tree / "file") == ["a.txt"]


@pytest.mark.parametrize("roots", [("b", "b"), ("", "b"), ("b", ""), ("b/../b", "b/2.jpg", "b")])
def test_overlapping_roots_give_each_file_once(tree: Path, roots: tuple[str, ...]) -> None:
    found = names(tree, *(tree / root for root in roots))
    assert len(found) == len(set(found)) == (6 if "" in roots else 2)


def test_hard_links_are_two_files(tree: Path) -> None:
    os.link(tree / "a.txt", tree / "twin.txt")
    assert {"a.txt", "twin.txt"} <= set(names(tree))


def test_fifos_and_sockets_are_no_regular_files(tree: Path) -> None:
    os.mkfifo(tree / "pipe.jpg")
    assert len(names(tree)) == 6


@pytest.mark.parametrize("raw", [b"\xff\xfe.jpg", b"new\nline.jpg", b"-rf", b" ", b"\xe2\x80\xae.jpg", b"'\"<script>"])
def test_strange_names_survive_byte_for_byte(tmp_path: Path, raw: bytes) -> None:
    Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), raw))).write_bytes(b"x")
    (found,) = find_files([tmp_path])
    assert os.fsencode(found.name) == raw


def test_order_of_undecodable_names_is_that_of_their_bytes(tmp_path: Path) -> None:
    for raw in (b"\xff", b"a", b"\xc3\xa9"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), raw))).write_bytes(b"x")
    assert [os.fsencode(path.name) for path in find_files([tmp_path])] == [b"a", b"\xc3\xa9", b"\xff"]


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        list(find_files([tmp_path / "nothing"]))


def test_a_root_that_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither"):
        list(find_files([tmp_path / "pipe"]))


def test_unlistable_folder_is_reported_or_raised(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    troubles: list[Path] = []
    found = [path.name for path in find_files([tree], lambda folder, error: troubles.append(folder))]
    assert (len(found), troubles) == (4, [tree / "b"])
    with pytest.raises(PermissionError):
        list(find_files([tree]))


def test_an_entry_that_cant_be_looked_at_is_reported_or_raised(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    class Untold:
        # an entry of a file system that tells no kinds: it is looked at, and the disk fails
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name, self.path = entry.name, entry.path

        def is_file(self, follow_symlinks: bool) -> bool:
            raise OSError(errno.EIO, "Input/output error", self.path)

        is_dir = is_file

    @contextmanager
    def failing(path: str) -> Iterator[Iterator[object]]:
        with real(path) as entries:
            yield (Untold(entry) if entry.name in ("a.txt", "c") else entry for entry in entries)

    monkeypatch.setattr(os, "scandir", failing)
    troubles: list[Path] = []
    found = [path.name for path in find_files([tree], lambda path, error: troubles.append(path))]
    assert (found, troubles) == ([".hidden", "x", "10.jpg", "2.jpg"], [tree / "a.txt", tree / "c"])
    with pytest.raises(OSError, match="Input/output"):
        list(find_files([tree]))
    files, skipped = list_files([tree])
    assert len(files) == 4
    assert [(one.path, one.reason) for one in skipped] == [(path, "permission_denied") for path in troubles]


def test_deep_folders_do_not_recurse_the_interpreter(tmp_path: Path) -> None:
    deep = tmp_path.resolve()
    for _ in range(900):
        deep = deep / "d"
    if len(str(deep)) > 4000:
        pytest.skip("temporary folder too deep already")
    deep.mkdir(parents=True)
    (deep / "x").write_bytes(b"x")
    assert [path.name for path in find_files([tmp_path])] == ["x"]


@pytest.mark.parametrize(
    "name",
    [".twinpix-quarantine", ".twinpix-quarantine-7", ".Trash", ".Trash-7", "$RECYCLE.BIN", ".local/share/Trash",
     "$Recycle.Bin", "RECYCLER", "RECYCLED", "#recycle", "@Recycle", ".recycle", ".stversions", "files_trashbin",
     ".dtrash", ".snapshots", "@eaDir", ".cache", "lost+found", "own/Trash", ".sync/Archive", ".dropbox.cache",
     ".zfs/snapshot", "files_versions", ".debris", "@Recently-Snapshot", "~snapshot", ".thumbnails", ".trash"],
)  # fmt: skip
def test_what_was_removed_is_not_found_again(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    (tmp_path / name / "files").mkdir(parents=True)
    (tmp_path / name / "files" / "removed.png").touch()
    (tmp_path / "Trash").mkdir()
    (tmp_path / "Trash" / "kept.png").touch()
    (tmp_path / ".trashed-1700000000-a.png").touch()
    assert [path.name for path in find_files([tmp_path])] == ["kept.png"]
    assert [path.name for path in find_files([tmp_path / name / "files"])] == ["removed.png"]
