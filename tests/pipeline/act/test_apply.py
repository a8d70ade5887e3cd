"""Applying a plan and taking it back."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

import twinpix
from twinpix.pipeline.act.acted import ActStatus
from twinpix.pipeline.act.apply import apply_plan
from twinpix.pipeline.act.undo import undo


def _helpers() -> Any:
    spec = importlib.util.spec_from_file_location("act_helpers", Path(__file__).with_name("conftest.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


helpers = _helpers()
account, planned, png = helpers.account, helpers.planned, helpers.png


def copies(tree: Path) -> list[Any]:
    return [
        planned(tree / "a.png", False),
        planned(tree / "sub/copy.png", True),
        planned(tree / "sub/deep/copy2.png", True),
    ]


def test_it_goes_and_comes_back(tree: Path, plan_for: Any) -> None:
    before = account(tree)
    done = apply_plan(plan_for(copies(tree)), yes=True)
    assert done.count(ActStatus.DONE) == 2
    assert not (tree / "sub/copy.png").exists()
    assert all(file.place is not None and file.place.read_bytes() == png(0) for file in done.files)
    back = undo(yes=True)
    assert (back.run, back.count(ActStatus.DONE)) == (done.run, 2)
    assert account(tree) == before
    with pytest.raises(twinpix.InputError, match="no apply to take back"):
        undo(yes=True)


def test_a_dry_run_touches_nothing(tree: Path, plan_for: Any, tmp_path: Path) -> None:
    before = account(tmp_path)
    done = apply_plan(plan_for(copies(tree)))
    assert done.dry_run
    assert done.count(ActStatus.WOULD) == 2
    assert account(tmp_path) == before
    apply_plan(plan_for(copies(tree)), yes=True)
    assert undo().count(ActStatus.WOULD) == 2
    assert not (tree / "sub/copy.png").exists()
