"""The ablation: every row on one budget, measured once, and never lost to a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twinpix.encoder.errors import InputError
from twinpix.encoder.network import CopyNet
from twinpix.pipeline.cli import app
from twinpix.train import ablate as ablation
from twinpix.train import loop, make
from twinpix.train.ablate import (
    Outcome,
    Row,
    ablate,
    all_rows,
    base_recipe,
    chosen_rows,
    pairs_seen,
    read_record,
    table,
)
from twinpix.train.data import Pictures
from twinpix.train.loop import Machine, train
from twinpix.train.recipe import Recipe, scaled
from twinpix.train.rendered import render_pictures

HERE = Machine("cpu", workers=0)
KINDS = {"zoom", "jitter", "salt", "card", "hard"}


@pytest.fixture(scope="module")
def other() -> Pictures:
    """60 held-back pictures."""
    return render_pictures(60, 48, seed=9)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes that were really trained."""
    seen: list[Recipe] = []

    def noted(recipe: Recipe, *rest: object) -> CopyNet:
        seen.append(recipe)
        return train(recipe, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ablation, "train", noted)
    return seen


OUTCOME = Outcome({"zoom": 0.5, "jitter": 1.0, "salt": 0.25, "card": 0.125, "hard": 0.0}, 64, 2.0, 1.5, 13.04, False)


def tiny_rows(tiny: Recipe) -> tuple[Row, ...]:
    base = replace(tiny, epochs=0.5)
    return (
        Row("base", "nothing", base),
        Row("hub", "background", replace(base, background=20)),
        Row("int8", "int8", base, "int8"),
    )


def test_rows_of_one_training_share_it(
    toy: Pictures, other: Pictures, tiny: Recipe, tmp_path: Path, trainings: list[Recipe]
) -> None:
    rows, record = tiny_rows(tiny), tmp_path / "rows.json"
    outcomes = ablate(rows, toy, other, record, HERE, lambda text: None)
    assert list(outcomes) == ["base", "hub", "int8"]
    assert trainings == [rows[0].recipe]
    assert [outcome.shared for outcome in outcomes.values()] == [False, True, True]
    for outcome in outcomes.values():
        assert set(outcome.recall) == KINDS and all(0 <= share <= 1 for share in outcome.recall.values())
        assert outcome.views == 2 * 32 and outcome.seconds > 0 and outcome.milliseconds > 0  # half of 4 steps of 16
    assert outcomes["hub"].megabytes > outcomes["base"].megabytes
    again = ablate(rows, toy, other, record, HERE, lambda text: None)
    assert again == outcomes and len(trainings) == 1


