"""Lines and JSON."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from twinpix.pipeline import show
from twinpix.pipeline.index import IndexUsed
from twinpix.pipeline.report import Group, Link, Match, Report, Skipped
from twinpix.pipeline.second_look.outcome import Outcome

ODD = Path(os.fsdecode(b"/r/\xff [bold]new\nline\x1b[31m :smile:.png"))


def report(clamped: bool = False, expected: float = 0.01) -> Report:
    groups = (Group((Path("/r/a.png"), ODD), 0.125),)
    skipped = (Skipped(Path("/r/n.txt"), "not_an_image", "no"), Skipped(ODD, "corrupt", f"{ODD}: damaged"))
    return Report(
        groups,
        (Match(Path("/r/a.png"), ODD, 0.125, 0.3, True, Outcome.CONFIRMED),),
        skipped,
        0.3,
        expected,
        clamped,
        2,
        "f00d",
    )


def test_json_of_a_pair(capsys: pytest.CaptureFixture[str]) -> None:
    show.pair(Match(Path("/a"), Path("/b"), 0.25, 0.3, True), as_json=True)
    show.pair(Match(Path("/a"), Path("/b"), 0.25, 0.3, False, Outcome.REFUTED), as_json=True)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    plain = {"schema": 1, "l2_distance": 0.25, "threshold": 0.3, "unverified_threshold": 2.0}
    assert first == plain | {"duplicate": True, "second_look": None}
    assert second == plain | {"duplicate": False, "second_look": "refuted"}


def test_lines_of_a_pair(capsys: pytest.CaptureFixture[str]) -> None:
    for distance, duplicate, outcome in (
        (0.25, True, None),
        (0.35, False, None),
        (0.25, True, Outcome.CONFIRMED),
        (0.25, False, Outcome.REFUTED),
        (0.25, False, Outcome.UNCLEAR),
    ):
        show.pair(Match(Path("/a"), Path("/b"), distance, 0.3, duplicate, outcome), as_json=False)
    near = "L2 distance 0.2500 <= threshold 0.3000 (scale 0..2)"
    assert capsys.readouterr().out.splitlines() == [
        f"duplicate: {near}",
        "not a duplicate: L2 distance 0.3500 > threshold 0.3000 (scale 0..2)",
        f"duplicate: {near}; a second look confirms it: the details agree",
        f"not a duplicate: {near}; but a second look finds other details",
        f"not a duplicate: {near}; a second look finds too little to compare",
    ]


def test_an_index_that_is_not_exact_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    used = IndexUsed("IVF100,Flat", 0.9954, 1000, 100, 8)
    show.report(replace(report(), index=used), as_json=False)
    assert "IVF100,Flat, in 8 of 100 cells: that finds 99.54% of" in capsys.readouterr().out
    show.report(replace(report(), index=used), as_json=True)
    assert json.loads(capsys.readouterr().out)["index"]["recall"] == 0.9954
    show.report(report(), as_json=False)
    assert "cells" not in capsys.readouterr().out


def test_pairs_that_are_not_listed_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    left = replace(report(), index=IndexUsed(unlisted=1234))
    show.report(left, as_json=False)
    assert "1,234 more within the threshold are not listed" in capsys.readouterr().out
    show.report(left, as_json=True)
    assert json.loads(capsys.readouterr().out)["index"]["unlisted"] == 1234


def test_pairs_left_apart_are_shown_beside_the_group(capsys: pytest.CaptureFixture[str]) -> None:
    links = tuple(Link(Path("/r/a.png"), Path(f"/r/x{k}.png"), 0.2) for k in range(8))
    group = Group((Path("/r/a.png"), Path("/r/b.png")), 0.1, links)
    show.report(replace(report(), groups=(group,)), as_json=False, relative_to=Path("/r"))
    shown = capsys.readouterr().out
    assert "not in the group, but near a.png (0.200): x0.png" in shown
    assert "and 3 more such pairs; --json lists them all" in shown
    show.report(replace(report(), groups=(group,)), as_json=True)
    assert len(json.loads(capsys.readouterr().out)["groups"][0]["links"]) == 8


def test_json_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    show.report(report(), as_json=True)
    captured = capsys.readouterr()
    assert captured.err == ""
    captured.out.encode("ascii")
    values = json.loads(captured.out)
    assert values["schema"] == 1
    match = {"query": "/r/a.png", "reference": str(ODD), "l2_distance": 0.125, "second_look": "confirmed"}
    assert values["matches"] == [match]
    assert (values["looked_at"], values["refuted"], values["unverified_threshold"]) == (0, 0, 2.0)
    assert values["groups"] == [
        {"files": ["/r/a.png", str(ODD)], "max_l2_distance": 0.125, "relations": [], "links": []}
    ]
    assert [(s["path"], s["reason"]) for s in values["skipped"]] == [
        ("/r/n.txt", "not_an_image"),
        (str(ODD), "corrupt"),
    ]
    assert (values["threshold"], values["fingerprint"], values["images"]) == (0.3, "f00d", 2)
    assert os.fsencode(values["groups"][0]["files"][1]) == os.fsencode(ODD)


def test_lines_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    show.report(report(), as_json=False, relative_to=Path("/r"))
    captured = capsys.readouterr()
    assert "Group 1: 2 files, L2 distance up to 0.125" in captured.out
    assert "  a.png\n" in captured.out
    assert r"\udcff [bold]new\nline\x1b[31m :smile:.png" in captured.out
    assert "2 images, 1 group, 1 duplicate, 2 files skipped" in captured.out
    assert "skipped: 1 corrupt, 1 not_an_image" in captured.err
    assert "\x1b" not in captured.out + captured.err


@pytest.mark.parametrize(("expected", "words"), [(0.012, "0.012"), (3.44, "3.4"), (1234.5, "1234"), (0.0, "0")])
def test_expected_false_pairs_are_said(capsys: pytest.CaptureFixture[str], expected: float, words: str) -> None:
    show.report(report(expected=expected), as_json=False)
    assert f"false pairs to expect among 2 images: at most about {words}\n" in capsys.readouterr().out


def test_second_looks_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    show.report(replace(report(), looked_at=20, refuted=7), as_json=False)
    assert "threshold 0.300; 20 pairs looked at again, 7 of them refuted; false pairs to expect" in " ".join(
        capsys.readouterr().out.replace("L2 distance 0.300", "threshold 0.300").split()
    )


def test_pairs_that_got_no_second_look_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    left = replace(report(), looked_at=20, refuted=7, unseen=400)
    show.report(left, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "7 of them refuted; 400 less alike were not (--thorough looks at them, too); false pairs" in said
    show.report(left, as_json=True)
    assert json.loads(capsys.readouterr().out)["unseen"] == 400


def test_a_clamped_threshold_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show.report(report(clamped=True), as_json=False)
    assert "strictest that the calibration supports" in capsys.readouterr().out
    show.report(report(clamped=True), as_json=True)
    assert json.loads(capsys.readouterr().out)["threshold_clamped"] is True


def test_long_lists_of_skipped_files_are_cut_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    show.skipped_lines([Skipped(Path(f"/{i}"), "corrupt", f"/{i}: damaged") for i in range(25)])
    err = capsys.readouterr().err
    assert "25 corrupt" in err
    assert "and 15 more" in err
    assert len(err.splitlines()) == 12


@pytest.mark.parametrize("text", ["a\x1b]0;x\x07", "\u202egpj.exe", "\r", "\x00", "\udcff", "\x9b31m", "\u200b"])
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    shown = show.safe(text)
    assert shown.isprintable()
    assert shown.isascii()


def test_ordinary_names_are_shown_as_they_are() -> None:
    assert show.safe("Fotos/Ünï 日本 😀.jpg") == "Fotos/Ünï 日本 😀.jpg"


@pytest.mark.parametrize(
    ("reasons", "code"), [([], 0), (["not_an_image"] * 2, 0), (["not_an_image", "corrupt"], 3), (["needs_heif"], 3)]
)
def test_exit_code(reasons: list[str], code: int) -> None:
    assert show.scan_exit_code([Skipped(Path("/a"), reason, "") for reason in reasons]) == code
