"""`is-duplicate --explain`: the sentence, the reasons, the metrics, and the picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFont
from typer.testing import CliRunner

import twinpix
from twinpix.encoder.errors import InputError
from twinpix.pipeline.cli import app
from twinpix.pipeline.decisions import Verdict, content_of, decide, pair_of
from twinpix.pipeline.relation import explain as explaining
from twinpix.pipeline.relation.picture import wrapped


@pytest.fixture(autouse=True)
def no_metrics_that_need_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the CNN, which takes seconds to load."""
    from twinpix.pipeline.classic.compare import compare_by
    from twinpix.pipeline.classic.metrics import choose

    def some(query: Any, reference: Any) -> Any:
        return (compare_by(choose("euclidean"), query, reference),), ()

    monkeypatch.setattr(explaining, "compare_by_all", some)


@pytest.fixture
def pair(tmp_path: Path, paint: Callable[..., Image.Image]) -> tuple[Path, Path]:
    """A picture, and a part of it as JPEG, its name full of what HTML acts on."""
    whole = paint(3, 640, 480, cells=40)
    paths = tmp_path / "a.png", tmp_path / "<b>&%TITLE%.jpg"
    whole.save(paths[0])
    whole.crop((0, 0, 480, 360)).save(paths[1], quality=90)
    return paths


def run(*args: str | Path) -> Any:
    return CliRunner().invoke(app, ["is-duplicate", *map(str, args)])


def test_explain_says_it_in_plain_lines(pair: tuple[Path, Path]) -> None:
    done = run(*pair, "--explain")
    assert done.exit_code == 0, done.output
    first = done.stdout.splitlines()[0]
    assert first.startswith("<b>&%TITLE%.jpg is a.png, zoomed 1.33x into the upper left") and first.endswith("JPEG.")
    for part in ("duplicate: L2 distance", "1 pair in", "a second look confirms", "tiles show the same", "euclidean"):
        assert part in done.stdout


def test_json_has_the_explanation_beside_the_verdict(pair: tuple[Path, Path]) -> None:
    plain, told = (json.loads(run(*pair, *more, "--json").stdout) for more in ((), ("--explain",)))
    assert plain["schema"] == 1 and "explanation" not in plain
    explanation = told.pop("explanation")
    assert told == plain
    assert explanation["relation"]["kind"] == "edited" and explanation["relation"]["original"] == "query"
    assert explanation["relation"]["edits"]["crop"]["right"] == pytest.approx(0.75, abs=0.01)
    assert explanation["metrics"][0]["metric"] == "euclidean" and 0 <= explanation["false_match_rate"] < 1


def test_the_pages(pair: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("why.png", "why.html"):
        assert run(*pair, "--explain-to", tmp_path / name).exit_code == 0
    with Image.open(tmp_path / "why.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 1200
        red = [pixel for _, pixel in sheet.convert("RGB").getcolors(1 << 24) or () if pixel == (0xE0, 0x48, 0x3E)]
    assert red, "the crop box is drawn"
    page = (tmp_path / "why.html").read_text(encoding="ascii")
    assert "<b>&" not in page and "&lt;b&gt;&amp;&#37;TITLE&#37;.jpg is a.png" in page
    assert page.count("data:image/jpeg;base64,") == 3 and "<script" not in page


@pytest.mark.parametrize("name", ["why.gif", "missing/why.png", "folder.png"])
def test_a_bad_target_is_told_before_the_work(pair: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.png").mkdir()
    done = run("no such image", "neither", "--explain-to", tmp_path / name)
    assert done.exit_code == 2 and name.split("/")[-1] in done.stderr and len(done.stderr.splitlines()) == 1


def test_no_picture_is_overwritten_by_its_explanation(pair: tuple[Path, Path], tmp_path: Path) -> None:
    before = pair[0].read_bytes()
    for asked in (pair[0], tmp_path / "." / pair[0].name):
        done = run(*pair, "--explain-to", asked)
        assert done.exit_code == 2 and "a.png" in done.stderr and "another name" in done.stderr
    assert pair[0].read_bytes() == before
    for _ in range(2):  # an explanation may be made anew
        assert run(*pair, "--explain-to", tmp_path / "why.png").exit_code == 0


def test_what_a_person_has_said_comes_first(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINPIX_DATA", str(tmp_path / "data"))
    for verdict, word in ((Verdict.DIFFERENT, "different"), (Verdict.SAME, "one picture"), (Verdict.OPEN, None)):
        decide([pair_of(content_of(pair[0]), content_of(pair[1]))], verdict)
        first = twinpix.explain(*pair).reasons[0]
        assert (f"you have called these two {word}" in first) if word else "you have called" not in first


def test_an_unreadable_image_is_one_line(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    done = run(pair[0], tmp_path / "x.png", "--explain")
    assert done.exit_code == 2 and len(done.stderr.splitlines()) == 1 and "x.png" in done.stderr


def test_from_python_with_pictures_in_memory(paint: Callable[..., Image.Image], tmp_path: Path) -> None:
    picture = paint(4, 400, 300, cells=30)
    told = twinpix.explain(picture, picture.convert("L"))
    assert isinstance(told, twinpix.Explanation) and told.relation.kind is twinpix.Kind.EDITED
    assert told.relation.edits.grayscale and "grey" in told.sentence
    told.save(tmp_path / "memory.png")
    with pytest.raises(InputError, match=r"\.png"):
        told.save(tmp_path / "memory.txt")


def test_pairs_that_are_no_copies_are_explained_too(paint: Callable[..., Image.Image], tmp_path: Path) -> None:
    told = twinpix.explain(paint(5), paint(6))
    assert not told.match.is_duplicate and "different" in told.sentence + str(told.relation.kind)
    told.save(tmp_path / "no.html")
    blank = twinpix.explain(Image.new("RGB", (99, 99)), Image.new("RGB", (50, 80)))
    assert blank.relation.kind is twinpix.Kind.TOO_LITTLE and "too little" in blank.sentence


def test_a_threshold_of_ones_own(pair: tuple[Path, Path]) -> None:
    done = run(*pair, "--explain", "--threshold", "0.01")
    assert done.exit_code == 1 and "beyond the threshold" in done.stdout


def test_lines_are_wrapped_even_within_long_words() -> None:
    font = ImageFont.load_default(15)
    lines = wrapped("x" * 300 + " is a.jpg", font, 200)
    assert len(lines) > 3 and all(font.getlength(line) <= 200 for line in lines)
    assert "".join(lines).replace(" ", "") == "x" * 300 + "isa.jpg"
