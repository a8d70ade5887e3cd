"""`twinpix review`: what it refuses before it searches."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from twinpix.encoder.errors import MissingPackageError
from twinpix.pipeline.review import cli

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_mistakes_are_one_line(album: Path, command: Command) -> None:
    for arguments, words in (
        ((album / "gone",), "no such folder"),
        ((album, "--keep", "prettiest"), "no rule 'prettiest'"),
        ((album, "--reference", album / "gone"), "no such folder"),
        ((album, "--threshold", "3"), "0 to 2"),
    ):
        done = command("twinpix", "review", "--no-browser", *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert words in done.stderr and done.stderr.startswith("error: ")


def test_without_its_extra_it_says_what_to_install(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'twinpix\[cpu,review\]'"):
        cli.review([album], browser=False)
