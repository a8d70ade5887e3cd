"""A full or failing disk, a folder that can't be written: one named error, and the old state."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from twinpix.pipeline.library import check as check_module
from twinpix.pipeline.library import library as library_module
from twinpix.pipeline.library import snapshot, store
from twinpix.pipeline.library.errors import LibraryBusyError, LibraryDamagedError, LibraryError
from twinpix.pipeline.library.library import Library

Shelf = Callable[..., Library]


def test_a_full_disk_keeps_what_was_there(shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = shelf()
    library.add(photos / "old")
    real = store.open_to_write

    def open_on_a_full_disk(folder: Path) -> sqlite3.Connection:
        connection = real(folder)
        connection.execute("PRAGMA max_page_count = 1")  # as many as there are
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(library_module, "open_to_write", open_on_a_full_disk)
        with pytest.raises(LibraryError, match=r"^library .* full: make room"):
            library.add(photos)
    assert len(library.embeddings().paths) == 6
    assert library.check() == ()
    assert library.add(photos).encoded == 6


def test_a_failure_at_any_call_leaves_the_old_or_the_new_state(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = shelf("start")
    start.add(photos / "old")
    start.compact()
    calls, limit = 0, 10**9

    class Failing(sqlite3.Connection):
        def _count(self) -> None:
            nonlocal calls
            calls += 1
            if calls >= limit:
                raise sqlite3.OperationalError("disk I/O error")

        def execute(self, *args: Any) -> sqlite3.Cursor:
            self._count()
            return super().execute(*args)

        def executemany(self, *args: Any) -> sqlite3.Cursor:
            self._count()
            return super().executemany(*args)

    def connect(path: Path, mode: str) -> sqlite3.Connection:
        made = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None, factory=Failing)
        made.text_factory = bytes
        return made

    def attempt(name: str) -> Library:
        shutil.copytree(start.path, start.path.with_name(name))
        return shelf(name)

    monkeypatch.setattr(store, "connect", connect)
    attempt("whole").add(photos)
    whole = calls
    assert whole > 15
    for failing in range(1, whole + 1):
        calls, limit = 0, failing
        library = attempt(f"at {failing}")
        with pytest.raises(LibraryError, match=r"^library .*disk"):
            library.add(photos)
        limit = 10**9
        assert len(library.embeddings().paths) in (6, 13), failing
        assert library.check() == ()


def test_a_disk_that_fails_while_repairing_changes_nothing(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shelf()
    library.add(photos)
    library.compact()
    path = library.path / "library.sqlite"
    damaged = path.read_bytes().replace(b"corrupt", b"corrupT")
    path.write_bytes(damaged)
    real = store.transaction

    @contextmanager
    def on_a_full_disk(connection: sqlite3.Connection) -> Iterator[None]:
        with real(connection):
            connection.execute("PRAGMA max_page_count = 1")
            yield

    with monkeypatch.context() as patch:
        patch.setattr(check_module, "transaction", on_a_full_disk)
        with pytest.raises(LibraryError, match="full"):
            library.repair()
    assert path.read_bytes() == damaged
    assert [problem.place for problem in library.check()] == ["failures"]
    assert library.repair() is not None
    assert len(library.embeddings().paths) == 13


def test_a_file_that_cant_be_opened_is_not_taken_for_damaged(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shelf()
    library.add(photos)

    def connect(path: Path, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{path.parent / 'gone' / path.name}?mode=ro", uri=True)

    with monkeypatch.context() as patch:
        patch.setattr(store, "connect", connect)
        for attempt in (library.check, library.repair, library.embeddings):
            with pytest.raises(LibraryError, match="unable to open") as caught:
                attempt()
            assert not isinstance(caught.value, LibraryDamagedError)
    assert len(library.embeddings().paths) == 13


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_can_only_be_read(public: Path, photos: Path, tiny: Any) -> None:
    if not hasattr(os, "seteuid") or os.geteuid() != 0:
        pytest.skip("needs to become another user")
    Library(public / "library", tiny()).add(photos)
    os.seteuid(65534)
    try:
        library = Library(public / "library", tiny())
        assert library.status().files == 14
        with pytest.raises(LibraryError, match="must be yours to write"):
            library.add(public)
        with pytest.raises(LibraryError, match="must be yours to write"):
            Library(public / "new", tiny()).add(public)
    finally:
        os.seteuid(0)


@contextmanager
def only_read(folder: Path) -> Iterator[None]:
    """This process may not write into the folder; root becomes somebody else."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs rights of files")
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_who_may_only_read_sees_one_state_whatever_the_owner_does(public: Path, photos: Path, tiny: Any) -> None:
    library = Library(public / "library", tiny())
    library.add(photos)
    with library.reading() as connection:
        before = connection.execute("SELECT * FROM vectors").fetchall()
    library.compact()  # closed by a writer, it has nothing beside it that a reader could use
    with only_read(library.path):
        reader = store.open_to_read(library.path)
    library.remove(photos / "old")
    library.compact()
    with closing(reader):
        assert reader.execute("SELECT * FROM vectors").fetchall() == before
    assert len(library.embeddings().paths) == 7


