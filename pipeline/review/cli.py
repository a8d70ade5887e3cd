"""`twinpix review`: look at duplicates side by side and decide, in the browser."""

from __future__ import annotations

import time
import webbrowser
from contextlib import ExitStack, closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline import show
from twinpix.pipeline.act.keep import DEFAULT
from twinpix.pipeline.decisions import decisions_path, read_decisions
from twinpix.pipeline.options import (
    FalsePairs,
    Folders,
    LibraryPath,
    Model,
    NoLibrary,
    Thorough,
    Threshold,
    Verify,
    Where,
    Workers,
)

if TYPE_CHECKING:
    from twinpix.pipeline.candidates import Candidates
    from twinpix.pipeline.scan.result import Result

References = Annotated[
    list[Path] | None,
    typer.Option("--reference", metavar="DIR", help="A folder whose files never go; repeatable.", show_default=False),
]


def review(
    folders: Folders,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    keep: Annotated[str, typer.Option("--keep", help="Which file stays: the first rule that can tell.")] = DEFAULT,
    reference: References = None,
    threshold: Threshold = None,
    false_pairs: FalsePairs = None,
    verify: Verify = None,
    thorough: Thorough = False,
    where: Where = None,
    library: LibraryPath = None,
    no_library: NoLibrary = False,
    model: Model = None,
    workers: Workers = None,
) -> int:
    """Look at the duplicates under DIR side by side and decide what stays, on a page in your browser.

    DIR may be the result of a `twinpix scan`: then nothing is searched.

    The page is served on this machine alone. Nothing is moved before you say so there; what you decided is kept, and
    is there again the next time.

    Exit codes: 0 done (Ctrl-C ends it); 2 error; 11 library busy, or these folders are reviewed already.
    """
    _check_installed()
    from twinpix.pipeline.act.keep import parse_keep
    from twinpix.pipeline.act.make import check_folders
    from twinpix.pipeline.review.desk import Desk
    from twinpix.pipeline.review.log import alone
    from twinpix.pipeline.review.review import Review
    from twinpix.pipeline.review.server import listen, new_token, server

    parse_keep(keep)
    began, references, unpacked = time.time_ns(), reference or [], None
    searching = (reference, threshold, false_pairs, verify is not None, thorough, where, library, no_library, model)
    scanned = _scanned(folders, *searching)
    if scanned is None:
        check_folders(folders, references)
    with listen(port) as door, ExitStack() as held:
        if scanned is None:
            roots, kept_whole = ([Path(root).resolve() for root in some] for some in (folders, references))
            held.enter_context(alone([*roots, *kept_whole]))
            found = _search([*folders, *references], threshold, false_pairs, verify, thorough, where, library,
                            no_library, model, workers)  # fmt: skip
        else:
            from twinpix.pipeline.scan.result import as_files

            copies = Path(folders[0]).resolve() / "pictures"
            found, count = held.enter_context(as_files(scanned, copies))
            # nothing can go from an archive
            roots, kept_whole, began = list(scanned.roots), [copies] if count else [], scanned.began_ns
            unpacked = copies
            held.enter_context(alone([*roots, *kept_whole]))
        desk = Desk(Review(found, roots, kept_whole, keep, began, unpacked))
        if threshold is not None or false_pairs is not None:
            desk.review.set_threshold(None)  # what is asked for now counts, not where the slider was left
        show.skipped_lines(found.skipped)
        show.damage_line(decisions_path(), read_decisions().damaged)
        show.damage_line(desk.review.log.path, desk.review.log.damaged)
        port, token = door.getsockname()[1], new_token()
        address = f"http://127.0.0.1:{port}/#{token}"
        with suppress(KeyboardInterrupt), closing(desk):  # from the moment that the link is told, Ctrl-C is the way out
            print(f"{len(desk.review.groups)} groups to review: {address}\n(only this link works; Ctrl-C ends it)",
                  flush=True)  # fmt: skip
            if browser:
                webbrowser.open(address)
            server(desk, port, token).run(sockets=[door])
    show.message("your decisions are kept: the same command goes on from here")
    return 0


def _scanned(folders: list[Path], *options: object) -> Result | None:
    # the result of a scan, where one is named
    meta = "meta.parquet"  # none: pyarrow need not be there
    if not any((folder / meta).is_file() for folder in folders):
        return None
    from twinpix.pipeline.scan.result import is_result, read_result

    if not any(map(is_result, folders)):
        return None
    if len(folders) > 1 or any(options):
        raise InputError(
            "the result of a scan is reviewed alone, and as it was scanned: --keep, --port and no other option"
        )
    return read_result(folders[0])


def _check_installed() -> None:
    if not (find_spec("starlette") and find_spec("uvicorn")):
        raise MissingPackageError("the review page needs the extra: pip install 'twinpix[cpu,review]'")


def _search(
    folders: list[Path],
    threshold: float | None,
    false_pairs: float | None,
    verify: bool | None,
    thorough: bool,
    where: str | None,
    library: Path | None,
    no_library: bool,
    model: Path | None,
    workers: int | None,
) -> Candidates:
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.duplicates import candidate_pairs
    from twinpix.pipeline.keeping import keeping
    from twinpix.pipeline.library.soft import memory
    from twinpix.pipeline.limits import check_thorough, limits
    from twinpix.pipeline.progress import progress_meter
    from twinpix.pipeline.stream import encode_images

    encoder = load_encoder(model)
    check_thorough(thorough, threshold, verify)
    limits(encoder, 2, threshold, verify, false_pairs)  # where no threshold is known, it ends before the encoding
    remembered = memory(library, no_library, encoder, model is not None)
    keeps = keeping(encoder, threshold, verify)
    with progress_meter() as meter:
        found = encode_images(*folders, encoder=keeps, workers=workers, progress=meter, where=where,
                              library=remembered)  # fmt: skip
        return candidate_pairs(found, keeps, threshold, workers, verify, meter.looking, false_pairs,
                               thorough=thorough, library=remembered)  # fmt: skip
