"""Folders, tars, Parquet and URLs give the same pictures, and what is damaged costs itself."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.decisions import Verdict, content_of, decide
from twinpix.pipeline.report import Report
from twinpix.pipeline.scan import from_tar, store
from twinpix.pipeline.scan.embed import Model, embed, read
from twinpix.pipeline.scan.embedded import Embedded, read_embedded, read_vectors
from twinpix.pipeline.scan.local import LocalEngine
from twinpix.pipeline.scan.places import at_hand
from twinpix.pipeline.scan.scan import scan
from twinpix.pipeline.scan.scanned import Options
from twinpix.pipeline.scan.shard import Item, Kind, Place, Unread
from twinpix.pipeline.scan.source import list_shards
from twinpix.pipeline.stream import encode_images

from .conftest import write_folder, write_parquet, write_tar

Files = dict[str, bytes]
Find = Callable[..., Report]


@pytest.fixture
def find(local: LocalEngine, tmp_path: Path, encoder: OnnxEncoder) -> Iterator[Find]:
    def start(*sources: str | Path, work: str = "work", **wanted: Any) -> Report:
        place = work if "://" in work else str(tmp_path / work)
        return scan([str(s) for s in sources], local, place, encoder, None, Options(**wanted)).report

    yield start


def embedded(sources: list[str], folder: Path, encoder: OnnxEncoder) -> tuple[Embedded, np.ndarray]:
    """The first stage alone, in this thread."""
    listing, files = list_shards(sources), []
    for k, shard in enumerate(listing.shards):
        files.append(str(folder / f"{k}.parquet"))
        embed(shard, Model(None, encoder.fingerprint), files[-1])
    vectors = np.concatenate([np.empty((0, encoder.dim), np.float32), *map(read_vectors, files)])
    return read_embedded(listing.shards, files, listing.skipped), vectors


def member_names(report: Report) -> list[list[str]]:
    return sorted(sorted(str(path).rpartition("!")[2] for path in group.files) for group in report.groups)


def remote(path: Path) -> str:
    """The same by a URL that goes through fsspec."""
    return f"local://{path}"


def test_every_kind_of_source_gives_the_same_vectors(tmp_path: Path, members: Files, encoder: OnnxEncoder) -> None:
    folder = write_folder(tmp_path / "photos", members)
    plain = encode_images(folder, encoder=encoder)
    by_name = {path.name: vector for path, vector in zip(plain.paths, plain.vectors, strict=True)}
    reasons = {one.path.name: one.reason for one in plain.skipped}
    tar = write_tar(tmp_path / "a.tar", members)
    packed = tmp_path / "b.tar.gz"
    packed.write_bytes(gzip.compress(tar.read_bytes()))
    for k, source in enumerate([str(tar), str(packed), f"file://{tar}", remote(tar), remote(folder)]):
        (tmp_path / f"e{k}").mkdir()
        found, vectors = embedded([source], tmp_path / f"e{k}", encoder)
        names = [str(path).rpartition("!")[2].rpartition("/")[2] for path in found.paths]
        assert sorted(names) == sorted(by_name), source
        assert all(np.array_equal(by_name[name], v) for name, v in zip(names, vectors, strict=True))
        if k == 4:
            assert str(found.paths[0]).startswith(f"file://{folder}/")
        lost = {str(one.path).rpartition("!")[2].rpartition("/")[2]: one.reason for one in found.skipped}
        assert lost == reasons, source
        with at_hand([found.place(row) for row in range(len(found))]) as paths:  # and once more, from where they lie
            assert [path.read_bytes() for path in paths] == [members[name] for name in names]
    rows = write_parquet(tmp_path / "c.parquet", members, row_group_size=4)
    (tmp_path / "p").mkdir()
    found, vectors = embedded([str(rows)], tmp_path / "p", encoder)
    kept = [name for name in members if name in by_name]
    assert np.array_equal(vectors, np.stack([by_name[name] for name in kept]))
    assert str(found.paths[-1]) == f"{rows}!{list(members).index(kept[-1])}"
    assert {one.reason for one in found.skipped} == set(reasons.values())
    with at_hand([found.place(row) for row in (len(found) - 1, 0)]) as paths:
        assert [path.read_bytes() for path in paths] == [members[kept[-1]], members[kept[0]]]
    assert not list(Path(paths[0]).parent.glob("*")) if paths[0].parent.exists() else True


def test_duplicates_across_shards_are_those_of_the_folder(tmp_path: Path, members: Files, find: Find) -> None:
    plain = find(write_folder(tmp_path / "photos", members))
    half = len(members) // 2
    for k, part in enumerate((dict(list(members.items())[:half]), dict(list(members.items())[half:]))):
        write_tar(tmp_path / f"shard-{k:03}.tar", part)
    found = find(f"{tmp_path}/shard-{{000..001}}.tar", work="tars")
    assert member_names(found) == sorted(sorted(path.name for path in group.files) for group in plain.groups)
    assert [match.l2_distance for match in found.matches] == [match.l2_distance for match in plain.matches]
    assert [match.second_look for match in found.matches] == [match.second_look for match in plain.matches]
    assert sorted(str(r) for g in found.groups for r in g.relations) == sorted(
        str(r) for g in plain.groups for r in g.relations
    )
    assert find(f"{tmp_path}/shard-*.tar", work="tars") == found
    shards = tmp_path / "shards"
    shards.mkdir()
    for k in range(2):
        (tmp_path / f"shard-{k:03}.tar").rename(shards / f"shard-{k:03}.tar")
    assert member_names(find(shards, work="folder")) == member_names(found)
    assert member_names(find(remote(shards), work="remote")) == member_names(found)


def test_a_dismissed_pair_is_known_by_content_inside_archives(tmp_path: Path, members: Files, find: Find) -> None:
    folder = write_folder(tmp_path / "photos", members)
    decide([(content_of(folder / "001.png"), content_of(folder / "copy1.jpg"))], Verdict.DIFFERENT)
    report = find(write_tar(tmp_path / "a.tar", members))
    assert report.dismissed == 1 and ["001.png", "copy1.jpg"] not in member_names(report)


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.31, 0.5, 0.9])
def test_a_cut_off_tar_says_so(tmp_path: Path, members: Files, cut: float) -> None:
    whole = write_tar(tmp_path / "whole.tar", members)
    data = whole.read_bytes()
    path = tmp_path / "cut.tar"
    path.write_bytes(data[: int(len(data) * cut)])
    (shard,) = list_shards([str(path)]).shards
    found = list(read(shard))
    good = [one for one in found if isinstance(one, Item)]
    assert all(one.source == members[one.name.rpartition(b"!")[2].decode()] for one in good)
    last = found[-1]
    assert isinstance(last, Unread) and (last.name, last.reason) == (os.fsencode(path), "corrupt")
    assert "cut off" in last.message and "\n" not in last.message
    (whole_shard,) = list_shards([str(whole)]).shards
    assert [one.name for one in read(whole_shard) if one.name == os.fsencode(whole)] == []


def test_a_tar_cut_between_two_members_says_so(tmp_path: Path, members: Files) -> None:
    data = write_tar(tmp_path / "whole.tar", {"a.png": members["001.png"]}).read_bytes()
    end = 512 + -(-len(members["001.png"]) // 512) * 512
    for name, rest in (("boundary", b""), ("garbage", b"\x01" * 2000), ("flipped", None)):
        path = tmp_path / f"{name}.tar"
        path.write_bytes(data[:end] + rest if rest is not None else data[:100] + b"\xff" + data[101:])
        (shard,) = list_shards([str(path)]).shards
        assert isinstance(list(read(shard))[-1], Unread), name


def test_links_repeated_and_odd_names_in_a_tar(tmp_path: Path, members: Files) -> None:
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for name in ("a.png", "a.png", "./b//c.png", "odd\udcff.png"):
            info = tarfile.TarInfo(name)
            info.size = len(members["001.png"])
            tar.addfile(info, io.BytesIO(members["001.png"]))
        for kind, name, target in ((tarfile.LNKTYPE, "hard.png", "a.png"), (tarfile.SYMTYPE, "soft.png", "a.png")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    (shard,) = list_shards([str(path)]).shards
    found = list(read(shard))
    names = [os.fsdecode(one.name).rpartition("!")[2] for one in found]
    assert names == ["a.png", "a.png#2", "./b//c.png", "odd\udcff.png", "hard.png"]
    assert all(isinstance(one, Item) and one.source == members["001.png"] for one in found)


def test_headers_of_a_tar_that_ask_for_too_much(tmp_path: Path, members: Files) -> None:
    picture, odd = tarfile.TarInfo("a.png"), tarfile.TarInfo("odd")
    picture.size = len(members["001.png"])
    held = picture.tobuf() + members["001.png"] + bytes(-picture.size % tarfile.BLOCKSIZE)
    odd.type = tarfile.XHDTYPE
    nested = odd.tobuf(tarfile.USTAR_FORMAT) * 3000
    odd.type, odd.size = tarfile.GNUTYPE_LONGNAME, 1 << 60
    huge = odd.tobuf(tarfile.GNU_FORMAT)
    odd.size = 1 << 26  # it would fit into memory; of a compressed tar, 60 kB ask for that
    large = odd.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 26)
    for name, header in (("nested", nested), ("huge", huge), ("large", large)):
        path = tmp_path / f"{name}.tar"
        path.write_bytes(held + header + held + bytes(1024))
        found = list(read(list_shards([str(path)]).shards[0]))
        assert [(one.name.rpartition(b"/")[2].decode(), getattr(one, "reason", "")) for one in found] == [
            (f"{name}.tar!a.png", ""),
            (f"{name}.tar", "corrupt"),
        ]


class Counting(io.BytesIO):
    """A file that knows how much of it was read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def test_hard_links_in_what_is_compressed_are_read_in_one_more_pass(tmp_path: Path, members: Files) -> None:
    noise = np.random.default_rng(0).bytes(2_000_000)
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in (("first.png", members["001.png"]), ("noise.bin", noise), ("last.jpg", members["copy1.jpg"])):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for k in range(60):
            info = tarfile.TarInfo(f"link{k:02}")
            info.type, info.linkname = tarfile.LNKTYPE, ("first.png", "last.jpg", "noise.bin")[k % 3]
            tar.addfile(info)
    file = Counting(path.read_bytes())
    found = list(from_tar.items(file, b"a"))
    assert file.count < 3 * path.stat().st_size
    held = {one.name.rpartition(b"!")[2].decode(): one for one in found if isinstance(one, Item)}
    assert len(found) == 63 and len(held) == 42
    assert all(held[f"link{k:02}"].source == members[("001.png", "copy1.jpg")[k % 3]] for k in range(60) if k % 3 < 2)
    lost = {(one.reason, one.message.partition(": ")[2]) for one in found if isinstance(one, Unread)}
    assert len(lost) == 1  # of the links as of what they lead to
    places = [Place(Kind.TAR, os.fsencode(path), one.at, one.size) for one in held.values()]
    with at_hand(places) as files:
        assert [file.read_bytes() for file in files] == [one.source for one in held.values()]