def test_killed_run_loses_one_row(
    toy: Pictures, other: Pictures, tiny: Recipe, tmp_path: Path, trainings: list[Recipe],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    base = replace(tiny, epochs=0.5)
    rows, record = (Row("base", "-", base), Row("margin", "loss", replace(base, loss="margin"))), tmp_path / "rows.json"

    def dies(row: Row, *rest: object) -> Outcome:
        if row.name == "margin":
            raise KeyboardInterrupt
        return OUTCOME

    monkeypatch.setattr(ablation, "_measure", dies)
    with pytest.raises(KeyboardInterrupt):
        ablate(rows, toy, other, record, HERE, lambda text: None)
    monkeypatch.setattr(ablation, "_measure", lambda *_: replace(OUTCOME, seconds=9.0))
    before = json.loads(record.read_text())["rows"]
    assert list(before) == ["base"]
    outcomes = ablate(rows, toy, other, record, HERE, lambda text: None)
    assert [recipe.loss for recipe in trainings] == ["infonce", "margin", "margin"]
    assert vars(outcomes["base"]) == before["base"] == vars(OUTCOME)
    assert outcomes["margin"].seconds == 9


def test_rows_of_another_budget_are_not_mixed(toy: Pictures, other: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    record = tmp_path / "rows.json"
    budget = ablation.budget_of(tiny, toy, other)
    ablation.write_record(record, budget, {})
    assert read_record(record, budget) == {}
    for recipe, pictures in ((replace(tiny, epochs=3), toy), (tiny, other), (replace(tiny, seed=1), toy)):
        with pytest.raises(InputError, match="another budget"):
            read_record(record, ablation.budget_of(recipe, pictures, other))


@pytest.mark.parametrize("text", ["", "[]", '{"budget": {}}', '{"budget": {}, "rows": {"base": {"x": 1}}}'])
def test_damaged_record_is_a_named_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(InputError, match="not a readable record"):
        read_record(tmp_path / "rows.json", {})


@pytest.mark.parametrize("size", [64, 96, 32])
def test_each_row_differs_in_one_thing(size: int) -> None:
    rows = all_rows(base_recipe(5, size, 0))
    assert len({row.name for row in rows}) == len(rows)
    base, *rest = rows
    assert base.recipe.minutes is None and base.recipe.background == 0
    assert {row.recipe.loss for row in rows} == {"infonce", "margin", "triplet"}
    assert {row.recipe.koleo for row in rows} == {0.0, 1.0, 5.0}
    assert {row.recipe.temperature for row in rows} == {0.05, 0.1}
    assert {row.recipe.architecture.dim for row in rows} == {128, 256}
    assert {row.recipe.preset for row in rows} == {"card", "hard"}
    assert {row.recipe.size for row in rows} == {64, 96, 128, size}
    assert {row.weights for row in rows} == {"fp32", "fp16", "int8"}
    for row in rest:
        facts, usual = row.recipe.to_dict(), base.recipe.to_dict()
        changed = {key for key in facts if facts[key] != usual[key]} or {row.weights} - {"fp32"}
        assert changed == {"size", "small_size"} or len(changed) == 1, row.name
        assert pairs_seen(row.recipe, 6000) == pairs_seen(base.recipe, 6000)


def test_pairs_seen_are_those_of_the_loop(
    toy: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    def counted(*arguments: object) -> tuple[float, float]:
        steps.append(1)
        return 0.0, 0.0

    monkeypatch.setattr(loop, "_step", counted)
    for epochs in (0.3, 1, 1.6):
        steps.clear()
        train(replace(tiny, epochs=epochs), toy, None, tmp_path / str(epochs), HERE, lambda text: None)
        assert pairs_seen(replace(tiny, epochs=epochs), len(toy)) == 16 * len(steps)


def test_rows_are_chosen_by_name() -> None:
    rows = all_rows(base_recipe(1, 64, 0))
    assert [row.name for row in chosen_rows(rows, ["margin", "base"])] == ["base", "margin"]
    assert chosen_rows(rows, []) == rows
    with pytest.raises(InputError, match=r"no row 'sgd'; there are base, hub, "):
        chosen_rows(rows, ["base", "sgd"])


def test_scaled_backbones() -> None:
    def size(recipe: Recipe) -> int:
        return sum(p.numel() for p in CopyNet(recipe.architecture).parameters())

    rows = {row.name: row.recipe for row in all_rows(base_recipe(1, 64, 0))}
    assert scaled() == Recipe().architecture
    assert size(rows["width-0.5"]) < 0.3 * size(rows["base"])
    assert size(rows["depth-0"]) < 0.5 * size(rows["base"])


def test_table_names_each_row_and_its_cost(toy: Pictures, tiny: Recipe) -> None:
    rows, base = (*tiny_rows(tiny), Row("margin", "loss", replace(tiny, loss="margin"))), OUTCOME
    outcomes = {"base": base, "hub": replace(base, shared=True), "margin": replace(base, seconds=3.0, milliseconds=3.0)}
    lines = table(rows, outcomes, toy, "twinpix ablate --epochs 0.5").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert [row[0] for row in cells[2:]] == ["base", "hub", "margin"]  # int8 is not there yet
    assert cells[2][1:7] == ["50.0", "100.0", "25.0", "12.5", "0.0", "37.5"]
    assert cells[3][7] == "as base"
    assert cells[4][7:9] == ["1.50 (21 views/s)", "2.00 (3.00 ms)"]
    assert "`twinpix ablate --epochs 0.5`" in lines
    assert len({len(row) for row in cells}) == 1


def test_command_writes_a_table(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "RENDERED", 420)
    losses = {"base": "infonce", "margin": "margin", "triplet": "triplet"}
    rows = tuple(Row(name, "-", replace(tiny, epochs=0.5, loss=loss)) for name, loss in losses.items())
    monkeypatch.setattr(ablation, "all_rows", lambda base: rows)
    monkeypatch.setattr(ablation, "_measure", lambda *_: OUTCOME)

    def run(names: str) -> str:
        options = ("--rows", names, "--epochs", "0.5", "--workers", "0", "--threads", "1", "--device", "cpu")
        result = CliRunner().invoke(app, ["ablate", "-o", str(tmp_path / "new" / "table.md"), *options])
        assert (result.exit_code, result.stdout) == (0, ""), result.stderr
        return result.stderr

    assert "base: zoom " in run("base,triplet")
    said = run("base, triplet, margin")
    assert "base: already in" in said and "triplet: already in" in said and "margin: zoom " in said
    written = (tmp_path / "new" / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in written.splitlines() if line.startswith("|")][2:] == [
        "base", "margin", "triplet",
    ]  # fmt: skip
    assert "twinpix ablate --epochs 0.5 --limit 6000 --size 64 --seed 0" in written
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["table.json", "table.md"]


@pytest.mark.parametrize("options, says", [
    (["--rows", "base,sgd"], "no row 'sgd'"),
    (["--data", "nowhere"], "nowhere: no such folder"),
    (["-o", "rows.json"], "another ending"),
])  # fmt: skip
def test_mistakes_are_one_line(options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["ablate", "--device", "cpu", *options])
    assert result.exit_code == 2
    assert says in result.stderr and "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
