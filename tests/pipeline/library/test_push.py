"""The library's vectors in an index elsewhere, and searching there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from twinpix.encoder.errors import FingerprintError
from twinpix.pipeline.index import Ids, Vectors
from twinpix.pipeline.index.flat import FlatIndex
from twinpix.pipeline.library import push
from twinpix.pipeline.library.errors import LibraryError
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.push import Pushed, id_of

Shelf = Callable[..., Library]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def index() -> FlatIndex:
    return FlatIndex(192)


def test_push_keeps_an_index_in_step(shelf: Shelf, photos: Path, index: FlatIndex) -> None:
    library, told = shelf(), list[tuple[int, int]]()
    library.add(photos / "old", photos / "copy.png", photos / "cut.png")
    assert library.push(index, lambda done, of: told.append((done, of))) == Pushed(6, 0, 6)  # equal files are one
    assert told == [(6, 6)]
    assert library.push(index) == Pushed(0, 0, 6)
    library.add(photos / "new")
    library.remove(photos / "old" / "05.png", photos / "copy.png")  # the copy's content is still there
    assert library.push(index) == Pushed(6, 1, 11)
    assert len(index) == 11
    stored = library.embeddings()
    assert (index.search(stored.vectors, 1)[1] <= index.error).all()


def test_vectors_go_in_in_blocks(shelf: Shelf, photos: Path, index: FlatIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "BLOCK", 5)
    library, told = shelf(), list[tuple[int, int]]()
    library.add(photos)
    library.push(index, lambda done, of: told.append((done, of)))
    assert told == [(5, 12), (10, 12), (12, 12)]


def test_search_by_the_index_finds_what_search_without_it_does(shelf: Shelf, photos: Path, index: FlatIndex) -> None:
    library = shelf()
    library.add(photos)
    library.push(index)
    for query, k in ((photos / "old" / "00.png", 5), (photos / "copy.png", 1), (photos / "new" / "07.png", 40)):
        told, wanted = library.search(query, k, index=index), library.search(query, k)
        assert [near.path for near in told.nearest] == [near.path for near in wanted.nearest]
        assert [n.l2_distance for n in told.nearest] == pytest.approx([n.l2_distance for n in wanted.nearest], abs=4e-3)
        assert (told.left_out, told.query, told.skipped) == (wanted.left_out, wanted.query, ())


def test_an_overwritten_file_is_not_among_the_nearest(
    shelf: Shelf, photos: Path, index: FlatIndex, coarse_clock: None
) -> None:
    library, one = shelf(), photos / "old" / "02.png"
    one.write_bytes(one.read_bytes().ljust(2000, b"\0"))
    library.add(photos / "old")
    library.push(index)
    with open(one, "rb+") as file:
        file.write((photos / "old" / "03.png").read_bytes().ljust(2000, b"\0"))
    found = library.search(photos / "old" / "00.png", index=index)
    assert (len(found.nearest), [(s.path, s.reason) for s in found.skipped]) == (4, [(one, "changed")])


def test_an_index_that_is_out_of_step_is_said(shelf: Shelf, photos: Path, index: FlatIndex) -> None:
    library = shelf()
    library.add(photos / "old")
    library.push(index)
    library.add(photos / "new")
    (skipped,) = library.search(photos / "old" / "00.png", index=index).skipped
    assert (skipped.reason, "holds 6 pictures, the library 12" in skipped.message) == ("not_pushed", True)


def test_an_index_of_as_many_other_pictures_is_said(shelf: Shelf, photos: Path, index: FlatIndex) -> None:
    library = shelf()
    library.add(photos / "old")
    library.push(index)
    library.remove(photos / "old" / "00.png")
    library.add(photos / "new" / "07.png")
    (skipped,) = library.search(photos / "old" / "00.png", 20, index=index).skipped
    assert (skipped.reason, "does not know 1:" in skipped.message) == ("not_pushed", True)


def test_files_that_changed_or_went_since(shelf: Shelf, photos: Path, index: FlatIndex) -> None:
    library = shelf()
    library.add(photos)
    library.push(index)
    (photos / "new" / "08.png").write_bytes(b"something else")
    found = library.search(photos / "old" / "00.png", 50, index=index)
    assert [row.reason for row in found.skipped] == ["changed"]
    assert "08.png" not in {near.path.name for near in found.nearest}
    assert len(found.nearest) == 11


def test_two_contents_with_one_number_are_refused(
    shelf: Shelf, photos: Path, index: FlatIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shelf()
    library.add(photos)
    monkeypatch.setattr(push, "id_of", lambda content: content[0] % 4)
    with pytest.raises(LibraryError, match="have the number"):
        library.push(index)


def test_what_an_index_that_is_not_exact_misses_is_told(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shelf()
    library.add(photos)
    index = FlatIndex(192)
    monkeypatch.setattr(index, "is_exact", False)
    monkeypatch.setattr(push, "BLOCK", 5)
    assert library.push(index).recall == 1
    finding = index.search

    def forgetful(queries: Vectors, k: int) -> tuple[Ids, Vectors]:
        ids, told = finding(queries, k + 2)
        return ids[:, 2:], told[:, 2:]  # not the nearest two

    monkeypatch.setattr(index, "search", forgetful)
    assert library.push(index).recall == pytest.approx(0.8)


def test_numbers_have_63_bits() -> None:
    assert id_of(b"\xff" * 16) == 2**63 - 1
    assert id_of(b"\x00" * 7 + b"\x02" + b"\xff" * 8) == 1


def test_another_encoder(shelf: Shelf, photos: Path, index: FlatIndex) -> None:
    shelf().add(photos)
    other = shelf(fingerprint="other")
    with pytest.raises(FingerprintError):
        other.push(index)
    with pytest.raises(FingerprintError):
        other.search(photos / "copy.png", index=index)


def test_the_commands(command: Command, album: Path, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    shelf, store = tmp_path / "shelf", tmp_path / "vectors.db"
    command("twinpix", "library", "add", album, "--library", shelf)
    done = command("twinpix", "library", "push", store, "--library", shelf)
    assert (done.returncode, done.stdout, done.stderr) == (0, "4 pictures in Milvus FLAT: 4 added, 0 removed\n", "")
    asked = ("twinpix", "library", "search", album / "a.png", "-k", "2", "--json", "--library", shelf)
    done = command(*asked, "--store", store)
    assert (done.returncode, done.stderr) == (0, "")
    plain = Library(shelf).search(album / "a.png", 2).nearest
    assert [near["path"] for near in json.loads(done.stdout)["nearest"]] == [str(near.path) for near in plain]