def test_a_hard_link_to_nothing_is_said(tmp_path: Path) -> None:
    path, link = tmp_path / "a.tar", tarfile.TarInfo("a.png")
    link.type, link.linkname = tarfile.LNKTYPE, "/etc/passwd"
    path.write_bytes(link.tobuf() + bytes(1024))
    (one,) = read(list_shards([str(path)]).shards[0])
    assert isinstance(one, Unread) and (one.reason, "/etc/passwd" in one.message) == ("corrupt", True)


def test_a_shard_that_changes_meanwhile_is_not_there(tmp_path: Path, members: Files, encoder: OnnxEncoder) -> None:
    tar = write_tar(tmp_path / "a.tar", members)
    found, _ = embedded([str(tar)], tmp_path, encoder)
    tar.write_bytes(b"")
    with at_hand([found.place(0)]) as paths:
        assert not paths[0].exists()


def test_parquet_without_images(tmp_path: Path, members: Files, find: Find) -> None:
    import pyarrow
    import pyarrow.parquet

    def made(name: str, **columns: Any) -> Path:
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / name)
        return tmp_path / name

    numbers = made("numbers.parquet", n=[1, 2], text=["a", "b"])
    with pytest.raises(InputError, match="no column of bytes; it has n, text"):
        find(numbers)
    both = made("both.parquet", one=[members["001.png"]], two=[members["002.png"]])
    with pytest.raises(InputError, match=r"several columns of bytes \(one, two\).*--column"):
        find(both)
    assert find(both, column="two").images == 1
    with pytest.raises(InputError, match="no column 'three'"):
        find(both, column="three")
    folder = write_folder(tmp_path / "photos", {"a.png": members["001.png"]})
    numbers.rename(folder / "numbers.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1 and no more")
    store.write(str(folder / "ours.parquet"), {"name": [b"x"]})
    both.rename(folder / "both.parquet")
    report = find(folder)
    assert {one.path.name: one.reason for one in report.skipped} == {
        "numbers.parquet": "not_an_image", "broken.parquet": "corrupt", "ours.parquet": "not_an_image",
        "both.parquet": "which_column",
    }  # fmt: skip
    assert report.images == 1


