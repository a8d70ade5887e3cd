"""How every command reads its arguments."""

from __future__ import annotations

import typer
from typer.main import get_command
from typer.testing import CliRunner

from twinpix.pipeline.cli import app
from twinpix.pipeline.command import Command


def test_an_option_that_only_the_last_of_would_count_of_is_refused() -> None:
    for args in (["bench", "d", "--methods", "phash", "--methods", "dhash"],
                 ["search", "a.jpg", "d", "--where", "width>9", "--where=height>9"],
                 ["library", "add", "d", "--where", "width>9", "--where=height>9"],
                 ["find-duplicates", "d", "--false-pairs", "1", "--false-pairs", "9"]):  # fmt: skip
        done = CliRunner().invoke(app, args)
        assert done.exit_code == 2 and "given 2 times" in done.output


def test_an_empty_argument_is_refused() -> None:
    for args in (
        ["find-duplicates", ""],
        ["library", "remove", "a", ""],
        ["library", "add", "d", "--library="],
        ["search", "a.jpg", "d", "--where", ""],
    ):
        done = CliRunner().invoke(app, args)
        assert done.exit_code == 2 and "an argument is empty" in done.output


def test_flags_and_lists_may_be_repeated() -> None:
    for args in (["bench", "none", "--rate", ".1", "--rate", ".2"], ["find-duplicates", "none", "--json", "--json"]):
        assert "times" not in CliRunner().invoke(app, args).output


def test_every_command_is_one() -> None:
    def commands(group: typer.core.TyperGroup) -> list[object]:
        inside = [group.get_command(context, name) for name in group.list_commands(context)]
        groups = [one for one in inside if isinstance(one, typer.core.TyperGroup)]
        return [one for one in inside if one not in groups] + [one for some in groups for one in commands(some)]

    root = get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    context = typer.Context(root)
    found = commands(root)
    assert len(found) > 25 and all(isinstance(one, Command) for one in found)
