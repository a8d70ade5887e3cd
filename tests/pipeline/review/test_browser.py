"""The page in a real Chromium: a review by keyboard alone, names that would like to be scripts, and looks."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.pipeline.review.conftest import Running, detailed
from twinpix.pipeline.decisions import Verdict, read_decisions
from twinpix.pipeline.duplicates import find_duplicates
from twinpix.pipeline.review import tell
from twinpix.pipeline.review.review import Review

Paint = Callable[..., Image.Image]
Serving = Callable[..., Running]
Served = Callable[[Review], Running]
MakeReview = Callable[..., Review]
Visit = Callable[..., Any]
LOOKS = [(1280, 800, "light"), (1280, 800, "dark"), (390, 844, "light")]
COLOURS = "() => { const seen = getComputedStyle(document.body); return [seen.color, seen.backgroundColor]; }"


def wait(page: Any, condition: str) -> None:
    """Until a JavaScript expression is true; at most 15 s. The page's policy forbids Playwright's own way."""
    for _ in range(300):
        if page.evaluate(f"() => Boolean({condition})"):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {condition}")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def shown(page: Any, selector: str) -> str:
    return " ".join(page.text_content(selector).split())


def decided(page: Any, number: int) -> None:
    wait(page, f"document.getElementById('decided').textContent === '{number}'")


def group(page: Any, number: int) -> None:
    wait(page, f"document.getElementById('heading').textContent.startsWith('Group {number}')")
    wait(page, "document.querySelectorAll('.card img[src]').length >= 2")


def goes(page: Any) -> list[str]:
    """The names of the files that are marked to go."""
    return [text.strip() for text in page.locator(".card[data-fate=goes] .name bdi").all_text_contents()]


def test_three_groups_by_keyboard_alone(pictures: Path, serving: Serving, visit: Visit) -> None:
    before = {path: path.read_bytes() for path in pictures.rglob("*.*")}
    at = serving(pictures)
    page = visit(at.address)
    group(page, 1)
    assert page.url == f"http://127.0.0.1:{at.port}/"  # the token is out of the address at once
    assert shown(page, "#decided") == "0" and shown(page, "#total") == "3"

    # help, and each way to look
    press(page, "?")
    assert page.locator("dialog[open]").count() == 1 and "not a duplicate" in shown(page, "#keys")
    press(page, "Escape")
    wait(page, "!document.querySelector('dialog[open]')")
    press(page, " ")
    wait(page, "document.getElementById('panes').dataset.mode === 'flip'")
    wait(page, "document.getElementById('note').textContent.includes('laid on one another')")
    front = shown(page, ".pane .label")
    press(page, " ")
    wait(page, f"document.querySelector('.pane .label').textContent !== {front!r}")
    press(page, "d")
    wait(page, "getComputedStyle(document.querySelector('#panes img + img')).mixBlendMode === 'difference'")
    press(page, "s", "+", "+")
    layers = page.evaluate("() => [...document.querySelectorAll('.layer')].map((one) => one.style.transform)")
    assert len(layers) == 2 and layers[0] == layers[1] and "scale(2.25)" in layers[0]

    # the groups in whatever order: byte copies are marked, a worn copy is left to the person
    for number in (1, 2, 3):
        group(page, number)
        name = shown(page, "#cards")
        if "0 again.png" in name:
            assert goes(page) == ["0 again.png"] and "the same bytes" in name
            press(page, "Enter")
        elif "1.jpg" in name:
            press(page, "n")
        else:
            press(page, "2")  # goes, or stays after all
            decided(page, number)
            marked = goes(page)
            press(page, "2")
            wait(page, f"document.querySelectorAll('.card[data-fate=goes]').length !== {len(marked)}")
            press(page, "k")
            wait(page, "document.querySelectorAll('.card[data-fate=goes]').length === 1")
            press(page, "u", "u")
            wait(page, f"document.querySelectorAll('.card[data-fate=goes]').length === {len(marked)}")
        decided(page, number)
        if number < 3 and "0 again.png" not in name:
            press(page, "ArrowRight")
    assert list(read_decisions().verdicts.values()) == [Verdict.DIFFERENT]

    # the threshold, without a mouse; then back to the default
    press(page, "t", "Home")
    wait(page, "document.getElementById('total').textContent === '1'")
    at.stop()

    # a restart in the middle goes on: threshold, choices and decisions are there
    again = serving(pictures)
    page = visit(again.address)
    wait(page, "document.getElementById('total').textContent === '1'")
    press(page, "t", "Tab", "Enter")  # the button below it: default
    wait(page, "document.getElementById('total').textContent === '2'")
    decided(page, 2)
    assert "1 pair left out" in shown(page, "#left")
    press(page, "a")
    wait(page, "document.querySelector('#confirm[open] .danger')")
    count = int(re.search(r"Move (\d) file", shown(page, "#confirm"))[1])  # type: ignore[index]
    press(page, "Enter")
    wait(page, "document.querySelector('#confirm[open] h2')?.textContent.includes('moved to the quarantine')")
    assert len([path for path in before if not path.exists()]) == count >= 1
    press(page, "Enter")  # take back
    wait(page, "document.querySelector('#confirm[open] h2')?.textContent.startsWith('Take back')")
    press(page, "Enter")
    wait(page, "document.querySelector('#confirm[open] h2')?.textContent.includes('back where they were')")
    assert {path: path.read_bytes() for path in pictures.rglob("*.*")} == before
    press(page, "Enter")
    assert again.stop() == 0
    assert find_duplicates(pictures).dismissed == 1


def test_files_beyond_those_shown_are_told_and_go_as_marked(
    pictures: Path, served: Served, make_review: MakeReview, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tell, "SHOWN_FILES", 2)
    for name in "abc":
        shutil.copy(pictures / "0.png", pictures / "copies" / f"{name}.png")
    (pictures / "copies" / "a.nef").write_bytes(b"raw")
    review = make_review(pictures)
    page = visit(served(review).address)
    group(page, 1)
    assert "and 3 more files, which go" in shown(page, "#cards")
    press(page, "Enter")
    decided(page, 1)
    assert review.all_going == 3
    review.choose(review.groups[0], [pictures / "copies" / name for name in ("a.png", "b.png")])
    page.reload()
    group(page, 1)
    assert "and 3 more files, of which 1 goes" in shown(page, "#cards")
    press(page, "a")
    wait(page, "document.querySelector('#confirm[open] .danger')")
    assert "Of 1 partner file nothing that stays holds a copy." in shown(page, "#confirm")
    press(page, "Enter")
    wait(page, "document.querySelector('#confirm[open] h2')?.textContent.includes('3 files moved to the quarantine')")


HOSTILE = (
    "<script>window.hacked=1<", "<img src=x onerror=window.hacked=1>", "evil\u202egnp.exe", "two\nlines\r\x1b[31m",
    "=cmd|' 'C'!A0", "'\"><svg onload=window.hacked=1>", "-rf", "%TITLE%&lt;{{7*7}}", "\u2066\u200fabc", "+1+1",
)  # fmt: skip


def hostile_album(folder: Path, paint: Paint) -> Path:
    """Pairs of copies under names that mean harm, and one that is no text."""
    folder.mkdir()
    for seed, name in enumerate(HOSTILE):
        detailed(paint, seed).save(folder / f"{name}.png")
        inner = folder / f"{name} dir".replace("/", "")
        inner.mkdir()
        (inner / f"{name}.png").write_bytes((folder / f"{name}.png").read_bytes())
    raw = os.fsencode(folder) + b"/not \xff\xfe text.png"
    with open(raw, "wb") as file:
        file.write((folder / f"{HOSTILE[0]}.png").read_bytes())
    return folder


def test_hostile_names_are_only_names(
    tmp_path: Path, paint: Paint, served: Served, make_review: MakeReview, visit: Visit
) -> None:
    folder = hostile_album(tmp_path / "<b>album", paint)
    review = make_review(folder)
    page = visit(served(review).address)
    seen = ""
    for number in range(1, len(HOSTILE) + 1):
        group(page, number)
        seen += page.text_content("body")
        press(page, "ArrowRight")
    press(page, "Enter")
    page.focus("#sure")
    press(page, "Enter")
    wait(page, "document.querySelector('#confirm[open]')")
    press(page, "Enter")
    wait(page, "!document.querySelector('#confirm[open]') && !document.getElementById('apply').disabled")
    press(page, "Escape")
    page.click("#apply")
    wait(page, "document.querySelector('#confirm[open] .names li')")
    seen += page.text_content("#confirm")
    assert page.evaluate("() => window.hacked") is None and page.locator("body script, body b > script").count() == 0
    assert "<script>window.hacked=1<.png" in seen and "=cmd|' 'C'!A0.png" in seen and "two\\nlines" in seen
    assert "\u202e" not in seen and "\\u202e" in seen and "\u200f" not in seen and "\x1b" not in seen
    for ending in ("html", "csv"):
        review.report.save(tmp_path / f"report.{ending}")
    gallery = visit((tmp_path / "report.html").as_uri())
    assert gallery.locator("img").count() == 2 * len(HOSTILE) + 1
    assert gallery.evaluate("() => window.hacked") is None and gallery.locator("script").count() == 0
    assert "<script>window.hacked=1<.png" in gallery.text_content("body")


def test_nothing_is_cut_off(pictures: Path, served: Served, make_review: MakeReview, visit: Visit) -> None:
    at = served(make_review(pictures))
    for width, height, scheme in LOOKS:
        page = visit(at.address, viewport={"width": width, "height": height}, color_scheme=scheme)
        group(page, 1)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        for name in ("apply", "undo", "done", "only", "apart", "previous", "next", "panes", "modes"):
            box = page.locator(f"#{name}").bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= width + 1, name
            assert box["y"] >= 0 and box["y"] + box["height"] <= height + 1, name
        assert contrast(*page.evaluate(COLOURS)) >= 7  # WCAG's stricter limit
    page = visit(f"http://127.0.0.1:{at.port}/")
    wait(page, "document.getElementById('empty').textContent.includes('open the link')")
    assert page.locator("#cards *").count() == 0


def contrast(one: str, other: str) -> float:
    """WCAG contrast ratio of two CSS colours, 1..21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
