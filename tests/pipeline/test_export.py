"""Reports in files and frames: every name survives, and none does harm."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.pipeline.duplicates import find_duplicates
from twinpix.pipeline.export import gallery as galleries
from twinpix.pipeline.export.files import FORMULA, harmless, write_report
from twinpix.pipeline.export.gallery import gallery
from twinpix.pipeline.export.rows import COLUMNS
from twinpix.pipeline.report import Group, Match, Report, Skipped

Paint = Callable[..., Image.Image]
Command = Callable[..., subprocess.CompletedProcess[str]]
HOSTILE = (
    b"=cmd|' /C calc'!A0.png", b"+1.png", b"-rf.png", b"@SUM(1).png", b"<script>alert(1)<.png", b"a\nb\r\t.png",
    "\u202egnp.exe".encode(), b"\xff\xfe.png", b"'\"&amp;%TITLE%.png", "\uff1d1\uff0b1.png".encode(), b'","a.png',
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile() -> Report:
    """A group of files, none of which is there."""
    paths = tuple(Path(os.fsdecode(b"/photos/" + name)) for name in HOSTILE)
    matches = tuple(Match(paths[0], path, 0.25, 1.0, True) for path in paths[1:])
    skipped = (Skipped(Path("/photos/<b>.txt"), "not_an_image", "no image"),)
    return Report((Group(paths, 0.25),), matches, skipped, 1.0, 0.01, False, len(paths), "made", paths=paths)


def test_rows_of_every_format_agree(album: Path, tmp_path: Path) -> None:
    pandas, parquet = pytest.importorskip("pandas"), pytest.importorskip("pyarrow.parquet")
    report = find_duplicates(album)
    frame = report.to_pandas()
    assert list(frame.columns) == list(COLUMNS) and len(frame) == 3
    assert frame.representative.tolist() == [True, False, False] and frame.l2_distance.iloc[0] == 0
    for ending in ("csv", "jsonl", "parquet"):
        report.save(tmp_path / f"report.{ending}")
    assert frame.equals(parquet.read_table(tmp_path / "report.parquet").drop_columns("path_bytes").to_pandas())
    assert frame.fillna("").equals(pandas.read_csv(tmp_path / "report.csv", keep_default_na=False))
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert lines[:3] == json.loads(frame.to_json(orient="records", double_precision=15))
    assert [line["skipped"]["reason"] for line in lines[3:]] == ["not_an_image"]


@pytest.mark.parametrize("ending", ["csv", "html", "jsonl", "parquet"])
def test_a_path_that_is_no_text(hostile: Report, tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "\udcff"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("names are text on this disk")
    write_report(hostile, folder / f"\udcfe.{ending}")
    write_report(hostile, tmp_path / f"report.{ending}")
    assert (folder / f"\udcfe.{ending}").read_bytes() == (tmp_path / f"report.{ending}").read_bytes()


def test_exact_bytes_of_every_name_come_back(hostile: Report, tmp_path: Path) -> None:
    wanted = [b"/photos/" + name for name in HOSTILE]
    for ending in ("csv", "jsonl", "parquet"):
        write_report(hostile, tmp_path / f"report.{ending}")
    with open(tmp_path / "report.csv", encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    for rows in (table, lines[:-1]):
        assert [unquote_to_bytes(row["uri"].removeprefix("file://")) for row in rows] == wanted
        assert all(row["path"].isprintable() for row in rows)
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(tmp_path / "report.parquet")["path_bytes"].to_pylist() == wanted


def test_no_cell_is_a_formula(hostile: Report, tmp_path: Path) -> None:
    write_report(hostile, tmp_path / "report.csv")
    with open(tmp_path / "report.csv", encoding="utf-8-sig", newline="") as file:
        assert not [cell for row in csv.reader(file) for cell in row if cell.lstrip().startswith(FORMULA)]
    for text in ("=1", " =1", "+1", "-1", "@x", "\t=1", "\uff1d1", "\n-1"):
        assert str(harmless(text)).startswith("'"), text
    assert (harmless("a=1"), harmless(-1), harmless("")) == ("a=1", -1, "")


def test_the_gallery_holds_everything_and_fetches_nothing(album: Path) -> None:
    text = gallery(find_duplicates(album))
    assert text.count("<img ") == 3 == text.count("src='data:image/jpeg;base64,")
    assert "http:" not in text and "https:" not in text and "<script" not in text and "default-src 'none'" in text
    assert "1 group of duplicates" in text and "not_an_image" in text and "notes.txt" in text


def test_names_in_the_gallery_are_only_names(hostile: Report) -> None:
    text = gallery(hostile)
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)&lt;.png" in text and "<b>.txt" not in text
    assert "\\u202egnp.exe" in text and "\\udcff\\udcfe.png" in text and "a\\nb" in text
    assert text.count("gone") == len(HOSTILE) and text.isascii()


def test_the_gallery_says_what_it_left_out(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galleries, "MOST_PICTURES", 1)
    monkeypatch.setattr(galleries, "MOST_OF_GROUP", 2)
    text = gallery(find_duplicates(album))
    assert text.count("<img ") == 1 and "Of 3 files, 1 are shown as pictures" in text and "and 1 more files" in text


def test_imagededups_shape(album: Path) -> None:
    found = find_duplicates(album).to_imagededup()
    named = {Path(path).name: sorted(Path(other).name for other in others) for path, others in found.items()}
    assert named == {
        "a.png": ["a copy.png", "a.webp"], "a copy.png": ["a.png", "a.webp"], "a.webp": ["a copy.png", "a.png"],
        "b.png": [], "c.png": [],
    }  # fmt: skip


def test_the_command_writes_a_report(album: Path, tmp_path: Path, command: Command) -> None:
    done = command("find-duplicates", album, "-o", tmp_path / "report.html")
    assert done.returncode == 0 and "report of 1 groups" in done.stderr and "Group 1: 3 files" in done.stdout
    assert (tmp_path / "report.html").read_text().count("<img ") == 3
    for target, words in (("r.txt", ".html, .csv, .jsonl, .parquet"), ("gone/r.csv", "folder does not exist")):
        failed = command("find-duplicates", album, "-o", tmp_path / target)
        assert failed.returncode == 2 and words in failed.stderr and failed.stderr.count("\n") == 1
    assert "--output" in command("find-duplicates", album, "--metric", "dhash", "-o", tmp_path / "r.csv").stderr
    with pytest.raises(InputError, match=r"end the name in \.html"):
        find_duplicates(album).save(tmp_path / "report.png")
