"""What the service keeps: in memory, on the disk, and in an index elsewhere, whatever fails in between."""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.index import Ids, Index, Vectors
from twinpix.pipeline.index.flat import FlatIndex
from twinpix.pipeline.library import read
from twinpix.pipeline.library.errors import LibraryError
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.service import collection as module
from twinpix.pipeline.service.collection import Collection
from twinpix.pipeline.service.uploads import Uploads

Draw = Callable[..., bytes]
FAR = 2.0


@contextmanager
def opened(folder: Path, encoder: OnnxEncoder, served: Index | None = None) -> Iterator[Collection]:
    """A collection in this process."""
    library = Library(folder / "library", encoder)
    with closing(Collection(library, encoder, Uploads(folder / "uploads"), 1.0, served)) as collection:
        yield collection


def keep(collection: Collection, encoder: OnnxEncoder, data: bytes) -> bytes:
    """Add a picture; its content."""
    content = hashlib.blake2b(data, digest_size=16).digest()
    collection.add(content, data, encoder(data), 5, FAR)
    return content


def stored(folder: Path) -> list[str]:
    """The names of uploaded files, also of those that are none any more."""
    return sorted(path.name for path in (folder / "uploads").glob("??/*"))


class Kept(FlatIndex):
    """An index elsewhere; it outlives its service."""

    added = 0

    def add(self, ids: Ids, vectors: Vectors) -> None:
        self.added += len(ids)
        super().add(ids, vectors)


def test_an_index_elsewhere_is_filled_once_and_kept_in_step(encoder: OnnxEncoder, draw: Draw, tmp_path: Path) -> None:
    index = Kept(encoder.dim)
    with opened(tmp_path, encoder, index) as collection:
        contents = [keep(collection, encoder, draw(seed)) for seed in range(3)]
        assert collection.forget(contents[0]) == (1, 1)
        assert keep(collection, encoder, draw(0)) == contents[0]
    assert index.added == 4 and len(index) == 3
    with opened(tmp_path, encoder, index) as collection:
        assert index.added == 4
        assert collection.nearest(encoder(draw(1)), 1, FAR)[0].content == contents[1]
    other = Kept(encoder.dim)  # an empty one is filled from the library
    with opened(tmp_path, encoder, other) as collection:
        assert (other.added, len(collection)) == (3, 3)


def test_an_index_with_somebody_elses_vectors_is_left_alone(encoder: OnnxEncoder, tmp_path: Path) -> None:
    index = Kept(encoder.dim)
    index.add(np.arange(200), np.eye(200, encoder.dim, dtype=np.float32))
    with pytest.raises(InputError, match="not this library's"), opened(tmp_path, encoder, index):
        pass
    assert len(index) == 200


def test_a_model_that_has_not_encoded_everything_is_not_served(
    encoder: OnnxEncoder, draw: Draw, tmp_path: Path
) -> None:
    other = copy(encoder)
    other.fingerprint = "other"
    with opened(tmp_path, encoder) as collection:
        names = [keep(collection, encoder, draw(seed)).hex() for seed in (1, 2)]
    with pytest.raises(InputError, match="not encoded 2 of its pictures: run `twin"), opened(tmp_path, other):
        pass
    assert [model.fingerprint for model in Library(tmp_path / "library").status().models] == [encoder.fingerprint]
    Library(tmp_path / "library", other).add(tmp_path / "uploads" / names[0][:2])
    with pytest.raises(InputError, match="not encoded 1 of"), opened(tmp_path, other):
        pass
    with opened(tmp_path, encoder) as collection:  # the one that readers see
        assert len(collection) == 2
    Library(tmp_path / "library", other).add(tmp_path / "uploads")
    with opened(tmp_path, other) as collection:
        assert len(collection) == 2


def test_a_large_library_is_searched_by_cells(
    encoder: OnnxEncoder, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, encoder) as collection:
        contents = [keep(collection, encoder, draw(seed, size=(40, 30))) for seed in range(30)]
    for policy in (module, __import__("twinpix.pipeline.index.policy", fromlist=["policy"])):
        monkeypatch.setattr(policy, "EXACT_UP_TO", 20)
    with opened(tmp_path, encoder) as collection:
        assert "IVF" in collection.index_name
        assert collection.forget(contents[3]) == (1, 1)
        contents.append(keep(collection, encoder, draw(99)))
        found = [collection.nearest(encoder(draw(s, size=(40, 30))), 1, FAR)[0].content for s in (5, 12, 29)]
        assert found == [contents[5], contents[12], contents[29]]
        assert collection.nearest(encoder(draw(99)), 1, FAR)[0].distance < 1e-3
        assert len(collection) == 30


