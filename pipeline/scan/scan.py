"""A scan: the stages in their order, on any engine, and the report that `find-duplicates` would give."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.data_folder import data_folder
from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.calibration.alikeness import alikeness
from twinpix.pipeline.candidates import Candidates
from twinpix.pipeline.decisions import read_decisions
from twinpix.pipeline.duplicates import look_portions, nearest_first, ranked, settle, without_rows
from twinpix.pipeline.index import IndexUsed, Pairs
from twinpix.pipeline.index.policy import EXACT_UP_TO
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.library.place import LOCK
from twinpix.pipeline.limits import Limits, limits, takes_second_look
from twinpix.pipeline.report import Embeddings, Report, Skipped
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.candidates import exact_pairs, second_looks, with_relations
from twinpix.pipeline.scan.cell_pairs import celled_pairs
from twinpix.pipeline.scan.embed import Model, embed
from twinpix.pipeline.scan.embedded import Embedded, all_vectors, marked, read_embedded
from twinpix.pipeline.scan.engine import EMBED, Engine, Progress, Run, Task
from twinpix.pipeline.scan.names import is_url
from twinpix.pipeline.scan.result import write_result
from twinpix.pipeline.scan.scanned import DEFAULTS, Options, Scanned, Totals
from twinpix.pipeline.scan.source import Listing, list_shards
from twinpix.pipeline.second_look.look_again import in_portions
from twinpix.pipeline.second_look.outcome import Outcome

MARK = "twinpix-scan"  # the file that tells a folder of stage files
EXACTLY, IN_CELLS = "exact", "cells"
MARKED = 20_000  # pictures from which it is told how alike very many are; 2,000 of them are compared


def scan(
    sources: Sequence[str],
    engine: Engine,
    work: str,
    encoder: Encoder,
    model: str | None = None,
    options: Options = DEFAULTS,
    progress: Progress = lambda stage, done, tasks: None,
) -> Scanned:
    """Find the images of any sources that show the same picture.

    What a scan before it has done, and what has not changed since, is not done again; a kill costs the tasks that ran.
    The outcome is written, too: see `result_of`.

    Args:
        sources: as of `list_shards`.
        engine: what runs the tasks; the outcome does not depend on it.
        work: where the stage files are kept: a folder, or a URL, that all workers reach.
        encoder: of this process,
        model: and the `.onnx` file that it comes from; None: the shipped one.
        progress: called as the tasks of a stage are done.

    Raises:
        InputError: a source is not there or holds no images; a threshold, filter or index can't be used.
        LibraryBusyError: another scan is at work in `work`.
        MissingPackageError: pyarrow, or what a URL needs, is not installed.
    """
    began, clock = time.time_ns(), _Clock()
    limits(encoder, 2, options.threshold, options.verify, options.false_pairs)
    index_for(2, options.index)
    run = Run(engine, progress)
    with clock.of("listing"):
        listing = list_shards(sources, options.where, options.column)
    _check_work(work, listing)
    with alone_in(work):
        with clock.of("embedding"):
            embedded, fresh = _embed(run, work, listing, Model(model, encoder.fingerprint))
        with clock.of("joining"):
            limit, candidates, used = _find(run, work, embedded, encoder, options)
        found = _look(run, work, embedded, encoder, options, limit, candidates, used, clock)
        report = found.report()
        if takes_second_look(options.threshold, options.verify):
            with clock.of("relating"):
                report = with_relations(run, work, embedded, found, report)
        if not is_url(work):
            store.clear(work, run.files)
        totals = _totals(run, listing, embedded, found, report, fresh, clock.seconds)
        scanned = Scanned(report, found, embedded, totals, tuple(listing.roots), began, frozenset(run.files))
        write_result(scanned, result_of(work))
    return scanned


def work_for(sources: Sequence[str], encoder: Encoder) -> Path:
    """Where the stage files of a scan of these sources are kept unless another place is named."""
    named = [one if is_url(one) else os.path.realpath(one) for one in sources]
    return data_folder() / "scans" / store.key_of(encoder.fingerprint, *named)


def result_of(work: str) -> str:
    """Where the tables of a scan's outcome are, which `read_result` reads."""
    return store.inside(work, "result")


@contextmanager
def alone_in(work: str) -> Iterator[None]:
    """No two scans write to one folder, and none into a folder of something else.

    Raises:
        LibraryBusyError: another scan is at work there.
        InputError: it can't be written, or holds other files.
    """
    if is_url(work):
        yield
        return
    try:
        Path(work).mkdir(parents=True, exist_ok=True)
        mark = Path(work, MARK)
        if not mark.exists():
            if any(path.name not in (LOCK, *store.STAGES) for path in Path(work).iterdir()):
                raise InputError(f"{work}: not empty, and no folder of a scan: name an empty or a new one with --work")
            mark.write_text("stage files of twinpix scan: they can be removed at any time\n")
    except OSError as error:
        raise InputError(f"{work}: can't be made or written ({error.strerror or error})") from None
    with writer_lock(Path(work), f"{work}: another scan is at work there: try again when it is done"):
        yield


