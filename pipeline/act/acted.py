"""What became of each file that was to be moved, moved back or deleted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ActStatus(StrEnum):
    """Of one file."""

    DONE = "done"
    WOULD = "would"  # a dry run: nothing stands against it
    ALREADY = "already"  # nothing to do: it was done before
    REFUSED = "refused"  # not touched: it would not have been safe
    FAILED = "failed"  # the disk would not; `place` says where the file is now


@dataclass(frozen=True)
class ActedFile:
    """One file.

    Attributes:
        path: where it was when the plan was made, absolute.
        status: what became of it.
        reason: a short code where it was refused or failed (the README lists them), else empty.
        message: one line for people.
        place: where it was put, or would be; None if it was not touched.
    """

    path: Path
    status: ActStatus
    reason: str
    message: str
    place: Path | None = None


@dataclass(frozen=True)
class Acted:
    """The outcome of `apply_plan`, `undo` or `empty_quarantine`.

    Attributes:
        run: the name of the apply, by which it can be undone; empty if nothing was done.
        action: quarantine, trash, folder, hardlink or reflink.
        dry_run: whether nothing was touched because `yes` was not given.
        files: one each, partners included.
    """

    run: str
    action: str
    dry_run: bool
    files: tuple[ActedFile, ...]

    def count(self, *wanted: ActStatus) -> int:
        """How many files have one of these."""
        return sum(file.status in wanted for file in self.files)
