"""`twinpix scan`: find duplicates in sources of any size and kind, on this machine or on a cluster."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline import show
from twinpix.pipeline.options import (
    AnimatedWithStills,
    FailOnDuplicates,
    FalsePairs,
    Json,
    Model,
    Thorough,
    Threshold,
    Verify,
    Where,
)

if TYPE_CHECKING:
    from twinpix.pipeline.scan.engine import Engine, Progress
    from twinpix.pipeline.scan.scanned import Totals

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Folders, .tar and .parquet files (a{00..99}.tar, *.tar), or URLs of them (s3://, gs://, file://).",
    ),
]
ENGINES = ("local", "ray")


def scan(
    sources: Sources,
    engine: Annotated[str, typer.Option("--engine", help="What runs it: local or ray.")] = "local",
    address: Annotated[
        str | None,
        typer.Option("--address", help="A running Ray cluster to join (auto, or HOST:PORT); else one is started here."),
    ] = None,
    work: Annotated[
        str | None,
        typer.Option(
            "--work",
            metavar="DIR",
            help="Where stage files are kept, so that a scan goes on where it was stopped; all workers must reach it.",
            show_default="a folder in your data folder",
        ),
    ] = None,
    gpus: Annotated[
        float, typer.Option("--gpus", min=0, help="With ray: GPUs of each process that embeds; 0.25: four share one.")
    ] = 0.0,
    threshold: Threshold = None,
    false_pairs: FalsePairs = None,
    verify: Verify = None,
    thorough: Thorough = False,
    where: Where = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            help="How pairs are looked for: exact or cells.",
            show_default="exact up to 100,000 images",
            metavar="KIND",
        ),
    ] = None,
    column: Annotated[
        str, typer.Option("--column", help="Of Parquet, which holds the images.", show_default="found out")
    ] = "",
    animated_with_stills: AnimatedWithStills = False,
    json: Json = False,
    fail_on_duplicates: FailOnDuplicates = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .html, .csv, .jsonl or .parquet file to write.")
    ] = None,
    model: Model = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Tasks at a time.", show_default="all cores")
    ] = None,
) -> int:
    """Find the images of SOURCE that show the same picture: as find-duplicates, for sources of any size and kind.

    What was done is kept: a scan that was stopped goes on where it was, and of one that is repeated only what has
    changed is done again. Looks only; changes and deletes nothing.

    Exit codes: 0 done; 1 duplicates, with --fail-on-duplicates; 3 some images could not be read; 2 error; 11 another
    scan is at work there; 130 interrupted.
    """
    if engine not in ENGINES:
        raise InputError(f"no engine is called {engine!r}: choose local or ray")
    if (address is not None or gpus) and engine != "ray":
        raise InputError("--address and --gpus go with --engine ray")
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.export.files import check_report_target
    from twinpix.pipeline.save import import_pyarrow
    from twinpix.pipeline.scan.result import save_report
    from twinpix.pipeline.scan.scan import result_of, work_for
    from twinpix.pipeline.scan.scan import scan as run_scan
    from twinpix.pipeline.scan.scanned import Options

    import_pyarrow()
    if output is not None:
        check_report_target(output)
    encoder = load_encoder(model)
    place = str(work_for(sources, encoder)) if work is None else work
    options = Options(threshold, verify, false_pairs, index, animated_with_stills, thorough, where, column)
    path = None if model is None else str(Path(model).absolute())
    with started(engine, workers, address, gpus) as running, stages_meter() as progress:
        found = run_scan(sources, running, place, encoder, path, options, progress)
    if output is not None:  # first: whoever reads the other report may have left
        save_report(found, output)
    show.report(found.report, json)
    if output is not None:
        show.message(f"report of {len(found.report.groups)} groups -> {output}")
    totals_lines(found.totals, place)
    result = result_of(place)
    show.message(f"result: {result} (to look at it: twinpix review {shlex.quote(result)})")
    return show.exit_code(found.report, fail_on_duplicates)


@contextmanager
def started(engine: str, workers: int | None, address: str | None, gpus: float) -> Iterator[Engine]:
    """The engine of that name, for the time of a scan."""
    if engine == "ray":
        from twinpix.pipeline.scan.ray_engine import ray_engine

        with redirect_stdout(sys.stderr), ray_engine(workers, address, gpus) as running:  # threads of Ray print
            yield running
    else:
        from twinpix.pipeline.scan.local import local_engine

        with local_engine(workers) as threads:
            yield threads


@contextmanager
def stages_meter() -> Iterator[Progress]:
    """A bar for each stage, on stderr, on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("tasks, ETA"),
               TimeRemainingColumn())  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        bars = dict[str, TaskID]()

        def progress(stage: str, done: int, tasks: int) -> None:
            if stage not in bars:
                bars[stage] = bar.add_task(stage.capitalize(), total=tasks)
            bar.update(bars[stage], completed=done, total=tasks)

        yield progress


def totals_lines(totals: Totals, work: str) -> None:
    """On stderr: what the scan took."""
    seconds, embedding = totals.seconds["all"], totals.seconds.get("embedding", 0.0)
    rate = f", {totals.images_done / embedding:.0f} images/s" if totals.images_done and embedding else ""
    skipped = ", ".join(f"{count} {reason}" for reason, count in totals.skipped.items()) or "none"
    known = sum(totals.resumed.values())
    resumed = f"; {known} of {known + sum(totals.done.values())} tasks had been done before" if known else ""
    show.message(
        f"{totals.images} images ({totals.images_done} embedded now{rate}) of {_size(totals.source_bytes)}, skipped: "
        f"{skipped}; {totals.candidates} candidate pairs, {totals.pairs} pairs of duplicates, {totals.groups} groups; "
        f"{seconds:.1f} s on {totals.workers} {totals.engine} workers{resumed}"
    )
    show.message(f"stage files: {_size(totals.work_bytes)} in {work}: kept for the next scan, and yours to remove")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