def test_what_a_killed_writer_left_is_read_where_nothing_may_be_written(
    public: Path, shelf: Shelf, photos: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, room = shelf(), public / "room"
    library.add(photos / "old")
    medium = public / "medium"
    with library.reading():  # a reader keeps the log
        library.add(photos)
        shutil.copytree(library.path, medium, ignore=shutil.ignore_patterns("*-shm"))
    assert (medium / "library.sqlite-wal").stat().st_size
    room.mkdir()
    room.chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    with only_read(medium):
        assert len(Library(medium, tiny()).embeddings().paths) == 13
        assert Library(medium, tiny()).check() == ()
    assert not list(room.iterdir())


def test_a_library_that_is_written_to_while_it_is_copied_is_busy_and_not_damaged(
    public: Path, photos: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(public / "library", tiny())
    library.add(photos)
    monkeypatch.setattr(store, "PAUSE", 0.0)
    real, copies = shutil.copyfile, list[Path]()

    def beside_a_writer(source: Path, target: Path) -> object:
        if source.name == "library.sqlite":
            copies.append(source)
        return real(source, target)

    monkeypatch.setattr(snapshot, "_states", lambda path: ((len(copies), 0, 0), None, None))
    with monkeypatch.context() as patch, only_read(library.path):
        patch.setattr(shutil, "copyfile", beside_a_writer)
        with pytest.raises(LibraryBusyError, match="try again when it is done"):
            library.status()
    assert len(copies) == store.TRIES


def test_too_many_open_files(shelf: Shelf, photos: Path) -> None:
    resource = pytest.importorskip("resource")
    library = shelf()
    library.add(photos)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = os.open(os.devnull, os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (held, hard))
    try:
        with pytest.raises(LibraryError):
            library.embeddings()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(held)
    assert len(library.embeddings().paths) == 13


def test_readers_need_no_room(shelf: Shelf, photos: Path) -> None:
    resource = pytest.importorskip("resource")
    library = shelf()
    library.add(photos)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # no file can grow
    try:
        found = library.embeddings()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(found.paths) == 13


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_log_that_sqlite_deletes_without_having_read_it_comes_back(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    library = shelf()
    library.add(photos / "old")
    log = library.path / "library.sqlite-wal"
    with store.open_to_read(library.path):  # a reader keeps the log
        library.add(photos)
        before, content = library.status(), log.read_bytes()
    real = store.check_ours

    def on_a_full_disk(connection: sqlite3.Connection, folder: Path) -> None:
        log.unlink()
        if is_killed:
            monkeypatch.setattr(store, "_give_log_back", lambda path: None)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store, "check_ours", on_a_full_disk)
    give_back = store._give_log_back
    with pytest.raises(LibraryError):
        library.add(photos)
    monkeypatch.setattr(store, "check_ours", real)
    monkeypatch.setattr(store, "_give_log_back", give_back)
    assert log.exists() is not is_killed
    store.open_to_write(library.path).close()
    assert content and library.status() == before
    assert not list(library.path.glob("*.held"))
