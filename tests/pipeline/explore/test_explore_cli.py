"""`twinpix explore`: the page, the JSON, the lines and the exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.explore import page as pages
from twinpix.pipeline.explore.clusters import explore
from twinpix.pipeline.explore.page import page, write_page

Paint = Callable[..., Image.Image]
Command = Callable[..., Any]


def data(text: str) -> dict[str, Any]:
    """What the page knows."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_the_page_holds_everything_and_fetches_nothing(album: Path) -> None:
    text = page(explore(album, clusters=2), "shipped")
    known = data(text)
    assert set(known["names"]) == {"a.png", "a.webp", "b.png", "sub/a copy.png", "sub/c.png"}
    assert sum(cluster["size"] for cluster in known["clusters"]) == len(known["names"]) == len(known["places"])
    assert sorted(map(int, known["thumbnails"])) == list(range(5))
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in known["thumbnails"].values())
    assert known["linksInAll"] == len(known["links"]) == 3 and known["skipped"] == 1
    assert "http://" not in text and "https://" not in text and "default-src 'none'" in text


def test_names_can_not_break_out(tmp_path: Path, paint: Paint) -> None:
    folder = tmp_path / "<b>&%DATA%"
    folder.mkdir()
    for seed, name in enumerate(
        ("<script>.png", "<!--.png", "</script>.png".replace("/", "\\"), "%TITLE%.png", "\u202e.png")
    ):
        paint(seed).save(folder / name)
    text = page(explore(folder), "shipped")
    assert "<script>." not in text and "<!--" not in text and "<b>" not in text
    assert "<title>Map of &lt;b&gt;&amp;%DATA%</title>" in text
    assert set(data(text)["names"]) == {"<script>.png", "<!--.png", "<\\script>.png", "%TITLE%.png", "\\u202e.png"}


def test_it_says_what_it_left_out(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_THUMBNAILS", 3)
    monkeypatch.setattr(pages, "MOST_LINKS", 1)
    found = explore(album)
    known = data(page(found, "shipped"))
    assert len(known["thumbnails"]) == 3 and len(known["names"]) == 5
    assert found.embeddings.paths.index(found.outliers[0].path) in map(int, known["thumbnails"])
    assert (len(known["links"]), known["linksInAll"]) == (1, 3)


def test_an_image_that_vanished_after_it_was_embedded(album: Path) -> None:
    found = explore(album)
    (album / "b.png").unlink()
    assert len(data(page(found, "shipped"))["thumbnails"]) == 4


def test_an_empty_folder_makes_an_empty_page(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_page(tmp_path / "map.html", explore(tmp_path / "empty"), "shipped")
    assert data((tmp_path / "map.html").read_text())["names"] == []


def test_targets_that_can_not_be(tmp_path: Path, album: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    found = explore(album)
    for name, words in (
        ("map.png", "end the name in .html"),
        ("gone/map.html", "does not exist"),
        ("folder.html", "a folder"),
    ):
        with pytest.raises(InputError, match=words):
            write_page(tmp_path / name, found, "shipped")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["album", "folder.html"]


# -- the command


def test_page_and_lines(command: Command, album: Path, tmp_path: Path, encoder: OnnxEncoder) -> None:
    done = command("twinpix", "explore", album, "-o", tmp_path / "map.html", "--clusters", "2", cwd=album)
    assert done.returncode == 0
    assert "map of 5 images" in done.stderr and "1 not_an_image" in done.stderr
    assert done.stdout.splitlines()[0].startswith("cluster 1: ") and "outlier: " in done.stdout
    assert data((tmp_path / "map.html").read_text())["encoder"] == encoder.name


def test_json_and_exit_codes(command: Command, album: Path) -> None:
    (album / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = command("twinpix", "explore", album, "--json", "--clusters", "2")
    found = json.loads(done.stdout)
    assert (done.returncode, found["schema"], found["images"], len(found["clusters"])) == (3, 1, 5, 2)
    assert sorted(len(cluster["files"]) for cluster in found["clusters"])[-1] >= 3
    assert len(found["near_duplicates"]) == 3 and len(found["outliers"]) == 1
    assert {row["reason"] for row in found["skipped"]} == {"corrupt", "not_an_image"}
    assert json.loads(command("twinpix", "explore", album, "--json", "--where", "format=webp").stdout)["images"] == 1


def test_a_map_of_nothing_is_an_error(command: Command, album: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for args, words in (
        ((tmp_path / "empty",), "no image there"),
        (
            (album, "--where", "width>9999 name~png"),
            "--where 'width>9999 name~png' accepts none of the images there (5)",
        ),
    ):
        done = command("twinpix", "explore", *args, "-o", tmp_path / "map.html")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert words in done.stderr and not (tmp_path / "map.html").exists()


def test_errors_are_one_line(command: Command, album: Path, tmp_path: Path) -> None:
    for args in (
        (album / "gone",), (album, "--clusters", "0"), (album, "--clusters", "many"), (album, "-o", "map.png"),
        (album, "-o", tmp_path / "gone" / "map.html"), (album, "--where", "width>"), (album, "--threshold", "3"),
    ):  # fmt: skip
        done = command("twinpix", "explore", *args)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), args
        assert done.stderr.startswith("error: ")