def test_a_damaged_page_of_parquet_loses_its_rows_only(tmp_path: Path, members: Files, encoder: OnnxEncoder) -> None:
    pictures = {f"{k}.png": members[f"00{k % 6}.png"] for k in range(12)}
    path = write_parquet(tmp_path / "a.parquet", pictures, row_group_size=4, compression="none", use_dictionary=False,
                         write_page_checksum=True)  # fmt: skip
    data = bytearray(path.read_bytes())
    at = data.index(members["005.png"])
    data[at - 40 : at + 40] = bytes(80)  # the second row group
    path.write_bytes(data)
    found, _ = embedded([str(path)], tmp_path, encoder)
    assert len(found) + len(found.skipped) >= 9 and len(found) >= 8
    assert all(one.reason == "corrupt" for one in found.skipped) and found.skipped


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{tmp}/gone", "no such folder"),
        ("{tmp}/gone-*.tar", "matches nothing"),
        ("{tmp}/gone-{{0..1}}.tar", "gone-0.tar: no such folder"),
        ("local://{tmp}/gone.tar", "no such file"),
        ("nonsense://a/b.tar", "nonsense"),
        ("memory://none/at/all", "no such file"),
    ],
)
def test_sources_that_are_not_there(tmp_path: Path, find: Find, source: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        find(source.format(tmp=tmp_path))
    assert "\n" not in str(raised.value)


def test_a_store_whose_package_is_missing(find: Find) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises((MissingPackageError, InputError)) as raised:
        find("gs://bucket/a.tar")
    assert "\n" not in str(raised.value)


def test_a_store_in_memory_for_source_and_stage_files(members: Files, find: Find, encoder: OnnxEncoder) -> None:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    for name, data in members.items():
        system.pipe_file(f"/album/{name}", data)
    found = find("memory://album", work="memory://work")
    assert [path.name for path in found.groups[0].files] == ["000.png", "same.png", "copy0.jpg"]
    assert str(found.groups[0].files[0]) == "memory://album/000.png"
    assert find("memory://album", work="memory://work") == found
    before = set(system.find("/work"))
    system.pipe_file("/album/copy2.jpg", members["copy1.jpg"])
    again = find("memory://album", work="memory://work")
    assert set(system.find("/work")) - before and len(again.groups) == 2
    system.rm("/album", recursive=True)
    system.rm("/work", recursive=True)


def test_where_is_for_files(tmp_path: Path, members: Files, find: Find) -> None:
    with pytest.raises(InputError, match="--where"):
        find(write_tar(tmp_path / "a.tar", members), where="format=png")


def test_a_name_with_brackets_is_meant_as_it_is(tmp_path: Path, members: Files, find: Find) -> None:
    assert find(write_folder(tmp_path / "a [1] {x,y}*", {"a.png": members["001.png"]})).images == 1
