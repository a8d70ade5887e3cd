"""What people and programs see of a plan, and of what became of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress

from twinpix.pipeline import show
from twinpix.pipeline.act.acted import Acted, ActedFile, ActStatus
from twinpix.pipeline.act.plan import Plan

WORDS = {
    ActStatus.DONE: "done",
    ActStatus.WOULD: "would go",
    ActStatus.ALREADY: "nothing to do",
    ActStatus.REFUSED: "left alone",
    ActStatus.FAILED: "FAILED",
}
REPLACED = {"hardlink": "linked", "reflink": "shares its blocks"}
NEXT = {
    "apply": "nothing was touched; with --yes it is done",
    "undo": "nothing was touched; with --yes it is taken back",
    "empty": "nothing was deleted; with --yes these are, for good",
}


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress line for something that takes (done, all); silent when stderr is no terminal."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_plan(plan: Plan, target: Path) -> None:
    """What a plan proposes, and what comes next."""
    doubtful = sum(not group.sure for group in plan.groups)
    freed = decimal(sum(file.size for group in plan.groups for file in group.files if file.goes))
    look = f"; {doubtful} of them need your eyes, and all that is in doubt stays" if doubtful else ""
    print(show.safe(f"{len(plan.groups)} groups{look}; {plan.going} files ({freed}) can go -> {target}"))
    show.message(show.safe(f"read it, edit it, then: twinpix apply {target}"))


def print_acted(acted: Acted, command: str) -> None:
    """One line a file; what was left alone, and why, on stderr."""
    for file in acted.files:
        line = _line(file, _words(command, acted.action))
        show.message(line) if file.status in (ActStatus.REFUSED, ActStatus.FAILED) else print(show.safe(line))
    counts = [(acted.count(status), words) for status, words in _words(command, acted.action).items()]
    total = ", ".join(f"{count} {words}" for count, words in counts if count) or "nothing to do"
    if command == "apply" and acted.count(ActStatus.REFUSED):
        total += " (nothing was done to those: plan again to see how things stand)"
    show.message(f"{total}{f'; {NEXT[command]}' if acted.dry_run and acted.count(ActStatus.WOULD) else ''}")
    if acted.run and command == "apply":
        show.message(f"twinpix undo takes it back ({acted.run})")


def _words(command: str, action: str = "") -> dict[ActStatus, str]:
    would = {"apply": "would go", "undo": "would come back", "empty": "would be deleted"}[command]
    done = {"apply": REPLACED.get(action, "gone"), "undo": "back", "empty": "deleted"}[command]
    return WORDS | {ActStatus.WOULD: would, ActStatus.DONE: done}


def _line(file: ActedFile, words: dict[ActStatus, str]) -> str:
    where = f" [{file.place}]" if file.place is not None and file.status is not ActStatus.WOULD else ""
    return f"{words[file.status]}: {file.path}: {file.message}{where}"


def acted_dict(acted: Acted) -> dict[str, Any]:
    """Schema 1."""
    files = [
        {
            "path": str(file.path),
            "status": file.status,
            "reason": file.reason,
            "message": file.message,
            "place": None if file.place is None else str(file.place),
        }
        for file in acted.files
    ]
    return {"schema": 1, "run": acted.run, "action": acted.action, "dry_run": acted.dry_run, "files": files}
