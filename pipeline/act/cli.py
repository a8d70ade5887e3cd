"""`twinpix plan`, `apply`, `undo` and `empty-quarantine`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline import show
from twinpix.pipeline.act.acted import Acted, ActStatus
from twinpix.pipeline.act.empty import DAYS
from twinpix.pipeline.act.keep import DEFAULT
from twinpix.pipeline.act.show import acted_dict, counting, print_acted, print_plan
from twinpix.pipeline.decisions import decisions_path, read_decisions
from twinpix.pipeline.options import (
    FalsePairs,
    Folders,
    Json,
    LibraryPath,
    Model,
    NoLibrary,
    Threshold,
    Verify,
    Where,
    Workers,
)

FINE, SOME_LEFT = 0, 3

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `twinpix plan` wrote.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this it is only said what would be done.")]


def plan(
    folders: Folders,
    output: Annotated[Path, typer.Option("--output", "-o", help="The plan to write: JSON lines, to read and edit.")],
    keep: Annotated[
        str, typer.Option(help="Which file of a group stays: the first rule that can tell. Also: newest.")
    ] = DEFAULT,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="A folder in which nothing is touched, and whose files are kept.", show_default=False),
    ] = None,
    threshold: Threshold = None,
    verify: Verify = None,
    model: Model = None,
    workers: Workers = None,
    where: Where = None,
    false_pairs: FalsePairs = None,
    library: LibraryPath = None,
    no_library: NoLibrary = False,
) -> int:
    """Find duplicates under DIR, and propose what stays and what goes. Nothing is touched.

    Only what is surely the same picture is proposed to go; all else stays until you decide.

    Exit codes: 0 done; 3 done, but some images could not be read; 2 error; 11 library busy; 130 interrupted.
    """
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.act.keep import parse_keep
    from twinpix.pipeline.act.make import check_folders, make_plan
    from twinpix.pipeline.act.plan_file import check_target, write_plan
    from twinpix.pipeline.duplicates import find_duplicates
    from twinpix.pipeline.library.soft import memory
    from twinpix.pipeline.progress import progress_meter

    parse_keep(keep)
    check_target(output)
    references = reference or []
    check_folders(folders, references)
    encoder, start = load_encoder(model), time.time_ns()
    remembered = memory(library, no_library, encoder, model is not None)
    with progress_meter() as meter:
        report = find_duplicates(*folders, *references, threshold=threshold, encoder=encoder, workers=workers,
                                 progress=meter, verify=verify, looking=meter.looking, where=where,
                                 false_pairs=false_pairs, library=remembered)  # fmt: skip
    with counting("Planning") as progress:
        made = make_plan(report, keep, references, roots=folders, since_ns=start, workers=workers, progress=progress)
    write_plan(made, output)
    show.skipped_lines(report.skipped)
    show.damage_line(decisions_path(), read_decisions().damaged)
    if report.dismissed:
        show.message(show.left_out(report.dismissed).lstrip(", "))
    print_plan(made, output)
    return show.scan_exit_code(report.skipped)


def apply(
    plan: PlanFile,
    yes: Yes = False,
    action: Annotated[
        str,
        typer.Option(
            help="What to do with what goes: quarantine, trash (of the desktop), hardlink or reflink (identical files)."
        ),
    ] = "quarantine",
    to: Annotated[
        Path | None, typer.Option(help="Move it to this folder instead, on the same volume.", show_default=False)
    ] = None,
    json: Json = False,
) -> int:
    """Do what a plan says; a dry run without --yes.

    Each file is verified at the moment it is moved; what would not be safe is left alone, with the reason. Nothing
    is deleted, and `twinpix undo` takes all of it back.

    Exit codes: 0 done; 3 done, but some files were left alone; 2 error; 11 busy; 130 interrupted.
    """
    from twinpix.pipeline.act.apply import apply_plan
    from twinpix.pipeline.act.plan_file import read_plan

    if to is not None and action not in ("quarantine", "folder"):
        raise InputError(f"--to moves files to a folder, --action {action} does something else: give one of the two")
    try:
        with counting("Moving" if yes else "Checking") as progress:
            acted = apply_plan(read_plan(plan), action if to is None else "folder", to=to, yes=yes, progress=progress)
    except KeyboardInterrupt:
        if yes:
            show.message("what was moved until now is kept in the journal: twinpix undo takes it back")
        raise
    return _shown(acted, "apply", json)


def undo(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Another apply, by its name.", show_default="the last one")
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Take back the last apply: every file returns to its place, with its bytes, times and mode.

    Exit codes: 0 done; 3 done, but some files could not be brought back; 2 error; 11 busy; 130 interrupted.
    """
    from twinpix.pipeline.act.undo import undo

    return _shown(undo(run, yes=yes), "undo", json)


def empty_quarantine(
    older_than: Annotated[float, typer.Option(metavar="DAYS", help="Only what has lain there longer.")] = DAYS,
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Delete for good what has lain in the quarantine long enough. This can't be taken back.

    A file is kept if the one that stayed in its place does not hold the picture any more.

    Exit codes: 0 done; 3 done, but some files were kept; 2 error; 11 busy; 130 interrupted.
    """
    from twinpix.pipeline.act.empty import empty_quarantine

    return _shown(empty_quarantine(older_than, yes=yes), "empty", json)


def _shown(acted: Acted, command: str, json: bool) -> int:
    show.print_json(acted_dict(acted)) if json else print_acted(acted, command)
    return SOME_LEFT if acted.count(ActStatus.REFUSED, ActStatus.FAILED) else FINE
