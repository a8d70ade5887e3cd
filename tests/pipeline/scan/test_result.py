"""What a scan found can be looked at again: as tables, on the review page, in a report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.duplicates import candidate_pairs
from twinpix.pipeline.library.errors import LibraryBusyError
from twinpix.pipeline.review.desk import Desk
from twinpix.pipeline.review.review import Review
from twinpix.pipeline.scan import cli, lent, store
from twinpix.pipeline.scan.local import LocalEngine
from twinpix.pipeline.scan.result import as_files, is_result, read_result, save_report, write_result
from twinpix.pipeline.scan.scan import scan
from twinpix.pipeline.scan.scanned import Scanned
from twinpix.pipeline.stream import encode_images

from .conftest import write_folder, write_tar

Command = Callable[..., subprocess.CompletedProcess[str]]
Files = dict[str, bytes]
Paint = Callable[..., Image.Image]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, members: Files) -> Path:
    return write_folder(tmp_path_factory.mktemp("result") / "photos", members)


@pytest.fixture(scope="module")
def of_folder(photos: Path, local: LocalEngine, encoder: OnnxEncoder) -> Scanned:
    return scan([str(photos)], local, str(photos.parent / "work"), encoder)


@pytest.fixture(scope="module")
def of_tar(photos: Path, local: LocalEngine, encoder: OnnxEncoder, members: Files) -> Scanned:
    tar = write_tar(photos.parent / "a.tar", {f"in/{name}": data for name, data in members.items()})
    return scan([str(tar)], local, str(photos.parent / "tar-work"), encoder)


def test_tables(of_folder: Scanned, tmp_path: Path) -> None:
    write_result(of_folder, str(tmp_path / "result"))
    assert is_result(tmp_path / "result") and not is_result(tmp_path)
    report = of_folder.report
    matches = list(store.rows(store.read(str(tmp_path / "result" / "matches.parquet"))))
    assert [(q, r, d, look) for q, r, _, _, d, look in matches] == [
        (str(m.query), str(m.reference), m.l2_distance, m.second_look) for m in report.matches
    ]
    groups = store.read(str(tmp_path / "result" / "groups.parquet"))
    assert [os.fsdecode(name) for name in groups.column("path_bytes").to_pylist()] == [
        str(path) for group in report.groups for path in group.files
    ]
    skipped = store.read(str(tmp_path / "result" / "skipped.parquet"))
    assert skipped.column("reason").to_pylist() == [one.reason for one in report.skipped]
    meta = json.loads(store.read(str(tmp_path / "result" / "meta.parquet")).column("json")[0].as_py())
    assert (meta["images"], meta["totals"]["groups"]) == (report.images, len(report.groups))


def test_read_again_it_is_what_a_search_finds(
    of_folder: Scanned, photos: Path, tmp_path: Path, encoder: OnnxEncoder
) -> None:
    write_result(of_folder, str(tmp_path / "result"))
    result = read_result(tmp_path / "result")
    searched = candidate_pairs(encode_images(photos, encoder=encoder), encoder)
    assert result.candidates.report() == searched.report()
    assert result.candidates.report(searched.limit.at(0.5)) == searched.report(searched.limit.at(0.5))
    assert (result.roots, result.began_ns) == ((photos.resolve(),), of_folder.began_ns)
    with as_files(result, tmp_path / "pictures") as (candidates, count):
        assert (candidates, count) == (result.candidates, 0)
    with pytest.raises(InputError, match="damaged"):
        path = tmp_path / "result" / "candidates.parquet"
        path.write_bytes(path.read_bytes()[:-30])
        read_result(tmp_path / "result")


def test_a_review_of_an_archive_shows_its_pictures_and_moves_none(of_tar: Scanned, tmp_path: Path) -> None:
    write_result(of_tar, str(tmp_path / "result"))
    result, copies = read_result(tmp_path / "result"), tmp_path / "result" / "pictures"
    with as_files(result, copies) as (candidates, count):
        assert count >= 7
        with pytest.raises(LibraryBusyError, match="already"), as_files(result, copies):
            pass
        # the scan began before the pictures were taken out of the archive
        review = Review(candidates, [], [copies], "resolution", result.began_ns, copies)
        desk = Desk(review)
        try:
            assert len(review.groups) == len(of_tar.report.groups) == 3
            group = desk.answers["group"]({"at": 0})
            assert {file["name"] for file in group["files"]} == {"000.png", "same.png", "copy0.jpg"}
            assert all(file["folder"].endswith("a.tar/in") for file in group["files"])
            assert all(file["sentence"] for file in group["files"][1:])
            jpeg = desk.picture(group["files"][0]["id"], "thumb")
            assert jpeg.startswith(b"\xff\xd8")
            with pytest.raises(InputError, match="reference"):
                review.choose(review.groups[0], [review.groups[0].files[1]])
            review.part(review.groups[0], review.groups[0].files[2])
            assert review.is_apart(review.groups[0].files[2]), "but called different"
        finally:
            desk.close()
    assert not copies.exists()


def test_what_a_person_keeps_beside_the_pictures_of_a_review_stays(of_tar: Scanned, tmp_path: Path) -> None:
    write_result(of_tar, str(tmp_path / "result"))
    result, copies = read_result(tmp_path / "result"), tmp_path / "result" / "pictures"
    (copies / "album").mkdir(parents=True)
    (copies / "album" / "own.jpg").write_bytes(b"own")
    with pytest.raises(InputError, match="move it away") as refused, as_files(result, copies):
        pass
    assert "\n" not in str(refused.value)
    (copies / "album").rename(tmp_path / "album")
    with as_files(result, copies) as (candidates, _):
        first, second = candidates.paths[:2]
        (copies / "saved.jpg").write_bytes(b"saved")
        first.write_bytes(b"edited")
    assert {path.read_bytes() for path in copies.rglob("*") if path.is_file()} == {b"saved", b"edited"}
    with pytest.raises(InputError, match="move it away"), as_files(result, copies):
        pass
    assert (copies / "saved.jpg").exists() and first.exists() and not second.exists()


@pytest.mark.parametrize("when", ["while they are put there", "later"])
def test_the_pictures_of_a_review_that_was_killed_go(
    of_tar: Scanned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    write_result(of_tar, str(tmp_path / "result"))
    result, copies = read_result(tmp_path / "result"), tmp_path / "result" / "pictures"
    with monkeypatch.context() as killed:
        killed.setattr(lent, "_clear", lambda folder: None)
        if when != "later":
            killed.setattr(lent, "_stamp", stop)
        with suppress(KeyboardInterrupt), as_files(result, copies):
            pass
    left = {path for path in copies.rglob("*") if path.is_file()}
    assert len(left) >= 8
    with as_files(result, copies):
        assert {path for path in copies.rglob("*") if path.is_file()} == left
    assert not copies.exists()


def test_names_in_an_archive_that_no_folder_can_hold(
    local: LocalEngine, encoder: OnnxEncoder, members: Files, tmp_path: Path
) -> None:
    names = ("a", "a/b.png", "c/d.png", "c", "n" * 300 + ".png", "/".join(["deep"] * 1000), "../../up.png", "x!", "x!y")
    tar = write_tar(tmp_path / "a.tar", dict.fromkeys(names, members["001.png"]))
    (tmp_path / "a.tar!x!").write_bytes(members["001.png"])  # a file of the name that a member has here
    found = scan([str(tmp_path / "a.tar!x!"), str(tar)], local, str(tmp_path / "work"), encoder)
    write_result(found, str(tmp_path / "result"))
    copies = tmp_path / "pictures"
    with as_files(read_result(tmp_path / "result"), copies) as (candidates, count):
        assert count == len(names) == len(set(candidates.paths)) - 1
        assert all(path.is_relative_to(copies) for path in candidates.paths[1:])
        assert {path.read_bytes() for path in candidates.paths} == {members["001.png"]}
    assert not (tmp_path / "up.png").exists()


def test_a_report_of_an_archive_has_its_pictures(of_tar: Scanned, tmp_path: Path) -> None:
    save_report(of_tar, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/jpeg") == 7 and "gone" not in page
    save_report(of_tar, tmp_path / "report.csv")
    assert "a.tar!in/copy0.jpg" in (tmp_path / "report.csv").read_text("utf-8-sig")


def test_the_command(photos: Path, tmp_path: Path, command: Command, hearing: list[str]) -> None:
    plain = command("find-duplicates", photos, "--no-library", "--json")
    work = tmp_path / "work"
    found = command("twinpix", "scan", photos, "--work", work, "--json", "-o", tmp_path / "report.html")
    assert command("twinpix", "scan", photos, "--work", work, "--fail-on-duplicates").returncode == 1
    assert (found.returncode, plain.returncode) == (3, 3), found.stderr
    assert found.stdout == plain.stdout
    assert "10 images (10 embedded now" in found.stderr and "3 groups" in found.stderr
    assert "skipped: 1 corrupt, 1 empty_file, 1 not_an_image" in found.stderr
    assert (tmp_path / "report.html").read_text().count("data:image/jpeg") == 7
    words = [*hearing, str(Path(sys.executable).parent / "twinpix"), "review", str(work / "result"), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert line.startswith("3 groups to review: http://127.0.0.1:") and process.wait(30) == 0
        finally:
            process.kill()
    refused = command("twinpix", "review", work / "result", "--no-verify", "--no-browser")
    assert refused.returncode == 2 and "reviewed alone" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"engine": "spark"}, "no engine is called 'spark'"),
        ({"address": "auto"}, "--address and --gpus go with --engine ray"),
        ({"output": Path("report.txt")}, "end the name in"),
        ({"threshold": 3.0}, "0 to 2"),
    ],
)
def test_wrong_options_are_refused_before_the_work(photos: Path, words: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        cli.scan([str(photos)], **words)
    assert "\n" not in str(raised.value)


def test_a_killed_driver_loses_nothing(tmp_path: Path, command: Command, paint: Paint) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(240):
        paint(k // 2 * 2, 64, 48).save(folder / f"{k:03}.png")
    work = tmp_path / "work"
    words = ["twinpix", "scan", str(folder), "--work", str(work), "--no-verify", "--json"]
    with subprocess.Popen([Path(sys.executable).parent / words[0], *words[1:]], stdout=subprocess.DEVNULL) as process:
        ends = time.monotonic() + 100
        while not list(work.glob("embeddings/*.parquet")) and time.monotonic() < ends:
            time.sleep(0.002)
        process.kill()
    done = len(list(work.glob("embeddings/*.parquet")))
    resumed = command(*words)
    plain = command("find-duplicates", folder, "--no-library", "--no-verify", "--json")
    assert resumed.stdout == plain.stdout and len(plain.stdout) > 10_000
    assert done > 0 and f"{done} of" in resumed.stderr and not list(work.rglob("*.tmp"))


def test_nothing_of_it_is_loaded_before_it_is_needed() -> None:
    said = "import sys, twinpix.pipeline.cli; print(sorted({'ray', 'pyarrow', 'fsspec'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