def test_a_full_disk_leaves_the_old_state(
    encoder: OnnxEncoder, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path, encoder) as collection:
        kept = keep(collection, encoder, draw(1))
        before = stored(tmp_path)
        for owner, name in ((module, "add_picture"), (module, "forget_picture"), (Uploads, "hide")):
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, full)
                with pytest.raises(LibraryError, match="make room"):
                    keep(collection, encoder, draw(2)) if name == "add_picture" else collection.forget(kept)
            assert stored(tmp_path) == before and len(collection) == 1
        with monkeypatch.context() as patch:
            patch.setattr("twinpix.pipeline.service.uploads.replace_synced", full)
            with pytest.raises(LibraryError, match="make room"):
                keep(collection, encoder, draw(2))
        assert stored(tmp_path) == before and len(collection) == 1
        assert keep(collection, encoder, draw(2)) and len(collection) == 2


def test_a_library_that_has_gone_is_not_begun_anew(encoder: OnnxEncoder, draw: Draw, tmp_path: Path) -> None:
    with opened(tmp_path, encoder) as collection:
        keep(collection, encoder, draw(1))
        (tmp_path / "library").rename(tmp_path / "elsewhere")
        for seed in (1, 2):
            with pytest.raises(InputError, match="there is none"):
                keep(collection, encoder, draw(seed))
        assert not (tmp_path / "library").exists()
        (tmp_path / "elsewhere").rename(tmp_path / "library")
        assert keep(collection, encoder, draw(2)) and len(collection) == 2


def test_an_upload_that_another_file_was_overwritten_by_is_kept(
    encoder: OnnxEncoder, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, moment = read.stamp_of, time.time_ns()  # a disk whose file times are coarse
    monkeypatch.setattr(read, "stamp_of", lambda stat: real(stat)._replace(mtime_ns=moment, ctime_ns=moment))
    monkeypatch.setattr(read, "CLOCK", 1 << 62)
    one, other, photo = draw(1, "BMP"), draw(2, "BMP"), tmp_path / "photos" / "b.bmp"
    photo.parent.mkdir()
    photo.write_bytes(other)
    Library(tmp_path / "library", encoder).add(photo.parent)
    with opened(tmp_path, encoder) as collection:
        assert collection.nearest(encoder(other), 1, FAR)[0].readable
        with open(photo, "rb+") as file:
            file.write(one)
        assert not collection.nearest(encoder(other), 1, FAR)[0].readable
        name = keep(collection, encoder, other).hex()
        assert stored(tmp_path) == [f"{name}.bmp"], "these bytes were nowhere any more"
        kept = tmp_path / "uploads" / name[:2] / f"{name}.bmp"
        kept.write_bytes(one)
        keep(collection, encoder, other)
        assert kept.read_bytes() == other


def test_what_a_kill_leaves_is_made_good(encoder: OnnxEncoder, draw: Draw, tmp_path: Path) -> None:
    with opened(tmp_path, encoder) as collection:
        known, gone = (keep(collection, encoder, draw(seed)) for seed in (1, 2))
        uploads = Uploads(tmp_path / "uploads")
        new = uploads.put(hashlib.blake2b(draw(3), digest_size=16).digest(), draw(3))  # no row yet
        bad = uploads.put(bytes(16), draw(4))  # not what its name says
        other = uploads.put(hashlib.blake2b(draw(5), digest_size=16).digest(), draw(5))
        uploads.known(other)  # and then forgotten by `twinpix library remove`
        (new.parent / "half.part").write_bytes(b"half")
        (new.parent / "half.unknown").touch()
        uploads.hide(uploads.put(known, draw(1)))  # hidden, and the rows are still there
        collection.forget(gone)
        uploads.hide(uploads.put(gone, draw(2)))  # hidden, and the rows are gone
    with opened(tmp_path, encoder) as collection:
        assert collection.make_good() == 1
        assert {collection.nearest(encoder(draw(seed)), 1, FAR)[0].name for seed in (1, 3)} == {
            f"{known.hex()}.png", new.name,
        }  # fmt: skip
        assert len(collection) == 2 and collection.make_good() == 0
    assert stored(tmp_path) == sorted([f"{known.hex()}.png", new.name, bad.name, other.name])
