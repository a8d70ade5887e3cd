"""`twinpix library …`."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpix.pipeline import show
from twinpix.pipeline.library.export import export_embeddings
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.show import added_dict, print_status, status_dict
from twinpix.pipeline.options import (
    FalsePairs,
    Folders,
    IndexKind,
    Json,
    LibraryPath,
    Model,
    Thorough,
    Threshold,
    Verify,
    Where,
    Workers,
)
from twinpix.pipeline.save import check_target

if TYPE_CHECKING:
    from twinpix.pipeline.index.stored import StoredIndex

FINE, PROBLEMS = 0, 1

app = typer.Typer(
    help="The library of all images ever added: no picture is encoded twice.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _open(path: Path | None, model: Path | None = None) -> Library:
    from twinpix.encoder.onnx import load_encoder

    return Library(path, None if model is None else load_encoder(model))


def _index(url: str, library: Library) -> StoredIndex:
    from twinpix.pipeline.index.stores import open_index

    return open_index(url, library.encoder.dim, library.encoder.fingerprint)


@app.command()
def add(
    folders: Folders,
    library: LibraryPath = None,
    where: Where = None,
    json: Json = False,
    model: Model = None,
    workers: Workers = None,
) -> int:
    """Add every image under DIR; only what is new is encoded.

    Exit codes: 0 done; 3 done, but some images could not be read; 2 error; 11 library busy; 130 interrupted
    (run it again: it goes on from there).
    """
    from twinpix.pipeline.progress import progress_meter

    with progress_meter() as meter:
        added = _open(library, model).add(*folders, where=where, workers=workers, progress=meter)
    if json:
        show.print_json(added_dict(added))
    else:
        show.skipped_lines(added.skipped)
        print(f"{added.images} images: {added.encoded} encoded, {added.reused} reused; {len(added.skipped)} skipped")
    return show.scan_exit_code(added.skipped)


@app.command()
def remove(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or folders with all below them.")],
    library: LibraryPath = None,
) -> int:
    """Forget files; the files themselves are not touched.

    Exit codes: 0 done; 2 error; 11 library busy.
    """
    forgotten = _open(library).removed(*paths)
    for path, count in zip(paths, forgotten, strict=True):
        if not count:
            show.message(f"not in the library: {path}")
    print(f"{sum(forgotten)} files forgotten")
    return FINE


@app.command("forget-missing")
def forget_missing(
    library: LibraryPath = None,
    force: Annotated[bool, typer.Option("--force", help="Also where nothing at all is left of a folder.")] = False,
) -> int:
    """Forget the files that are gone. Folders of which nothing is left (a disk not connected) are kept.

    Exit codes: 0 done; 2 error; 11 library busy.
    """
    outcome = _open(library).forget_missing(force)
    for root in outcome.kept:
        show.message(f"kept, for nothing of it is there (--force forgets it): {root}")
    print(f"{len(outcome.paths)} files forgotten")
    return FINE


@app.command("forget-model")
def forget_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Its fingerprint, as `library status` tells it.")],
    library: LibraryPath = None,
) -> int:
    """Forget the vectors of a model, say one that was tried out; `compact` then gives the room back.

    Exit codes: 0 done; 2 error, also where it is the current model; 11 library busy.
    """
    print(f"{_open(library).forget_model(model)} vectors forgotten")
    return FINE


@app.command()
def status(library: LibraryPath = None, json: Json = False) -> int:
    """Say how much there is, and how far each model is.

    Exit codes: 0 done; 2 error.
    """
    now = _open(library).status()
    show.print_json(status_dict(now)) if json else print_status(now)
    return FINE


@app.command()
def check(library: LibraryPath = None) -> int:
    """Read everything, and list what is not as it was written.

    Exit codes: 0 all is well; 1 there are problems; 2 error.
    """
    problems = _open(library).check()
    for problem in problems:
        print(show.safe(f"{problem.place}: {problem.message}"))
    show.message(f"{len(problems)} problems: run `twinpix library repair`" if problems else "all is well")
    return PROBLEMS if problems else FINE


@app.command()
def repair(library: LibraryPath = None) -> int:
    """Keep all that is sound, and set the damaged file aside; `add` encodes again what was lost.

    Exit codes: 0 done; 2 error; 11 library busy.
    """
    aside = _open(library).repair()
    print(
        "all is well"
        if aside is None
        else show.safe(f"repaired; the damaged file is now {aside}: add the folders again")
    )
    return FINE


@app.command()
def compact(library: LibraryPath = None) -> int:
    """Drop vectors and second looks that no file needs, and those of past models; give the room back.

    Exit codes: 0 done; 2 error; 11 library busy.
    """
    _open(library).compact()
    return FINE


@app.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="A .npz, .parquet or .jsonl file to write.")],
    library: LibraryPath = None,
    model: Model = None,
) -> int:
    """Write all embeddings to a file, as encode-images does.

    Exit codes: 0 done; 3 some images could not be read, or have changed: they are left out; 2 error.
    """
    check_target(output)
    stored = _open(library, model).embeddings()
    written = export_embeddings(stored, output)
    show.skipped_lines(stored.skipped)
    show.message(f"{written} embeddings, {len(stored.skipped)} skipped -> {output}")
    return show.scan_exit_code(stored.skipped)


@app.command()
def push(
    store: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="NAME.db or http://HOST:19530 (Milvus), postgresql://USER@HOST/DATABASE (pgvector).",
        ),
    ],
    library: LibraryPath = None,
    json: Json = False,
    model: Model = None,
) -> int:
    """Bring an index in a vector store in step with the library, so that other programs can search it.

    Exit codes: 0 done; 2 error (run it again: it goes on from there).
    """
    from dataclasses import asdict

    known = _open(library, model)
    with _index(store, known) as index:
        pushed = known.push(index)
    if json:
        show.print_json({"schema": 1, **asdict(pushed)})
    else:
        some = "" if index.is_exact else f"; it names {pushed.recall:.1%} of the 10 nearest of a picture"
        print(f"{pushed.images} pictures in {index.name}: {pushed.added} added, {pushed.removed} removed{some}")
    return FINE


@app.command()
def duplicates(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="Only files below these.", show_default="all files")
    ] = None,
    library: LibraryPath = None,
    threshold: Threshold = None,
    verify: Verify = None,
    thorough: Thorough = False,
    false_pairs: FalsePairs = None,
    index: IndexKind = None,
    json: Json = False,
    model: Model = None,
    workers: Workers = None,
) -> int:
    """Find the images in the library that show the same picture; folders are not searched for new ones.

    Exit codes: 0 done; 3 some images could not be read; 2 error; 130 interrupted.
    """
    from twinpix.pipeline.progress import progress_meter

    with progress_meter() as meter:
        report = _open(library, model).duplicates(*folders or (), threshold=threshold, verify=verify, workers=workers,
                                                  false_pairs=false_pairs, looking=meter.looking,
                                                  index=index, thorough=thorough)  # fmt: skip
    show.report(report, json)
    return show.scan_exit_code(report.skipped)


@app.command()
def search(
    query: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many images to list.")] = 10,
    library: LibraryPath = None,
    threshold: Threshold = None,
    json: Json = False,
    model: Model = None,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask the index there, which `library push` filled.")
    ] = None,
) -> int:
    """List the images in the library that are nearest to IMAGE, by L2 distance (0 same, 2 opposite).

    Exit codes: 0 done; 3 some images could not be read, or are not in the index; 2 error.
    """
    from twinpix.pipeline.explore.search_cli import show_neighbours

    if store:
        from twinpix.pipeline.index.place import check_is_there

        check_is_there(store)
    known = _open(library, model)
    with _index(store, known) if store else nullcontext() as index:
        found = known.search(query, k, threshold, index)
    show_neighbours(found, json)
    return show.scan_exit_code(found.skipped)
