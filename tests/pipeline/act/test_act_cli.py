"""`twinpix plan`, `apply`, `undo`, `empty-quarantine`, and the torture in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from twinpix.pipeline.cli import app
from twinpix.pipeline.decisions import decisions_path

ROOT = Path(__file__).resolve().parents[3]


def test_from_a_folder_to_a_clean_one_and_back(command: Any, album: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in album.rglob("*"))
    plan = tmp_path / "plan.jsonl"
    made = command("twinpix", "plan", album, "-o", plan)
    assert (made.returncode, "2 files" in made.stdout) == (0, True), made.stderr
    dry = command("twinpix", "apply", plan)
    assert (dry.returncode, dry.stdout.count("would go: ")) == (0, 2)
    assert "nothing was touched" in dry.stderr
    done = command("twinpix", "apply", plan, "--yes")
    assert (done.returncode, done.stdout.count("gone: ")) == (0, 2)
    assert sorted(path.name for path in album.rglob("*")) == sorted(set(names) - {"a copy.png", "a.webp"})
    rows = json.loads(command("twinpix", "undo", "--json").stdout)
    assert (rows["dry_run"], [file["status"] for file in rows["files"]]) == (True, ["would", "would"])
    assert command("twinpix", "undo", "--yes").returncode == 0
    assert sorted(path.name for path in album.rglob("*")) == names
    assert command("twinpix", "undo", "--yes").returncode == 2


def test_damaged_decisions_are_said(command: Any, album: Path, tmp_path: Path) -> None:
    decisions_path().parent.mkdir(parents=True, exist_ok=True)
    decisions_path().write_text("what was this?\n")
    for arguments in (("find-duplicates", album), ("twinpix", "plan", album, "-o", tmp_path / "plan.jsonl")):
        assert "decisions.jsonl: 1 damaged line, which" in command(*arguments).stderr


def test_what_is_left_alone_is_said(command: Any, album: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    command("twinpix", "plan", album, "--keep", "path", "-o", plan)
    (album / "a.png").unlink()
    done = command("twinpix", "apply", plan, "--yes")
    assert done.returncode == 3
    assert "the last one of its picture" in done.stderr


def test_a_reference_is_preferred(command: Any, album: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    assert command("twinpix", "plan", album, "--reference", album / "sub", "-o", plan).returncode == 0
    rows = [json.loads(line) for line in plan.read_text().splitlines()]
    assert {Path(row["path"]).name for row in rows if row.get("do") == "keep"} == {"a copy.png"}


def test_emptying(command: Any, album: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    command("twinpix", "plan", album, "-o", plan)
    command("twinpix", "apply", plan, "--yes")
    assert "nothing to do" in command("twinpix", "empty-quarantine", "--yes").stderr
    emptied = command("twinpix", "empty-quarantine", "--older-than", "0", "--yes")
    assert (emptied.returncode, emptied.stdout.count("deleted: ")) == (0, 2)


def test_mistakes_are_one_line(album: Path, tmp_path: Path) -> None:
    (tmp_path / "no plan").write_text("hello\n")
    trash = tmp_path / ".twinpix-quarantine" / "files"
    trash.mkdir(parents=True)
    for arguments in (
        ("apply", tmp_path / "no plan"),
        ("apply", tmp_path / "nothing"),
        ("plan", album, "--keep", "prettiest", "-o", tmp_path / "p"),
        ("plan", album, "-o", tmp_path),
        ("plan", album, "-o", tmp_path / "nothing" / "p"),
        ("plan", album, "--reference", tmp_path / "nothing", "-o", tmp_path / "p"),
        ("plan", album / "sub", "--reference", album, "-o", tmp_path / "p"),
        ("plan", trash, "-o", tmp_path / "p"),
        ("undo", "nonsense"),
        ("empty-quarantine", "--older-than=-1"),
    ):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith("error: ")


def test_a_torture_in_small() -> None:
    """`make torture` runs 10,000 plans."""
    script = ROOT / "tests" / "torture" / "act_plans.py"
    done = subprocess.run(
        [sys.executable, script], env={**os.environ, "PLANS": "80"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
