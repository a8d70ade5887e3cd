"""A scan is what find-duplicates does, whatever runs it, however often it is stopped."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from twinpix.encoder.errors import ImageError, InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline import duplicates
from twinpix.pipeline.duplicates import find_duplicates
from twinpix.pipeline.library.errors import LibraryBusyError
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.limits import limits
from twinpix.pipeline.scan.engine import JOIN
from twinpix.pipeline.scan.local import LocalEngine
from twinpix.pipeline.scan.scan import scan, work_for
from twinpix.pipeline.scan.scanned import Options, Scanned
from twinpix.pipeline.scan.source import list_shards
from twinpix.pipeline.show import report_dict

from .conftest import stage_files, write_folder

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]


@pytest.fixture
def photos(tmp_path: Path, members: dict[str, bytes]) -> Path:
    folder = write_folder(tmp_path / "photos", members)
    with open(os.path.join(os.fsencode(folder), b"odd\xff.png"), "wb") as file:  # no valid text
        file.write(members["004.png"])
    write_folder(folder / "sub", {"again.png": members["003.png"]})
    return folder


@pytest.fixture
def run(local: LocalEngine, tmp_path: Path, encoder: OnnxEncoder) -> Callable[..., Scanned]:
    def start(*sources: str | Path, work: str = "work", **wanted: Any) -> Scanned:
        engine = wanted.pop("engine", local)
        return scan([str(s) for s in sources], engine, str(tmp_path / work), encoder, None, Options(**wanted))

    return start


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"verify": False},
        {"threshold": 0.6},
        {"threshold": 0.6, "verify": True},
        {"false_pairs": 3.0, "thorough": True, "animated_with_stills": True},
        {"where": "format=png"},
    ],
)
def test_the_same_report_as_find_duplicates(
    run: Callable[..., Scanned], photos: Path, encoder: OnnxEncoder, wanted: dict[str, Any]
) -> None:
    expected = find_duplicates(photos, encoder=encoder, **wanted)
    found = run(photos, **wanted)
    assert report_dict(found.report) == report_dict(expected)
    assert expected.groups and expected.matches and expected.skipped
    assert found.report == expected
    assert found.totals.images == expected.images and found.totals.groups == len(expected.groups)


def test_crowds_are_those_of_find_duplicates(
    run: Callable[..., Scanned], tmp_path: Path, encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinpix.pipeline.scan.candidates.QUERIES", 50)
    (tmp_path / "dark").mkdir()
    for k in range(130):
        Image.new("L", (16, 16), k % 13).resize((16 + k // 13, 16)).save(tmp_path / "dark" / f"{k:03}.png")
    expected = find_duplicates(tmp_path / "dark", encoder=encoder, threshold=2.0)
    found = run(tmp_path / "dark", threshold=2.0)
    assert found.report == expected
    assert expected.unlisted + len(expected.matches) == 130 * 129 // 2 and expected.unlisted


def test_looks_end_where_those_of_find_duplicates_end(
    run: Callable[..., Scanned], photos: Path, encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = replace(limits(encoder, 8, None, None), candidate=2.0, far=2.0, unverified=0.1)
    monkeypatch.setattr("twinpix.pipeline.duplicates.limits", lambda *_: wide)
    monkeypatch.setattr("twinpix.pipeline.scan.scan.limits", lambda *_: wide)
    monkeypatch.setattr(duplicates, "PORTION", 2)
    ends = set()
    for pairs in (2, 3, 5, 8, 100):
        monkeypatch.setattr(duplicates, "affordable", lambda images, pairs=pairs: pairs)
        expected = find_duplicates(photos, encoder=encoder)
        assert run(photos, work=f"work{pairs}").report == expected
        ends.add(expected.looked_at)
    assert len(ends) >= 3
    assert expected.unseen == 0


def test_nothing_is_done_twice(run: Callable[..., Scanned], photos: Path, tmp_path: Path) -> None:
    first = run(photos)
    before = stage_files(tmp_path / "work")
    assert sum(first.totals.resumed.values()) == 0 and first.totals.images_done == first.totals.images
    again = run(photos)
    assert again.report == first.report
    assert sum(again.totals.done.values()) == 0 and again.totals.images_done == 0
    assert stage_files(tmp_path / "work") == before
    run(photos, work="other")
    assert stage_files(tmp_path / "other") == before  # byte for byte, and by the same names


@pytest.mark.parametrize("stage", ["embeddings", "pairs", "looks", "relations"])
def test_what_is_missing_or_damaged_is_made_again(
    run: Callable[..., Scanned], photos: Path, tmp_path: Path, stage: str
) -> None:
    first, before = run(photos), stage_files(tmp_path / "work")
    for k, path in enumerate(sorted((tmp_path / "work" / stage).iterdir())):
        if k % 2:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-20])  # half written, as after a power cut
    (tmp_path / "work" / stage / f".{24 * 'a'}.parquet.12345678.tmp").write_bytes(b"of a killed worker")
    again = run(photos)
    assert again.report == first.report
    assert sum(again.totals.done.values()) > 0
    assert stage_files(tmp_path / "work") == before
    assert not list((tmp_path / "work").rglob("*.tmp"))


def test_a_changed_file_is_never_served(
    run: Callable[..., Scanned], photos: Path, encoder: OnnxEncoder, members: dict[str, bytes]
) -> None:
    run(photos)
    stat = (photos / "copy1.jpg").stat()
    (photos / "copy1.jpg").write_bytes(members["005.png"].ljust(stat.st_size, b"\0")[: stat.st_size])
    os.utime(photos / "copy1.jpg", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as large and as old as before
    (photos / "002.png").unlink()
    (photos / "new.png").write_bytes(members["002.png"])
    again = run(photos)
    assert again.report == find_duplicates(photos, encoder=encoder)
    assert {path.name for path in again.embedded.paths} >= {"new.png"}


def test_one_file_more_changes_few_shards(local: LocalEngine, tmp_path: Path, pack: Pack, paint: Paint) -> None:
    files = {f"{k:04}.txt": b"no picture" for k in range(600)}
    folder = write_folder(tmp_path / "many", files)
    listing = list_shards([str(folder)])
    before = {shard.key for shard in listing.shards}
    (folder / "0000x.txt").write_text("one more")
    after = {shard.key for shard in list_shards([str(folder)]).shards}
    assert len(before) > 8 and len(after - before) <= 4  # where a border was set by number, the next ones move, too
    assert [place for shard in listing.shards for place in shard.places] == [
        os.fsencode(folder / name) for name in sorted(files)
    ]


def test_troubles_that_may_pass_are_tried_again(
    run: Callable[..., Scanned], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = OnnxEncoder.prepare

    def slow(self: OnnxEncoder, source: Any) -> Any:
        if str(source).endswith("002.png"):
            raise ImageError("timed_out", f"{source}: takes longer")
        return prepare(self, source)

    with monkeypatch.context() as patch:
        patch.setattr(OnnxEncoder, "prepare", slow)
        assert "timed_out" in {one.reason for one in run(photos).report.skipped}
    again = run(photos)
    assert "timed_out" not in {one.reason for one in again.report.skipped}
    assert again.totals.done["embedding"] == 1


def test_what_vanishes_before_its_second_look_is_skipped_and_in_no_group(
    local: LocalEngine, run: Callable[..., Scanned], photos: Path, encoder: OnnxEncoder, tmp_path: Path
) -> None:
    lost = photos / "copy1.jpg"

    def vanish(stage: str, done: int, tasks: int) -> None:
        if stage == JOIN:
            lost.unlink(missing_ok=True)

    report = scan([str(photos)], local, str(tmp_path / "work"), encoder, progress=vanish).report
    (told,) = (one for one in report.skipped if one.path == lost)
    assert told.reason == "vanished"
    assert told.message.startswith(f"{lost}: ") and "scan again" in told.message
    assert lost not in {path for group in report.groups for path in group.files}
    assert lost not in {path for match in report.matches for path in (match.query, match.reference)}
    assert any(photos / "copy0.jpg" in group.files for group in report.groups)
    again = run(photos).report
    assert report_dict(again)["groups"] == report_dict(report)["groups"]
    assert lost not in {one.path for one in again.skipped}


def test_dismissed_pairs_stay_dismissed_in_archives_too(run: Callable[..., Scanned], photos: Path) -> None:
    from twinpix.pipeline.decisions import Verdict, content_of, decide

    decide([(content_of(photos / "001.png"), content_of(photos / "copy1.jpg"))], Verdict.DIFFERENT)
    assert run(photos).report.dismissed == 1


def test_two_scans_do_not_share_a_folder(run: Callable[..., Scanned], photos: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with writer_lock(tmp_path / "work"), pytest.raises(LibraryBusyError, match="another scan"):
        run(photos)


def test_a_folder_of_something_else_is_left_alone(
    run: Callable[..., Scanned], photos: Path, tmp_path: Path, encoder: OnnxEncoder
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "table.parquet").write_bytes(b"years of work")
    with pytest.raises(InputError, match="not empty"):
        run(photos, work="mine")
    assert [path.name for path in mine.iterdir()] == ["table.parquet"]
    run(photos)
    for name in ("table.parquet", "embeddings/table.parquet"):  # put there later
        (tmp_path / "work" / name).write_bytes(b"years of work")
    run(photos, verify=False)
    assert not list((tmp_path / "work" / "looks").iterdir())
    assert {path.name for path in (tmp_path / "work").rglob("table.parquet")} == {"table.parquet"}
    assert len(list((tmp_path / "work").rglob("table.parquet"))) == 2


def test_stage_files_never_lie_among_the_pictures(run: Callable[..., Scanned], photos: Path) -> None:
    with pytest.raises(InputError, match="--work"):
        run(photos, work="photos/work")
    assert not (photos / "work").exists()


def test_what_other_files_a_folder_holds_is_left_alone(
    run: Callable[..., Scanned], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.parquet").write_bytes(b"mine")
    with pytest.raises(InputError, match="not empty"):
        run(photos, work="data")
    run(photos, work="work")
    mine = [tmp_path / "work" / name for name in ("table.parquet", "pairs/images.parquet", "notes.tmp")]
    left = [
        tmp_path / "work" / "pairs" / name for name in (f"{'0a' * 12}.parquet", f".{'0a' * 12}.parquet.0123abcd.tmp")
    ]
    for path in (*mine, *left):
        path.write_bytes(b"mine")
    run(photos, work="work")
    assert all(path.exists() for path in mine) and not any(path.exists() for path in left)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["table.parquet"]


def test_where_stage_files_lie(photos: Path, encoder: OnnxEncoder, tmp_path: Path) -> None:
    place = work_for([str(photos)], encoder)
    assert place.parent.parent == Path(os.environ["TWINPIX_DATA"])
    assert work_for([str(photos / ".." / "photos")], encoder) == place
    assert work_for([str(tmp_path)], encoder) != place


def test_no_image_and_one_image(run: Callable[..., Scanned], tmp_path: Path, members: dict[str, bytes]) -> None:
    for name, files in (("none", {}), ("text", {"a.txt": b"x"}), ("one", {"a.png": members["001.png"]})):
        found = run(write_folder(tmp_path / name, files), work=f"w{name}")
        assert (found.report.images, found.report.groups) == (int(name == "one"), ())
