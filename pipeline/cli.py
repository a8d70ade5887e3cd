"""The command line: parse, one library call, print. Every command is also `twinpix COMMAND`."""

from __future__ import annotations

import functools
import gc
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TextIO

import typer
from typer.core import TyperGroup
from typer.main import get_command

from twinpix.encoder.errors import InputError, TwinpixError
from twinpix.pipeline import show
from twinpix.pipeline.act.journal import ActBusyError
from twinpix.pipeline.classic.cli import MetricName, Weights, scan_by_metric
from twinpix.pipeline.command import Command
from twinpix.pipeline.library.errors import LibraryBusyError
from twinpix.pipeline.options import (
    AnimatedWithStills,
    FailOnDuplicates,
    FalsePairs,
    Folders,
    IndexKind,
    Json,
    LibraryPath,
    Model,
    NoLibrary,
    Thorough,
    Threshold,
    Verify,
    Where,
    Workers,
)
from twinpix.pipeline.report import Report

NO_WORKING_FOLDER = "the working folder has been deleted: change to another (cd), or give absolute paths"
COLLECT = 20_000  # new objects between two searches for cycles; a list of files has no cycles, and many objects
DUPLICATE, NOT_DUPLICATE, ERROR, BUSY, INTERRUPTED = 0, 1, 2, 11, 130

P = ParamSpec("P")


