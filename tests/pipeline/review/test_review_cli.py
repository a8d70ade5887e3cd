"""`twinpix review`: what it refuses before it searches."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from twinpix.encoder.errors import MissingPackageError
from twinpix.pipeline.review import cli
from twinpix.pipeline.review.log import alone

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


def test_a_second_review_of_the_same_folders_is_refused(album: Path, command: Command) -> None:
    with alone([album.resolve()]):
        done = command("twinpix", "review", album, "--no-browser")
    assert (done.returncode, done.stdout) == (11, "")
    assert done.stderr == f"error: {album.resolve()}: being reviewed already: end that review first\n"
    with alone([album.resolve()]), alone([album.resolve() / "sub"]):
        pass  # another log


def test_a_threshold_that_is_asked_for_counts(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one where the slider was left."""
    seen = []

    def run(desk: Any, port: int, token: str) -> Any:
        seen.append(round(desk.review.threshold, 3))
        desk.review.set_threshold(0.1)
        return SimpleNamespace(run=lambda sockets: None)

    monkeypatch.setattr("twinpix.pipeline.review.server.server", run)
    cli.review([album], browser=False, keep="path", threshold=0.3, port=0)
    cli.review([album], browser=False, keep="path", threshold=0.3, port=0)
    cli.review([album], browser=False, keep="path", port=0)
    assert seen == [0.3, 0.3, 0.1]


def test_without_its_extra_it_says_what_to_install(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'twinpix\[cpu,review\]'"):
        cli.review([album], browser=False)