def _check_work(work: str, listing: Listing) -> None:
    inside = [root for root in listing.roots if not is_url(work) and Path(work).resolve().is_relative_to(root)]
    if inside and not Path(work).resolve().is_relative_to(data_folder()):
        raise InputError(f"{work}: lies in a folder that is scanned ({inside[0]}): name another one with --work")


def _embed(run: Run, work: str, listing: Listing, model: Model) -> tuple[Embedded, int]:
    # what a shard gives depends on the code, too, and on what it finds installed
    with_heif = find_spec("pillow_heif") is not None
    keys = [store.key_of(shard.key, model.fingerprint, version("twinpix"), with_heif) for shard in listing.shards]
    targets = [store.inside(work, "embeddings", f"{key}.parquet") for key in keys]
    tasks = [Task(embed, (shard, model), target) for shard, target in zip(listing.shards, targets, strict=True)]
    before = {target for target in targets if store.is_done(target)}
    files = run.perform(EMBED, tasks)
    embedded = read_embedded(listing.shards, files, listing.skipped)
    counts = np.diff(embedded.starts).tolist()
    return embedded, sum(count for count, file in zip(counts, files, strict=True) if file not in before)


def index_for(images: int, wanted: str | None = None) -> str:
    """How pairs are looked for: as was asked for, or every pair up to 100,000 images, and in cells beyond.

    Raises:
        InputError: there is no such index.
    """
    if wanted is None:
        return EXACTLY if images <= EXACT_UP_TO else IN_CELLS
    if wanted not in (EXACTLY, IN_CELLS):
        raise InputError(f"a scan has no index {wanted!r}: choose {EXACTLY} or {IN_CELLS}")
    return wanted


def _find(
    run: Run, work: str, embedded: Embedded, encoder: Encoder, options: Options
) -> tuple[Limits, Pairs, IndexUsed]:
    limit = limits(encoder, len(embedded), options.threshold, options.verify, options.false_pairs)
    limit = replace(limit, animated_with_stills=options.animated_with_stills)
    if index_for(len(embedded), options.index) == EXACTLY:
        pairs, used = exact_pairs(run, work, embedded, encoder, limit)
    else:
        pairs, used = celled_pairs(run, work, embedded, limit)
    return limit, nearest_first(pairs, limit, ranked([str(path) for path in embedded.paths])[1]), used


def _look(
    run: Run,
    work: str,
    embedded: Embedded,
    encoder: Encoder,
    options: Options,
    limit: Limits,
    candidates: Pairs,
    used: IndexUsed,
    clock: _Clock,
) -> Candidates:
    seen: Sequence[Outcome | None] | None = None
    gone = dict[int, str]()
    if limit.sure < limit.candidate:
        with clock.of("looking"):
            portion, patience, close = look_portions(len(embedded), len(candidates[0]), limit, options.thorough)
            candidates = in_portions(candidates, portion)
            seen, gone = second_looks(run, work, embedded, candidates, limit, portion, patience, close)
    skipped = (*embedded.skipped, *_unread(embedded.paths, gone))
    named = Embeddings(embedded.paths, np.empty((0, encoder.dim), np.float32), encoder.fingerprint, skipped)
    decisions = replace(read_decisions(), contents=embedded.contents)

    def how_alike(calibration: Calibration, rows: NDArray[np.intp]) -> float:
        if len(embedded) <= EXACT_UP_TO:
            return alikeness(all_vectors(embedded.files, embedded.key, encoder.dim), calibration, rows)
        few, vectors = marked(embedded.files, MARKED, encoder.dim)
        return alikeness(vectors, calibration, np.flatnonzero(np.isin(few, rows)))

    candidates, seen = without_rows(*embedded.copies.join(candidates, seen), gone)
    return settle(named, encoder, limit, candidates, seen, used, options.threshold, options.false_pairs, decisions,
                  how_alike)  # fmt: skip


def _unread(paths: Sequence[Path], gone: Mapping[int, str]) -> list[Skipped]:
    # in place of what was read when it was embedded
    said = "could be read when it was embedded, and no more at its second look: scan again"
    return [Skipped(paths[row], gone[row], f"{paths[row]}: {said}") for row in sorted(gone)]


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._began, self._seconds = time.monotonic(), dict[str, float]()

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds[stage] = time.monotonic() - began

    @property
    def seconds(self) -> dict[str, float]:
        return {**self._seconds, "all": time.monotonic() - self._began}


def _totals(
    run: Run,
    listing: Listing,
    embedded: Embedded,
    found: Candidates,
    report: Report,
    fresh: int,
    seconds: dict[str, float],
) -> Totals:
    return Totals(
        engine=run.engine.name,
        workers=run.engine.workers,
        images=len(embedded),
        skipped=dict(sorted(Counter(one.reason for one in report.skipped).items())),
        candidates=len(found.pairs[0]) + found.unseen,
        pairs=len(report.matches),
        groups=len(report.groups),
        source_bytes=sum(shard.bytes for shard in listing.shards),
        work_bytes=sum(store.size_of(file) for file in run.files),
        seconds=seconds,
        done=run.done,
        resumed=run.resumed,
        images_done=fresh,
    )
