"""The command from end to end, what it writes, and what it says of wrong input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twinpix.encoder.errors import MissingPackageError
from twinpix.pipeline import peak_memory
from twinpix.pipeline.bench.cli import bench
from twinpix.pipeline.bench.contestants import Choice
from twinpix.pipeline.bench.cost import cost
from twinpix.pipeline.bench.edits import protocol
from twinpix.pipeline.bench.folder import choose_pictures
from twinpix.pipeline.bench.split import Split
from twinpix.pipeline.cli import app

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of its own for each method."""
    monkeypatch.setattr("twinpix.pipeline.bench.run.cost", lambda key, choice, files: None)


@pytest.fixture
def matplotlib() -> None:
    pytest.importorskip("matplotlib")


class Tags(HTMLParser):
    """Counts elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


@pytest.mark.usefixtures("cheap", "matplotlib")
def test_edits_to_terminal_json_and_page(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = rows.rename(tmp_path / "<b>my & photos")
    json_file, page_file = tmp_path / "out.json", tmp_path / "out.html"
    asked = {"methods": "twinpix,embedding,euclidean", "queries": 3, "rate": [1e-2, 1e-6]}
    assert bench(folder, **asked, json=json_file, html=page_file) == 0  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert "the half for reporting" in shown
    assert "recall at false-match rate 0.01, 3 queries a row" in shown
    assert ", by false-match rate" in shown
    assert "default 0.01 1e-6 1e-8+" in " ".join(shown.split())
    assert "collage 2x2 *" in shown
    assert "too few" in shown
    assert all(len(line) <= 120 for line in shown.splitlines()[2:])

    numbers = json.loads(json_file.read_text())
    assert (numbers["schema"], numbers["kind"], numbers["split"], numbers["queries"]) == (1, "edits", "report", 3)
    assert numbers["pairs"] == numbers["pictures"] * (numbers["pictures"] - 1) // 2
    assert numbers["levels"] == ["default", "0.01", "1e-6", "1e-8 (extrapolated)"]
    assert [edit["name"] for edit in numbers["edits"]] == [edit.name for edit in protocol([])]
    assert len(numbers["methods"]) == 3
    for method in numbers["methods"]:
        assert set(method["recall"]) == {edit["name"] for edit in numbers["edits"]}
        assert set(method["means"]) == set(numbers["means"])
        assert method["levels"]["1e-6"]["missing"] == "too few"
        assert all(0 <= at["0.01"] <= 1 and at["1e-6"] is None for at in method["recall"].values())
        assert 0 <= method["disc"]["average_precision"] <= 1
        assert len(method["curve"]["rates"]) == len(method["curve"]["recall"])
    assert {"python", "numpy", "pillow"} <= set(numbers["versions"])

    page = page_file.read_text()
    tags = Tags(page).tags
    assert tags.count("svg") == 3
    assert tags.count("table") == 4
    assert "b" in tags  # the numbers on the cards
    assert "&lt;b&gt;my &amp; photos" in page
    assert "<b>my" not in page
    assert not {"link", "script", "img"} & set(tags)
    assert "#010203" not in page  # plots take the page's text colour


@pytest.mark.usefixtures("cheap", "matplotlib")
def test_known_groups(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{i:02}.png" for i in range(30)]
    groups = {
        "same": {f"a/{i}": names[2 * i : 2 * i + 2] for i in range(6)},
        "view": {f"b/{i}": names[2 * i : 2 * i + 2] for i in range(6, 12)},
        "alone": names[24:],
    }
    known = tmp_path / "groups.json"
    known.write_text(json.dumps(groups))
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    assert bench(rows, groups=known, methods="twinpix,euclidean", split=Split.ALL, json=out, html=page) == 0
    shown = capsys.readouterr().out
    assert "same: average over sources" in shown
    assert "unrelated, alone" in shown
    numbers = json.loads(out.read_text())
    assert numbers["kind"] == "groups"
    first = numbers["methods"][0]
    assert first["same"] == {"a": [0, 6]}
    assert first["view"] == {"b": [0, 6]}
    assert first["unrelated"] == {"alone": [0, 6 * 24 + 15], "view": [0, 12 * 12 + 60], "same": [0, 60]}
    assert numbers["levels"] == ["default", "1e-4", "1e-6"]
    assert (numbers["same_pairs"], numbers["pairs"]) == (6, 6 + 6 * 24 + 15 + 12 * 12 + 60 + 60)
    assert [method["second_look"] for method in numbers["methods"]] == [True, False]
    assert all(method["levels"]["1e-4"]["missing"] == "too few" for method in numbers["methods"])
    assert "recall by false-match rate" in shown and "peak MB" in shown
    tags = Tags(page.read_text()).tags
    assert (tags.count("svg"), tags.count("table")) == (3, 2)


@pytest.mark.usefixtures("cheap", "matplotlib")
def test_known_groups_without_a_pair_are_no_percentages(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, page = tmp_path / "groups.json", tmp_path / "out.html"
    known.write_text(json.dumps({"same": {"a/0": ["00.png"]}, "view": {}, "alone": []}))
    monkeypatch.chdir(rows)
    monkeypatch.setattr(sys, "argv", ["twinpix", "bench", ".", "--groups", "my groups.json"])
    assert bench(Path(), groups=known, methods="twinpix,euclidean", split=Split.ALL, html=page) == 0
    assert "<title>twinpix bench: rows</title>" in page.read_text()
    assert "twinpix bench . --groups &#x27;my groups.json&#x27;" in page.read_text()
    shown = capsys.readouterr().out
    assert "0/0" not in shown + page.read_text()
    assert "0.0 %" not in shown


@pytest.mark.usefixtures("cheap")
def test_known_groups_that_name_pictures_that_are_not_there(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, out = tmp_path / "groups.json", tmp_path / "out.json"
    (rows / "broken.png").write_bytes(b"no image")
    known.write_text(
        json.dumps({"same": {"a/0": ["00.png", "01.png", "gone.png"]}, "view": {"b/0": ["02.png", "broken.png"]}})
    )
    assert bench(rows, groups=known, methods="euclidean", split=Split.ALL, json=out) == 3
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "gone.png" in line] and [line for line in said if "broken.png" in line]
    assert json.loads(out.read_text())["missing"] == ["broken.png", "gone.png"]


def test_cost_is_that_of_a_process_of_its_own(rows: Path) -> None:
    files = sorted(rows.iterdir())[:4]
    found = cost("euclidean", Choice(("euclidean",)), files)
    assert found is not None
    assert found.images == 4
    assert found.decode > 0
    assert found.encode > 0
    assert found.ratio == pytest.approx((found.decode + found.encode) / found.decode)
    assert found.peak_mb is None or 20 < found.peak_mb < 500
    assert cost("euclidean", Choice(), [rows / "not there.png"]) is None


def test_peak_memory_without_the_kernels_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(path: Path) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", absent)
    peak = peak_memory.peak_mb()
    assert peak is None or peak > 10


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["rows", "--methods", "phash,nonsense"], "no method is called 'nonsense'"),
        (["rows", "--methods", "autoencoder"], "--baseline"),
        (["rows", "--groups", "none.json"], "none.json"),
        (["rows", "--model", "none.onnx"], "none.onnx"),
        (["rows", "--methods", "euclidean", "--model", "none.onnx"], "none.onnx"),
        (["rows", "--rate", "3"], "between"),
        (["rows", "--limit", "5"], "--limit 5: a measurement needs at least 12"),
        (["rows", "--groups", "elsewhere.json"], "none of the 3 pictures it names is in rows (30 images)"),
        (["rows", "--groups", "elsewhere.json", "--limit", "40"], "--groups"),
        (["rows", "--groups", "elsewhere.json", "--queries", "4"], "--groups"),
        (["few"], "few: too few different pictures"),
    ],
)
def test_wrong_input_is_one_line(
    args: list[str], said: str, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "00.png").write_bytes((rows / "00.png").read_bytes())
    (tmp_path / "elsewhere.json").write_text(json.dumps({"same": {"a/0": ["x", "y"]}, "view": {}, "alone": ["z"]}))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["bench", *args])
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_the_installed_command(tmp_path: Path, command: Command) -> None:
    done = command("twinpix", "bench", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (2, "error: nowhere: no such folder\n", "")


def test_a_page_without_matplotlib(rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match="bench"):
        bench(rows, html=tmp_path / "out.html")


def test_the_draw_of_queries_is_the_same_every_time(rows: Path) -> None:
    one, two = (choose_pictures(rows, 20, 5, Split.REPORT) for _ in range(2))
    assert one.names == two.names
    assert one.queries.tolist() == two.queries.tolist()
