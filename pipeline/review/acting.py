"""What a review does to files: everything through the engine, which verifies each, and can take it all back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.acted import Acted, ActedFile, ActStatus
from twinpix.pipeline.act.apply import apply_plan
from twinpix.pipeline.act.journal import Journal, open_journals
from twinpix.pipeline.act.undo import undo
from twinpix.pipeline.review.review import Review
from twinpix.pipeline.show import safe

SHOWN = 200
Progress = Callable[[int, int], None]


def carry_out(review: Review, agreed: str, progress: Progress) -> dict[str, Any]:
    """Apply what was decided, and say what became of it.

    Args:
        agreed: `Plan.digest` of what the person has agreed to.

    Raises:
        InputError: it would be something else now.
    """
    plan = review.plan()
    if plan.digest != agreed:
        raise InputError("something has changed since: look at what would be moved, and confirm again")
    acted = apply_plan(plan, yes=True, progress=progress)
    done = {file.path for file in acted.files if file.status is ActStatus.DONE}
    review.keep_agreement(plan, done)
    review.look_again()
    return _told(acted, "moved to the quarantine")


def take_back(review: Review, progress: Progress) -> dict[str, Any]:
    """Undo the last apply to these folders.

    Raises:
        InputError: there is none.
    """
    if (journal := last_apply(review)) is None:
        raise InputError("there is no apply to these folders to take back")
    acted = undo(journal.run, yes=True)
    restored = {file.path for file in acted.files}
    back = {str(file.path) for file in acted.files if file.status is ActStatus.DONE}
    review.drop_agreement([(e.content, kept) for e in journal.entries if e.path in back for _, kept in e.kept])
    review.look_again(restored)
    told = _told(acted, "back where they were")
    if told["done"] and restored.isdisjoint(review.searched):
        told["lines"].append("they came back after this search: start the review again to see them in their groups")
    return told


def last_apply(review: Review) -> Journal | None:
    """The last apply that moved a file of the folders that are reviewed, and can be taken back; None: there is none."""
    return next((journal for journal in reversed(open_journals()) if _is_of(journal, review)), None)


def _is_of(journal: Journal, review: Review) -> bool:
    return any(Path(entry.path).is_relative_to(root) for entry in journal.entries for root in review.roots)


def _told(acted: Acted, where: str) -> dict[str, Any]:
    done = acted.count(ActStatus.DONE)
    left = [file for file in acted.files if file.status not in (ActStatus.DONE, ActStatus.ALREADY)]
    lines = [_line(file) for file in left[:SHOWN]]
    more = [f"and {len(left) - SHOWN} more"] if len(left) > SHOWN else []
    title = f"{done} file{'s' * (done != 1)} {where}" + (f", {len(left)} left as they are" if left else "")
    return {"title": title, "done": done, "lines": lines + more}


def _line(file: ActedFile) -> str:
    return f"{safe(file.path)}: {safe(file.message)}"
