"""Tables on a terminal, and which methods they show."""

from __future__ import annotations

from typing import Any

import pytest

from twinpix.pipeline.bench.page import _cards
from twinpix.pipeline.bench.plots import main_methods
from twinpix.pipeline.bench.tables import Table, edit_tables, print_table

LEVELS = ("default", "1e-4", "1e-6", "1e-8 (extrapolated)")


def method(key: str, shares: tuple[float | None, ...]) -> dict[str, Any]:
    """A method as the numbers have it; no share: too few pictures."""
    by_level = dict(zip(LEVELS, shares, strict=True))
    return {
        "key": key,
        "name": key,
        "levels": {
            name: {"missing": None if share is not None else "too few", "false_match_rate": 0.0}
            for name, share in by_level.items()
        },
        "recall": {"zoom 2": by_level},
        "means": {"all single edits": by_level, "held-out families": by_level},
        "disc": {"average_precision": shares[0], "recall_at_1": 0.5},
        "curve": {"rates": [1e-5, 1e-1], "recall": [0.1, 0.9]},
        "cost": None,
        "second_look_seconds_a_pair": None,
    }


def numbers(*methods: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "edits",
        "methods": list(methods),
        "edits": [{"name": "zoom 2", "held_out": True, "single": True, "family": "zoom"}],
        "means": {"all single edits": ["zoom 2"], "held-out families": ["zoom 2"]},
        "levels": list(LEVELS),
        "named": [],
        "queries": 9,
        "pairs": 10**5,
        "disc": {"queries": 5, "with_a_match": 1, "references": 20},
    }


def test_the_subject_at_every_rate_and_all_methods_at_the_strictest_measured_one() -> None:
    first = method("embedding", (0.9, 0.8, 0.7, 0.6))
    subject, edits, *_ = edit_tables(numbers(first, method("phash", (0.5, 0.4, 0.3, None))))
    assert subject.columns == ("default", "1e-4", "1e-6", "1e-8+")
    assert subject.rows[0] == ("zoom 2 *", ("90.0 %", "80.0 %", "70.0 %", "60.0 %"))
    assert subject.rows[-1] == ("mean: held-out families", subject.rows[0][1])
    assert any("extrapolated" in note for note in subject.notes)
    assert edits.title == "recall at false-match rate 1e-6, 9 queries a row"
    assert edits.rows[0] == ("zoom 2 *", ("70.0 %", "30.0 %"))


def test_a_rate_that_cannot_be_measured_says_why() -> None:
    subject, *_ = edit_tables(numbers(method("embedding", (0.9, 0.8, None, None))))
    assert subject.rows[0][1] == ("90.0 %", "80.0 %", "too few", "too few")
    assert sum(note.startswith("too few: ") for note in subject.notes) == 1


def test_whoever_is_named_is_shown() -> None:
    found = numbers(
        *(method(key, (0.5, 0.4, 0.3, None)) for key in ("embedding", "ahash", "phash", "dhash", "my.onnx"))
    )
    assert edit_tables(found)[1].columns == ("embedding", "phash")
    found["named"] = ["phash", "dhash", "embedding", "my.onnx"]
    assert edit_tables(found)[1].columns == ("embedding", "phash", "dhash", "my.onnx")
    assert len(edit_tables(found, everything=True)[1].columns) == 5


def test_the_best_are_not_ranked_at_thresholds_of_different_rates() -> None:
    lax = [method(f"lax {k}", (0.9, None, None, None)) for k in range(4)]
    found = numbers(lax[0], *lax[1:], method("strict", (0.1, None, None, None)))
    found["methods"][4]["disc"]["average_precision"] = 0.95
    assert 4 in main_methods(found)
    measured = numbers(*(method(str(k), (0.9 - k / 10, 0.1 + k / 10, None, None)) for k in range(5)))
    assert main_methods(measured) == [0, 2, 3, 4]


def test_a_card_says_a_number_once() -> None:
    shown = _cards(numbers(method("embedding", (0.4375, None, None, None))))
    assert shown.count("43.8 %") == 2  # one for each mean
    assert "default threshold" in shown and "by default" not in shown
    assert "80.0 %" in (shown := _cards(numbers(method("embedding", (0.4375, 0.8, None, None)))))
    assert "at false-match rate 1e-4; 43.8 % by default" in shown


def test_columns_without_room_follow_below(capsys: pytest.CaptureFixture[str]) -> None:
    columns = tuple(f"a method {k:09}" for k in range(9))
    print_table(Table("title", columns, (("row", tuple(map(str, range(9)))),), ("note",)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "" and lines[1] == "title" and lines[-1] == "  note"
    assert max(map(len, lines)) <= 120
    assert [word for line in lines if line.startswith("row") for word in line.split()[1:]] == list("012345678")
    assert sum(line.startswith("row") for line in lines) == 2
