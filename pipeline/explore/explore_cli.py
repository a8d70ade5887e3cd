"""`twinpix explore`: clusters, outliers and a map of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline import show
from twinpix.pipeline.options import Folders, Json, LibraryPath, Model, NoLibrary, Threshold, Where, Workers

if TYPE_CHECKING:
    from twinpix.pipeline.explore.clusters import Exploration

SHOWN = 3


def explore(
    folders: Folders,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .html page to write: the map.")] = None,
    clusters: Annotated[str, typer.Option("--clusters", metavar="K|auto", help="How many clusters.")] = "auto",
    where: Where = None,
    threshold: Threshold = None,
    json: Json = False,
    model: Model = None,
    workers: Workers = None,
    library: LibraryPath = None,
    no_library: NoLibrary = False,
) -> int:
    """Show what the images under DIR are made of: clusters, outliers, near duplicates, and a map as an HTML page.

    Clusters are those of the encoder: the shipped one knows copies, not subjects; for subjects give --model an image
    model such as a ResNet or CLIP.

    Exit codes: 0 done; 3 done, but some images could not be read; 2 error; 11 library busy; 130 interrupted.
    """
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.explore.clusters import explore
    from twinpix.pipeline.explore.page import check_page, write_page
    from twinpix.pipeline.explore.where import none_found
    from twinpix.pipeline.library.soft import memory
    from twinpix.pipeline.progress import progress_meter

    k = _clusters(clusters)
    if output is not None:
        check_page(output)
    encoder = load_encoder(model)
    remembered = memory(library, no_library, encoder, model is not None)
    with progress_meter() as meter:
        found = explore(*folders, clusters=k, encoder=encoder, where=where, threshold=threshold, workers=workers,
                        progress=meter, library=remembered)  # fmt: skip
    if not found.embeddings.paths:
        show.skipped_lines(found.embeddings.skipped)
        raise none_found(folders, where, found.embeddings.skipped)
    if output is not None:
        write_page(output, found, encoder.name, workers)
    show.print_json(exploration_dict(found)) if json else _print(found)
    show.skipped_lines(found.embeddings.skipped)
    if output is not None:
        show.message(f"map of {len(found.embeddings.paths)} images -> {output}")
    return show.scan_exit_code(found.embeddings.skipped)


def _clusters(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise InputError(f"--clusters is a number or auto, not {text!r}")
    return int(text)


def exploration_dict(found: Exploration) -> dict[str, Any]:
    """Schema 1. Undecodable bytes of paths are surrogate escapes."""
    paths = found.embeddings.paths
    return {
        "schema": 1,
        "fingerprint": found.embeddings.fingerprint,
        "images": len(paths),
        "threshold": found.duplicates and found.duplicates.threshold,
        "clusters": [{"files": [str(paths[i]) for i in rows]} for rows in found.clusters],
        "outliers": [{"path": str(outlier.path), "isolation": outlier.isolation} for outlier in found.outliers],
        "near_duplicates": [
            {"query": str(m.query), "reference": str(m.reference), "l2_distance": m.l2_distance}
            for m in (found.duplicates.matches if found.duplicates else ())
        ],
        "skipped": show.skipped_rows(found.embeddings.skipped),
    }


def _print(found: Exploration) -> None:
    paths, base = found.embeddings.paths, show.working_folder()
    for number, rows in enumerate(found.clusters, 1):
        central = ", ".join(show.safe(show.short(paths[i], base)) for i in rows[:SHOWN])
        print(f"cluster {number}: {len(rows)} images, in the middle: {central}")
    for outlier in found.outliers:
        name = show.safe(show.short(outlier.path, base))
        print(f"outlier: {name} (mean L2 distance to the nearest five {outlier.isolation:.3f})")
    known = found.duplicates
    near = "unknown, as this encoder is not calibrated" if known is None else str(len(known.matches))
    print(f"{len(paths)} images, {len(found.clusters)} clusters, pairs of near duplicates: {near}")
