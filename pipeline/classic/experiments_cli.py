"""The command `experiments`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline import show
from twinpix.pipeline.classic.cli import NAMES, Weights
from twinpix.pipeline.target import check_place, write_text

if TYPE_CHECKING:
    from twinpix.pipeline.classic.experiments import Groups
    from twinpix.pipeline.report import Skipped

OBJECTS, FRAMES, SCENES, LIMIT = 16, 12, 24, 24


def experiments(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="One sub-folder a group.", show_default="pictures drawn on the spot"),
    ] = None,
    output: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the numbers here too.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric", metavar="NAMES", help=f"Only these, with commas: of {NAMES}, twinpix.", show_default="all"
        ),
    ] = None,
    objects: Annotated[
        int | None, typer.Option(min=2, help="Turntable objects to draw.", show_default=str(OBJECTS))
    ] = None,
    frames: Annotated[int | None, typer.Option(min=4, help="Frames of one turn.", show_default=str(FRAMES))] = None,
    scenes: Annotated[
        int | None, typer.Option(min=2, help="Scenes to draw, of 4 views each.", show_default=str(SCENES))
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=2, help="Images of one sub-folder of DIR, at most.", show_default=str(LIMIT))
    ] = None,
    weights: Weights = None,
) -> int:
    """Three experiments with the classic metrics, and the shipped encoder beside them.

    1: top-3 retrieval among turntable pictures, accuracy and speed. 2: which transformations retrieval survives, in
    scenes of four views. 3: SciPy against NumPy on Euclidean distance. With DIR, 1 and 2 use its pictures.

    Exit codes: 0 done; 3 some images could not be read; 2 error; 130 interrupted.
    """
    from twinpix.pipeline.classic import experiments_show as tables
    from twinpix.pipeline.classic.compare import LeftOut
    from twinpix.pipeline.classic.euclidean_speed import euclidean_speed
    from twinpix.pipeline.classic.experiments import contenders, named, resilience, retrieval

    if output is not None:
        check_place(output)
    _check({"--objects": objects, "--frames": frames, "--scenes": scenes}, limit, folder)
    names = named(metric, weights)
    if folder is None:
        pictures = _drawn(objects or OBJECTS, frames or FRAMES, scenes or SCENES)
    else:
        pictures = _read(folder, limit or LIMIT)
    ready, left_out = contenders(names, weights)
    retrieved = [retrieval(contender, pictures.turned) for contender in ready]
    resilient = [resilience(contender, pictures.seen) for contender in ready]
    try:
        timed = euclidean_speed()
    except MissingPackageError as error:
        timed = []
        left_out.append(LeftOut("SciPy against NumPy", str(error)))
    tables.tables(retrieved, resilient, timed, pictures.about)
    for entry in left_out:
        show.message(f"left out: {entry.metric}: {entry.reason}")
    show.skipped_lines(pictures.skipped)
    if output is not None:
        said = tables.as_dict(retrieved, resilient, timed, pictures.about, left_out)
        write_text(output, json.dumps(said, indent=1) + "\n")
    return show.scan_exit_code(pictures.skipped)


@dataclass(frozen=True)
class _Pictures:
    # of the first experiment and of the second, and what to say of each
    turned: Groups
    seen: Groups
    about: dict[str, str]
    skipped: tuple[Skipped, ...] = ()


def _check(drawing: dict[str, int | None], limit: int | None, folder: Path | None) -> None:
    given = [option for option, value in drawing.items() if value is not None]
    if folder is not None and given:
        raise InputError(f"{' and '.join(given)}: nothing is drawn where DIR is given")
    if folder is None and limit is not None:
        raise InputError("--limit is for the pictures of DIR")


def _drawn(objects: int, frames: int, scenes: int) -> _Pictures:
    from twinpix.pipeline.classic import rendered

    about = {"retrieval": f"{objects} drawn objects, {frames} frames of one turn each",
             "resilience": f"{scenes} drawn scenes, 4 views each"}  # fmt: skip
    return _Pictures(rendered.turntable(objects, frames), rendered.scenes(scenes), about)


def _read(folder: Path, limit: int) -> _Pictures:
    from twinpix.pipeline.classic.experiments import read_groups

    found, skipped = read_groups(folder, limit)
    count = f"{len(found)} sub-folders, {sum(map(len, found.values()))} pictures"
    return _Pictures(found, found, {"retrieval": count, "resilience": count}, tuple(skipped))
