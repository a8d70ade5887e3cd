"""`twinpix search`: the images of a folder that are nearest to one image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline import show
from twinpix.pipeline.options import Json, LibraryPath, Model, NoLibrary, Threshold, Where, Workers

if TYPE_CHECKING:
    from twinpix.pipeline.explore.search import Neighbour, Neighbours

VERDICTS = {True: "duplicate", False: "", None: ""}


def search(
    query: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image.")],
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="Folders, searched through and through.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many images to list.")] = 10,
    where: Where = None,
    embeddings: Annotated[
        Path | None, typer.Option("--embeddings", help="Instead of DIR: a .npz file that encode-images wrote.")
    ] = None,
    threshold: Threshold = None,
    json: Json = False,
    model: Model = None,
    workers: Workers = None,
    library: LibraryPath = None,
    no_library: NoLibrary = False,
) -> int:
    """List the images under DIR that are nearest to IMAGE, by L2 distance (0 same, 2 opposite).

    Those within the threshold are marked as duplicates, without a second look: is-duplicate takes one.
    IMAGE itself is left out where it lies under DIR.

    Exit codes: 0 done; 3 done, but some images could not be read; 2 error; 11 library busy; 130 interrupted.
    """
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.explore.search import search, search_embeddings
    from twinpix.pipeline.explore.where import none_found
    from twinpix.pipeline.library.soft import memory
    from twinpix.pipeline.load import load_embeddings
    from twinpix.pipeline.progress import progress_meter

    if bool(folders) == bool(embeddings):
        raise InputError("name either folders or --embeddings FILE.npz")
    encoder = load_encoder(model)
    if embeddings:
        known = load_embeddings(embeddings)
        found = search_embeddings(query, known, k, encoder, where, threshold)
        if _is_nothing(found):
            why = f"--where {where!r} accepts none of its images" if known.paths else "no image in it"
            raise InputError(f"{embeddings}: {why}")
    else:
        remembered = memory(library, no_library, encoder, model is not None)
        with progress_meter() as meter:
            found = search(query, *folders or (), k=k, encoder=encoder, where=where, threshold=threshold,
                           workers=workers, progress=meter, library=remembered)  # fmt: skip
        if _is_nothing(found):
            show.skipped_lines(found.skipped)
            raise none_found(folders or (), where, found.skipped)
    show_neighbours(found, json)
    return show.scan_exit_code(found.skipped)


def _is_nothing(found: Neighbours) -> bool:
    # where the query is the one image there, the output says so
    return found.images == 0 and found.left_out is None


def show_neighbours(found: Neighbours, as_json: bool) -> None:
    """On stdout, for people or as JSON."""
    show.print_json(neighbours_dict(found)) if as_json else _print(found)


def neighbours_dict(found: Neighbours) -> dict[str, Any]:
    """Schema 1. Undecodable bytes of paths are surrogate escapes."""
    return {
        "schema": 1,
        "query": str(found.query),
        "threshold": found.threshold,
        "fingerprint": found.fingerprint,
        "images": found.images,
        "left_out": None if found.left_out is None else str(found.left_out),
        "nearest": [
            {"path": str(n.path), "l2_distance": n.l2_distance, "duplicate": n.is_duplicate} for n in found.nearest
        ],
        "skipped": show.skipped_rows(found.skipped),
    }


def _print(found: Neighbours) -> None:
    base = show.working_folder()
    for neighbour in found.nearest:
        print(_line(neighbour, base))
    show.skipped_lines(found.skipped)
    if found.left_out is not None:
        show.message(f"left out, being the query itself: {show.short(found.left_out, base)}")
    limit = "this encoder is not calibrated" if found.threshold is None else f"duplicates within {found.threshold:.3f}"
    show.message(f"{len(found.nearest)} nearest of {found.images} images; L2 distance, scale 0..2; {limit}")


def _line(neighbour: Neighbour, base: Path) -> str:
    verdict = VERDICTS[neighbour.is_duplicate]
    return f"{neighbour.l2_distance:.4f}  {verdict:9}  {show.safe(show.short(neighbour.path, base))}"
