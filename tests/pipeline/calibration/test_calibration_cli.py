"""`twinpix calibrate` as people run it, and its page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import twinpix
from twinpix.encoder.calibration import Calibration
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.calibration import calibrate as calibrating
from twinpix.pipeline.calibration import cli as calibrate_cli
from twinpix.pipeline.calibration import study as studying
from twinpix.pipeline.calibration.calibrations import in_force, keep_calibration, own_path
from twinpix.pipeline.calibration.gather import gather
from twinpix.pipeline.calibration.page import check_page, page
from twinpix.pipeline.calibration.study import SHOWN, Study, calibrate

Command = Callable[..., subprocess.CompletedProcess[str]]
ODD = "<b>a & b.png"
PICTURES = 215


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Fewer second looks and edits than for real pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrating, "LOOKED_AT", 40)
        patch.setattr(studying, "EDITED", 20)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """215 unrelated pictures, one of them twice and once more as a mirror image, and a damaged file."""
    folder = tmp_path_factory.mktemp("photos")
    dice = np.random.default_rng(0)
    for k in range(PICTURES):
        cells = dice.integers(0, 256, (7, 9, 3), dtype=np.uint8)
        picture = Image.fromarray(cells).resize((96, 72), Image.Resampling.BICUBIC)
        picture.save(folder / (ODD if k == 0 else f"{k:03}.png"))
    (folder / "zz copy.png").write_bytes((folder / ODD).read_bytes())
    (folder / "zz broken.png").write_bytes((folder / ODD).read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def found(photos: Path) -> Study:
    return calibrate(photos)


def test_copies_are_left_out_and_counted(found: Study, photos: Path) -> None:
    assert found.images == PICTURES + 1
    assert (photos / ODD, photos / "zz copy.png") in {(p.first, p.second) for p in found.excluded}
    assert found.calibration.pictures == found.images - len(found.excluded)
    assert [entry.path.name for entry in found.skipped] == ["zz broken.png"]
    assert sum(found.classes.values()) == found.calibration.pictures


def test_what_a_person_should_see(found: Study) -> None:
    gaps = [pair.distance for pair in found.closest]
    assert len(gaps) == SHOWN and gaps == sorted(gaps) and gaps[0] > 0
    assert found.closest[0].outcome is not None
    assert set(found.growth) == {0.25, 0.5, 1.0}
    assert found.growth[1.0] >= found.growth[0.5] >= found.growth[0.25]
    for shares in found.recall.values():
        assert 1 >= shares[0] >= shares[1] >= shares[2] >= 0
    assert found.recall["down-scale 1/4"][0] > 0.5


class Reader(HTMLParser):
    """Tags and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href") and tag != "use"]


def test_the_page_holds_everything_and_needs_nothing(found: Study) -> None:
    pytest.importorskip("matplotlib")
    text = page(found, "twinpix <x>")
    reader = Reader()
    reader.feed(text)
    assert reader.tags.count("img") == 2 * (len(found.closest) + len(found.excluded))
    assert all(source.startswith(("data:image/jpeg;base64,", "#")) for source in reader.sources)
    assert "b" in reader.tags and f"<b>{found.closest[0].distance:.3f}</b>" in text
    assert "&lt;b&gt;a &amp; b.png" in text and ODD not in text
    assert "twinpix &lt;x&gt;" in text
    for words in ("measured", "extrapolated", "1,000,000", "Look at these", "prefers-color-scheme", "down-scale 1/4"):
        assert words in text, words
    assert not re.findall(r"(?:src|href)\s*=\s*['\"]?https?:", text)


def test_stored_used_shown_forgotten(
    photos: Path, album: Path, tmp_path: Path, encoder: OnnxEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")

    def run(*folders: Path, **options: Any) -> tuple[int, str]:
        return calibrate_cli.calibrate(list(folders), **options), capsys.readouterr().out

    code, out = run(photos, dry_run=True, json=True)
    values = json.loads(out)
    assert code == 3, "one could not be read"
    assert (values["schema"], len(values["closest"])) == (1, SHOWN)
    assert not own_path(encoder.fingerprint).exists()
    code, out = run(photos, output=tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "1,000,000 images" in out and "the strictest that the curve supports" in out
    own = in_force(encoder)
    assert own.is_own and own.calibration.to_dict() == values["calibration"]
    assert json.loads(run(show_own=True, json=True)[1])["own"] is True
    assert twinpix.find_duplicates(album).calibrated_on == str(own)
    rates = json.loads(run(photos, check=True, json=True)[1])["rates"]
    assert [row["promised"] for row in rates] == [1e-4, 1e-5]
    assert 1 / 5 <= rates[0]["measured"] / 1e-4 <= 5, "on the very pictures it was made from"
    assert "kept" in run(photos, check=True)[1]
    assert run(forget=True)[0] == 0
    assert "(the model's)" in run(show_own=True)[1]


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_on_the_command_line(command: Command, album: Path, encoder: OnnxEncoder, found: Study) -> None:
    assert "at least 200" in error_line(command("twinpix", "calibrate", album))
    twinpix.keep_calibration(encoder, found.calibration)
    assert " pictures of photos" in command("find-duplicates", album, "--false-pairs", "3").stdout
    given = command("find-duplicates", album, "--threshold", "0.5", "--false-pairs", "1")
    assert "one of the two" in error_line(given)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name at least one folder"),
        ({"folders": [Path("gone")]}, "gone: no such folder"),
        ({"folders": [Path()], "output": Path("page.pdf")}, r"\.html"),
        ({"folders": [Path()], "output": Path("gone/page.html")}, "does not exist"),
        ({"show_own": True, "forget": True}, "one at a time"),
    ],
)
def test_what_can_not_be_done(
    options: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(twinpix.InputError, match=words):
        calibrate_cli.calibrate(**options)


@pytest.mark.parametrize("wish", ["--forget", "--show", "--check"])
def test_what_has_nothing_to_do_with_it_is_refused(
    wish: str, command: Command, encoder: OnnxEncoder, found: Study, tmp_path: Path
) -> None:
    keep_calibration(encoder, found.calibration)
    for other in (["--dry-run"], ["-o", str(tmp_path / "page.html")]):
        done = command("twinpix", "calibrate", wish, *other)
        assert done.returncode == 2 and "nothing to do with it" in done.stderr
    assert own_path(encoder.fingerprint).exists() and not (tmp_path / "page.html").exists()


def test_a_page_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(twinpix.MissingPackageError, match=r"twinpix\[bench\]"):
        check_page(tmp_path / "page.html")


def test_a_limit_takes_a_random_choice(photos: Path, encoder: OnnxEncoder) -> None:
    some = gather(photos, encoder=encoder, limit=205)
    assert len(some.paths) + len(some.skipped) == 205
    assert gather(photos, encoder=encoder, limit=205).paths == some.paths


def test_the_api(found: Study, encoder: OnnxEncoder) -> None:
    assert isinstance(found, twinpix.Study) and isinstance(found.calibration, Calibration)
    twinpix.keep_calibration(encoder, found.calibration)
    assert in_force(encoder).is_own