class _Commands(TyperGroup):
    """The commands below, and those that other packages bring along, each loaded when it is wanted: `train` is one."""

    def list_commands(self, ctx: Any) -> list[str]:
        for name in _plugins():
            self.get_command(ctx, name)
        return list(super().list_commands(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            if cmd_name in _plugins():
                self.add_command(_loaded(cmd_name), cmd_name)
            else:
                self.list_commands(ctx)  # whoever mistyped a name is told the nearest of all
        return super().get_command(ctx, cmd_name)


@functools.cache
def _plugins() -> dict[str, Any]:
    from importlib.metadata import entry_points  # to ask what is installed takes longer than most of the rest

    return {point.name: point for point in entry_points(group="twinpix.commands")}


@functools.cache
def _loaded(name: str) -> Any:
    # a function, or a Typer group of them
    found = _plugins()[name].load()
    group = found if isinstance(found, typer.Typer) else typer.Typer(add_completion=False)
    if group is not found:
        group.command(name)(found)
    for entry in group.registered_commands:
        if entry.callback is not None:
            entry.callback, entry.cls = one_line_errors(entry.callback), Command
    command = get_command(group)
    command.name = name
    return command


app = typer.Typer(
    name="twinpix",
    cls=_Commands,
    help="Find the same picture twice: duplicate and near-duplicate images.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def one_line_errors(command: Callable[P, int]) -> Callable[P, None]:
    """Run a command; its number is the exit code, its named errors one line on stderr and exit code 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _settle()
        try:
            with show.quiet_decoders():
                code = command(*args, **kwargs)
            sys.stdout.flush()
        except (LibraryBusyError, ActBusyError) as error:
            fail(str(error), BUSY)
        except TwinpixError as error:
            fail(str(error))
        except KeyboardInterrupt:
            show.message("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader (head, less) has gone
            show.close_stdout()
            raise typer.Exit(ERROR) from None
        except OSError as error:  # a full disk behind stdout: not exit code 1, which would mean "not a duplicate"
            show.close_stdout()
            fail(NO_WORKING_FOLDER if isinstance(error, FileNotFoundError) and error.filename is None else str(error))
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:  # a bug: but 1 means "not a duplicate", so it must not be the exit code
            if os.environ.get("TWINPIX_DEBUG"):
                raise
            fail(f"unexpected {type(error).__name__}: {error} (a bug in twinpix; TWINPIX_DEBUG=1 shows where)")
        raise typer.Exit(code)

    return run


def _settle() -> None:
    # a closed stream (`>&-`) would be the next file that is opened, and what is printed would land in there
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    gc.set_threshold(COLLECT)
    # names that stdout's encoding lacks are escaped, and Pillow's remarks on odd files are no messages of ours
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _nowhere() -> TextIO:
    return open(os.devnull, "w")  # for as long as the process runs


def fail(text: str, code: int = ERROR) -> NoReturn:
    """One line on stderr, and the exit code."""
    show.message(f"error: {text}")
    raise typer.Exit(code)


@app.command("encode-images", cls=Command)
@one_line_errors
def encode_images(
    folders: Folders,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .npz, .parquet or .jsonl file to write.")],
    model: Model = None,
    workers: Workers = None,
    where: Where = None,
    library: LibraryPath = None,
    no_library: NoLibrary = False,
) -> int:
    """Turn every image under DIR into an embedding, and write them to a file.

    Exit codes: 0 done; 3 done, but some images could not be read; 2 error; 11 library busy; 130 interrupted.
    """
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.library.soft import memory
    from twinpix.pipeline.progress import progress_meter
    from twinpix.pipeline.save import check_target, save_embeddings
    from twinpix.pipeline.stream import embed, list_files, watch

    check_target(output)
    encoder = load_encoder(model)
    remembered = memory(library, no_library, encoder, model is not None)
    files, skipped = list_files(folders, where)
    with progress_meter() as meter:
        chunks = watch(embed(encoder, folders, files, workers, remembered), len(files), meter, skipped)
        written = save_embeddings(output, chunks, encoder.fingerprint, encoder.dim)
    show.skipped_lines(skipped)
    show.message(f"{written} images embedded, {len(skipped)} skipped -> {output}")
    return show.scan_exit_code(skipped)


@app.command("is-duplicate", cls=Command)
@one_line_errors
def is_duplicate(
    query: Annotated[Path, typer.Argument(metavar="A", help="An image.")],
    reference: Annotated[Path, typer.Argument(metavar="B", help="Another image.")],
    threshold: Threshold = None,
    verify: Verify = None,
    json: Json = False,
    model: Model = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the one is to the other, how sure that is, and why.")
    ] = False,
    explain_to: Annotated[
        Path | None, typer.Option("--explain-to", help="A .html or .png file to write, with both images.")
    ] = None,
    animated_with_stills: AnimatedWithStills = False,
) -> int:
    """Are these two images the same picture, edited?

    Pairs within the threshold get a second look, which compares their details.

    Exit codes, as grep has them: 0 duplicate; 1 not; 2 error.
    """
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.duplicates import compare

    if explain or explain_to is not None:
        return _explained(query, reference, threshold, model, verify, json, explain_to, animated_with_stills)
    match = compare(query, reference, threshold, load_encoder(model), verify, animated_with_stills)
    show.pair(match, json)
    return DUPLICATE if match.is_duplicate else NOT_DUPLICATE


def _explained(
    query: Path,
    reference: Path,
    threshold: float | None,
    model: Path | None,
    verify: bool | None,
    json: bool,
    target: Path | None,
    animated_with_stills: bool,
) -> int:
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.relation import show as relation_show
    from twinpix.pipeline.relation.explain import explain
    from twinpix.pipeline.relation.picture import check_picture_target

    if target is not None:
        check_picture_target(target)
    told = explain(query, reference, threshold, load_encoder(model), verify, animated_with_stills)
    relation_show.explanation(told, json)
    if target is not None:
        told.save(target)
        show.message(f"explanation -> {target}")
    return DUPLICATE if told.match.is_duplicate else NOT_DUPLICATE


@app.command("find-duplicates", cls=Command)
@one_line_errors
def find_duplicates(
    folders: Folders,
    threshold: Threshold = None,
    verify: Verify = None,
    json: Json = False,
    fail_on_duplicates: FailOnDuplicates = False,
    model: Model = None,
    workers: Workers = None,
    where: Where = None,
    metric: MetricName = None,
    weights: Weights = None,
    false_pairs: FalsePairs = None,
    library: LibraryPath = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .html, .csv, .jsonl or .parquet file to write.")
    ] = None,
    no_library: NoLibrary = False,
    index: IndexKind = None,
    animated_with_stills: AnimatedWithStills = False,
    thorough: Thorough = False,
) -> int:
    """Find the images under DIR that show the same picture. Looks only; changes and deletes nothing.

    By default the threshold follows from the number of images, and pairs within it get a second look, which
    compares their details: about one false pair in a library of that size.

    Exit codes: 0 done; 1 duplicates found (with --fail-on-duplicates); 3 some images could not be read;
    2 error; 11 library busy; 130 interrupted.
    """
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.duplicates import find_duplicates
    from twinpix.pipeline.library.soft import memory
    from twinpix.pipeline.progress import progress_meter

    if metric is not None:
        unusable = {"--model": model, "--verify": verify, "--false-pairs": false_pairs, "--library": library,
                    "--output": output, "--index": index,
                    "--animated-with-stills": animated_with_stills or None,
                    "--thorough": thorough or None}  # fmt: skip
        return scan_by_metric(metric, folders, threshold=threshold, weights=weights, json=json, workers=workers,
                              where=where, fail_on_duplicates=fail_on_duplicates, unusable=unusable)  # fmt: skip
    if weights is not None:
        raise InputError("--weights go with --metric cnn-euclidean or cnn-cosine")
    if output is not None:
        from twinpix.pipeline.export.files import check_report_target

        check_report_target(output)
    encoder = load_encoder(model)
    remembered = memory(library, no_library, encoder, model is not None)
    with progress_meter() as meter:
        report = find_duplicates(*folders, threshold=threshold, encoder=encoder, workers=workers, progress=meter,
                                 verify=verify, looking=meter.looking, where=where,
                                 false_pairs=false_pairs, library=remembered, index=index,
                                 animated_with_stills=animated_with_stills, thorough=thorough)  # fmt: skip
    return _reported(report, json, fail_on_duplicates, output)


def _reported(report: Report, json: bool, fail_on_duplicates: bool, output: Path | None) -> int:
    if output is not None:  # first: whoever reads the other report may have left
        report.save(output)
    show.report(report, json)
    if output is not None:
        show.message(f"report of {len(report.groups)} groups -> {output}")
    return show.exit_code(report, fail_on_duplicates)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"twinpix {version('twinpix')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run_encode_images() -> None:
    """The command `encode-images`."""
    _run_alone(encode_images)


def run_is_duplicate() -> None:
    """The command `is-duplicate`."""
    _run_alone(is_duplicate)


def run_find_duplicates() -> None:
    """The command `find-duplicates`."""
    _run_alone(find_duplicates)


def _run_alone(command: Callable[..., None]) -> None:
    alone = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]}, pretty_exceptions_enable=False)
    alone.command(cls=Command)(command)
    alone()
