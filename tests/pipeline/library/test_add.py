"""What is added: nothing is encoded twice, nothing stale is served."""

from __future__ import annotations

import mmap
import os
import pickle
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from PIL import Image

import twinpix
from twinpix.encoder.contained import READ_SECONDS
from twinpix.encoder.errors import DecodingError, ImageError, InputError, ModelError
from twinpix.pipeline.library import add, in_time, read, scan
from twinpix.pipeline.library import library as library_module
from twinpix.pipeline.library.errors import LibraryError
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.read import open_regular
from twinpix.pipeline.library.store import put
from twinpix.pipeline.stream import encode_images, list_files
from twinpix.pipeline.threads import decoding_threads

Shelf = Callable[..., Library]


def names(library: Library, *roots: Path) -> list[str]:
    return [path.name for path in library.embeddings(*roots).paths]


def vector(library: Library, path: Path) -> np.ndarray[Any, Any]:
    found = library.embeddings(path)
    assert found.paths == (path,)
    row: np.ndarray[Any, Any] = found.vectors[0]
    return row


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []

    def read_and_note(path: Path) -> read.Reading:
        seen.append(path)
        return read.read_file(path)

    monkeypatch.setattr(scan, "read_file", read_and_note)
    return seen


def test_as_encoding_without_a_library(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    added = library.add(photos)
    assert (added.images, added.encoded, added.reused) == (13, 12, 1)
    assert [(s.path.name, s.reason) for s in added.skipped] == [("cut.png", "corrupt"), ("notes.txt", "not_an_image")]
    plain, stored = encode_images(photos, encoder=library.encoder), library.embeddings()
    order = [plain.paths.index(path) for path in stored.paths]
    assert sorted(order) == list(range(13))
    assert np.array_equal(plain.vectors[order], stored.vectors)
    assert stored.vectors.dtype == np.float32
    assert stored.fingerprint == "tiny"
    plain_messages = {s.path: (s.reason, s.message) for s in plain.skipped}
    assert plain_messages[photos / "cut.png"] == ("corrupt", added.skipped[0].message)


def test_an_unchanged_folder_is_neither_read_nor_encoded(
    shelf: Shelf, photos: Path, fine_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shelf().add(photos)
    seen = count_reads(monkeypatch)
    again = shelf()
    second = again.add(photos)
    assert (second.images, second.encoded, second.reused) == (13, 0, 13)
    assert second.skipped == first.skipped
    assert [path.name for path in seen] == ["notes.txt"]


def test_times_as_new_as_the_reading_are_not_trusted(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf().add(photos)
    seen = count_reads(monkeypatch)
    assert shelf().add(photos).encoded == 0
    assert len(seen) == 15


def test_times_that_sqlite_can_not_hold(shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = shelf()

    class _Late:
        def __init__(self, found: os.stat_result) -> None:
            self.st_size, self.st_ino, self.st_mode = found.st_size, found.st_ino, found.st_mode
            self.st_ctime_ns, self.st_mtime_ns = found.st_ctime_ns, 1 << 64 | 5  # of the year 2554

    with monkeypatch.context() as patched:
        patched.setattr(read, "stamp_of", lambda stat, of=read.stamp_of: of(_Late(stat)))
        assert library.add(photos).encoded == 12
        assert library.add(photos).encoded == 0
    assert library.add(photos).encoded == 0


def test_a_renamed_folder_costs_no_encoding(shelf: Shelf, photos: Path, tmp_path: Path) -> None:
    shelf().add(photos)
    photos.rename(tmp_path / "pictures")
    library = shelf()
    assert (library.add(tmp_path / "pictures").images, library.add(tmp_path / "pictures").encoded) == (13, 0)
    assert len(names(library, tmp_path / "pictures")) == 13


def test_a_copy_is_encoded_once_even_in_one_chunk(shelf: Shelf, photos: Path) -> None:
    data = (photos / "old" / "03.png").read_bytes()
    for i in range(40):
        (photos / f"again{i}.png").write_bytes(data)
    added = shelf().add(photos, workers=5)
    assert (added.images, added.encoded, added.reused) == (53, 12, 41)


def test_a_replaced_file_with_the_same_size_and_time_is_not_stale(
    shelf: Shelf, photos: Path, fine_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = photos / "old" / "02.png", photos / "old" / "03.png"
    one.write_bytes(one.read_bytes().ljust(2000, b"\0"))
    library = shelf()
    library.add(photos)
    before, when = vector(library, one), one.stat()
    one.write_bytes(other.read_bytes().ljust(2000, b"\0"))
    os.utime(one, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert (one.stat().st_size, one.stat().st_mtime_ns) == (when.st_size, when.st_mtime_ns)
    changed = library.embeddings(one)
    assert (changed.paths, [s.reason for s in changed.skipped]) == ((), ["changed"])
    library.add(photos)
    assert np.array_equal(vector(library, one), vector(library, other))
    assert not np.array_equal(vector(library, one), before)


def test_a_replaced_file_is_not_stale_where_no_time_tells_of_it(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = read.stamp_of

    def as_on_fat(stat: os.stat_result) -> read.Stamp:
        seconds = stat.st_mtime_ns // 2_000_000_000 * 2_000_000_000
        return real(stat)._replace(mtime_ns=seconds, ctime_ns=seconds)

    monkeypatch.setattr(read, "stamp_of", as_on_fat)
    old, day = photos / "old" / "00.bmp", 1_700_000_000
    one, other = (Image.open(photos / "old" / name) for name in ("00.png", "02.png"))
    one.save(old)
    for path in photos.rglob("*.*"):
        os.utime(path, (day, day))
    library = shelf()
    library.add(photos)
    seen = count_reads(monkeypatch)
    assert library.add(photos).encoded == 0
    assert {path.name for path in seen} <= {"notes.txt"}
    inode, size = old.stat().st_ino, old.stat().st_size
    with open(old, "r+b") as file:
        other.save(file, "BMP")
    os.utime(old, (day, day))
    assert (old.stat().st_ino, old.stat().st_size) == (inode, size)
    assert [entry.path for entry in library.embeddings().skipped if entry.reason == "changed"] == [old]
    assert library.add(photos).images == 14
    assert np.array_equal(vector(library, old), vector(library, photos / "old" / "02.png"))


def test_a_file_overwritten_within_one_tick_of_a_coarse_clock_is_not_stale(
    shelf: Shelf, photos: Path, coarse_clock: None
) -> None:
    one, other = photos / "old" / "02.png", photos / "old" / "03.png"
    one.write_bytes(one.read_bytes().ljust(2000, b"\0"))
    library = shelf()
    library.add(photos)
    assert len(library.embeddings().paths) == 13, "unchanged, though their times prove nothing"
    with open(one, "rb+") as file:
        file.write(other.read_bytes().ljust(2000, b"\0"))
    changed = library.embeddings(photos / "old")
    assert [path.name for path in changed.paths] == [f"0{i}.png" for i in (0, 1, 3, 4, 5)]
    assert [(s.path, s.reason) for s in changed.skipped] == [(one, "changed")]
    library.add(photos)
    assert np.array_equal(vector(library, one), vector(library, other))


def test_what_a_program_goes_on_writing_into_a_mapped_file_is_not_stale(
    shelf: Shelf, tmp_path: Path, fine_clock: None
) -> None:
    folder = tmp_path / "mapped"
    folder.mkdir()
    for colour in ("blue", "red"):
        Image.new("RGB", (9, 9), colour).save(tmp_path / f"{colour}.bmp")
    red, blue = ((tmp_path / f"{colour}.bmp").read_bytes() for colour in ("red", "blue"))
    picture, library = folder / "a.bmp", shelf()
    picture.write_bytes(red)
    with open(picture, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:] = red
        if not _tells_when_written(picture, mapped):
            pytest.skip("this file system, as one in memory, does not tell when mapped pages are written")
        time.sleep(0.05)
        assert library.add(folder).encoded == 1
        mapped[:] = blue  # the pages still wait to be written
        time.sleep(0.05)
        assert library.add(folder).encoded == 1


def _tells_when_written(path: Path, mapped: mmap.mmap) -> bool:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    before = path.stat().st_mtime_ns
    time.sleep(0.05)
    mapped[:] = mapped[:]
    return path.stat().st_mtime_ns != before


def test_names_that_are_no_text(shelf: Shelf, photos: Path) -> None:
    data = (photos / "old" / "00.png").read_bytes()
    raw = [os.fsencode(photos) + name for name in (b"/\xff\xfe.png", b"/new\nline.png", b"/%_'\".png")]
    for name in raw:
        Path(os.fsdecode(name)).write_bytes(data)
    library = shelf()
    library.add(photos)
    assert set(raw) <= {os.fsencode(path) for path in library.embeddings().paths}


def test_a_folder_is_not_one_whose_name_goes_on(shelf: Shelf, photos: Path) -> None:
    (photos / "old").rename(photos / "new and old")
    library = shelf()
    library.add(photos)
    assert len(names(library, photos / "new")) == 6
    assert library.remove(photos / "new") == 6
    assert len(names(library)) == 7


def test_failures_of_the_content_are_remembered_and_others_are_not(
    shelf: Shelf, photos: Path, fine_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shelf()
    library.add(photos)
    prepared: list[int] = []
    library.encoder.hook = lambda: prepared.append(1)  # type: ignore[attr-defined]
    assert [s.reason for s in library.add(photos).skipped] == ["corrupt", "not_an_image"]
    assert prepared == []
    tall = photos / "old" / "00.png"

    def refuse() -> None:
        raise ImageError("needs_heif", "HEIC needs the extra")

    tall.write_bytes(tall.read_bytes() + b"more")
    library.encoder.hook = refuse  # type: ignore[attr-defined]
    assert [s.reason for s in library.add(photos).skipped] == ["corrupt", "not_an_image", "needs_heif"]
    library.encoder.hook = lambda: None  # type: ignore[attr-defined]
    assert library.add(photos).encoded == 1


def test_what_the_model_gives_no_numbers_for_is_not_kept(shelf: Shelf, photos: Path) -> None:
    library, odd = shelf(), photos / "old" / "02.png"
    library.encoder.numberless = library.encoder.prepare(odd)  # type: ignore[attr-defined]
    added = library.add(photos / "old")
    assert (added.images, [(s.path, s.reason) for s in added.skipped]) == (5, [(odd, "no_embedding")])
    assert library.status().models[0].pictures == 5
    found = encode_images(photos / "old", library=library)
    assert (len(found.paths), [(s.path, s.reason) for s in found.skipped]) == (5, [(odd, "no_embedding")])
    with library.writing() as connection:  # as an earlier twinpix did
        content = read.read_file(odd).content
        put(connection, "vectors", [(b"tiny", content, np.full(192, np.nan, "<f4").tobytes())])
    for found in (library.embeddings(), encode_images(photos / "old", library=library)):
        assert (len(found.paths), len(found.vectors), bool(np.isfinite(found.vectors).all())) == (5, 5, True)
        assert [(s.path, s.reason) for s in found.skipped] == [(odd, "no_embedding")]


def test_vectors_of_another_length_than_the_encoder_says_are_not_kept(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    library.encoder.dim = 100  # type: ignore[misc]
    with pytest.raises(ModelError, match=r"encoder tiny: its vectors are \(\d+, 192\)"):
        library.add(photos)
    assert library.status().models[0].pictures == 0


def test_large_files_are_decoded_from_the_disk(shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf("small").add(photos)
    monkeypatch.setattr(read, "IN_MEMORY", 100)
    shelf("large").add(photos)
    small, large = shelf("small").embeddings(), shelf("large").embeddings()
    assert np.array_equal(small.vectors, large.vectors)
    assert small.skipped == large.skipped


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk, not of this machine, that never gives out `07.png`."""
    monkeypatch.setattr(read, "ends_by_itself", lambda path: False)
    never = threading.Event()

    def opened(path: Path) -> IO[bytes]:
        if path.name == "07.png":
            never.wait()
        return open_regular(path)

    monkeypatch.setattr(read, "open_regular", opened)
    yield
    never.set()


def test_a_file_that_never_comes_off_the_disk_costs_itself(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch, stalled: None
) -> None:
    monkeypatch.setattr(in_time, "READ_SECONDS", 2.0)
    added = shelf().add(photos, workers=2)
    reasons = {one.path.name: one.reason for one in added.skipped}
    assert (added.images, reasons) == (12, {"07.png": "timed_out", "cut.png": "corrupt", "notes.txt": "not_an_image"})


def test_an_interrupt_waits_for_no_file(photos: Path, stalled: None) -> None:
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), decoding_threads(1) as pool:
        pending = pool.submit(read.read_file, photos / "new" / "07.png")
        while not pending.running():
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert isinstance(pending.exception(), DecodingError)
    assert time.monotonic() - begun < READ_SECONDS / 2


def test_a_file_that_has_become_a_pipe_is_no_image(shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def list_and_replace(*args: Any) -> Any:
        listed = list_files(*args)
        (photos / "new" / "07.png").unlink()
        os.mkfifo(photos / "new" / "07.png")
        return listed

    monkeypatch.setattr(library_module, "list_files", list_and_replace)
    reasons = {one.path.name: one.reason for one in shelf().add(photos).skipped}
    assert reasons == {"07.png": "not_an_image", "cut.png": "corrupt", "notes.txt": "not_an_image"}


def test_a_large_file_that_changes_while_it_is_read_gets_no_vector(
    shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "IN_MEMORY", 100)
    library, path = shelf(), photos / "old" / "00.png"
    library.encoder.hook = lambda: path.write_bytes(path.read_bytes() + b"\0")  # type: ignore[attr-defined]
    assert [s.reason for s in library.add(path).skipped] == ["vanished"]
    library.encoder.hook = lambda: None  # type: ignore[attr-defined]
    assert library.add(path).encoded == 1


def test_only_what_a_filter_accepts(shelf: Shelf, photos: Path) -> None:
    library = shelf()
    assert library.add(photos, where="folder=new").encoded == 6
    assert library.add(photos).encoded == 6
    assert len(encode_images(photos, where="folder=new", library=library).paths) == 6


def test_nothing_named_or_not_there(shelf: Shelf, photos: Path, tmp_path: Path) -> None:
    library = shelf()
    with pytest.raises(InputError, match="at least one"):
        library.add()
    with pytest.raises(InputError, match="no such folder"):
        library.add(tmp_path / "gone")
    with pytest.raises(InputError, match="workers: at least 1"):
        encode_images(photos, encoder=library.encoder, workers=0)
    for reading in (library.embeddings, library.status, library.check, library.repair, library.compact):
        with pytest.raises(InputError, match="there is none"):
            reading()
    assert not library.path.exists()
    library.path.write_text("a file")
    with pytest.raises(LibraryError, match="there is a file where its folder should be: move it"):
        library.add(photos)
    library.path.unlink()
    with pytest.raises(InputError, match="workers: at least 1"):
        library.add(photos, workers=0)
    library.add(photos)
    for asking in (library.embeddings, library.duplicates):
        with pytest.raises(InputError, match="knows nothing there"):
            asking(tmp_path / "gone")
        with pytest.raises(InputError, match="an empty name"):
            asking("")


@pytest.mark.parametrize("given", ["L1", Path("L1"), True, False])
def test_what_is_no_library_or_no_encoder_is_said(photos: Path, given: Any) -> None:
    for search in (encode_images, twinpix.find_duplicates):
        with pytest.raises(InputError, match=r"^library=.*: pass twinpix\.Library\(PATH\)$"):
            search(photos, library=given)
        with pytest.raises(InputError, match=r"^encoder=.*: pass twinpix\.load_encoder\(FILE\)$"):
            search(photos, encoder=given)
    with pytest.raises(InputError, match=r"^encoder=.*: pass twinpix\.load_encoder\(FILE\)$"):
        Library("L9", encoder=given)


def test_a_library_goes_to_other_processes_by_its_path(photos: Path, tmp_path: Path, tiny: Any) -> None:
    library = Library(tmp_path / "library")
    for is_loaded in (False, True):
        assert pickle.loads(pickle.dumps(library)).path == library.path
        assert is_loaded or library.encoder.dim
    with pytest.raises(TypeError, match="encoder of its own can't be pickled: open it anew"):
        pickle.dumps(Library(tmp_path / "library", tiny()))


def test_nothing_is_written_among_the_photos(shelf: Shelf, photos: Path) -> None:
    before = sorted(photos.rglob("*"))
    shelf().add(photos)
    assert sorted(photos.rglob("*")) == before


def test_the_default_place(photos: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TWINPIX_DATA", str(tmp_path / "data"))
    with Library(encoder=tiny()) as library:
        library.add(photos)
    assert sorted(path.name for path in (tmp_path / "data" / "library").glob("l*k")) == ["lock"]
    assert library.status().path == tmp_path / "data" / "library"


def test_a_path_that_begins_with_two_slashes(shelf: Shelf, photos: Path, tiny: Any) -> None:
    library = Library(f"/{shelf().path}", tiny())
    assert library.add(photos).images == 13
    assert shelf().status().files == 14


def test_a_batch_at_a_time_is_kept(shelf: Shelf, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add, "BATCH_SECONDS", 0.0)
    monkeypatch.setattr(scan, "CHUNK", 4)

    def interrupt(chunk: object, total: int) -> None:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(total)

    seen: list[int] = []
    library = shelf()
    with pytest.raises(KeyboardInterrupt):
        library.add(photos, workers=1, progress=interrupt)
    kept = len(library.embeddings().paths)
    assert kept >= 8
    rest = shelf()
    before = len({v.tobytes() for v in library.embeddings().vectors})
    assert rest.add(photos).encoded == 12 - before
    assert len(rest.embeddings().paths) == 13
    with sqlite3.connect(library.path / "library.sqlite") as file:
        assert file.execute("SELECT count(*), count(DISTINCT content) FROM vectors").fetchone() == (12, 12)
