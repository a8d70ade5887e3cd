"""The command `experiments`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline import show
from twinpix.pipeline.classic.cli import Weights


def experiments(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="One sub-folder a group.", show_default="pictures drawn on the spot"),
    ] = None,
    output: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers here too.")] = None,
    objects: Annotated[int, typer.Option(min=2, help="Turntable objects to draw.")] = 16,
    frames: Annotated[int, typer.Option(min=4, help="Frames of one turn.")] = 12,
    scenes: Annotated[int, typer.Option(min=2, help="Scenes to draw, of 4 views each.")] = 24,
    limit: Annotated[int, typer.Option(min=2, help="Images of one sub-folder of DIR, at most.")] = 24,
    weights: Weights = None,
) -> int:
    """Three experiments with the classic metrics, and the shipped encoder beside them.

    1: top-3 retrieval among turntable pictures, accuracy and speed. 2: which transformations retrieval survives, in
    scenes of four views. 3: SciPy against NumPy on Euclidean distance. With DIR, 1 and 2 use its pictures.

    Exit codes: 0 done; 3 some images could not be read; 2 error; 130 interrupted.
    """
    from twinpix.pipeline.classic import experiments_show as tables
    from twinpix.pipeline.classic import rendered
    from twinpix.pipeline.classic.compare import LeftOut
    from twinpix.pipeline.classic.euclidean_speed import euclidean_speed
    from twinpix.pipeline.classic.experiments import contenders, read_groups, resilience, retrieval
    from twinpix.pipeline.report import Skipped

    if output is not None and not output.resolve().parent.is_dir():
        raise InputError(f"{output}: no such folder to write to")
    if folder is None:
        turned, seen = rendered.turntable(objects, frames), rendered.scenes(scenes)
        skipped: list[Skipped] = []
        about = {"retrieval": f"{objects} drawn objects, {frames} frames of one turn each",
                 "resilience": f"{scenes} drawn scenes, 4 views each"}  # fmt: skip
    else:
        turned, skipped = read_groups(folder, limit)
        seen = turned
        count = f"{len(turned)} sub-folders, {sum(map(len, turned.values()))} pictures"
        about = {"retrieval": count, "resilience": count}
    ready, left_out = contenders(weights)
    retrieved = [retrieval(contender, turned) for contender in ready]
    resilient = [resilience(contender, seen) for contender in ready]
    try:
        timed = euclidean_speed()
    except MissingPackageError as error:
        timed = []
        left_out.append(LeftOut("SciPy against NumPy", str(error)))
    tables.tables(retrieved, resilient, timed, about)
    for entry in left_out:
        show.message(f"left out: {entry.metric}: {entry.reason}")
    show.skipped_lines(skipped)
    if output is not None:
        output.write_text(json.dumps(tables.as_dict(retrieved, resilient, timed, about, left_out), indent=1) + "\n")
    return show.scan_exit_code(skipped)
