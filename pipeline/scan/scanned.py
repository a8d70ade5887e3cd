"""What a scan is asked for, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from twinpix.pipeline.candidates import Candidates
from twinpix.pipeline.report import Report
from twinpix.pipeline.scan.embedded import Embedded


@dataclass(frozen=True)
class Options:
    """What is wanted, as of `find_duplicates`.

    Attributes:
        index: `exact` or `cells`; by default it follows from the number of images.
        column: of Parquet, which holds the images.
    """

    threshold: float | None = None
    verify: bool | None = None
    false_pairs: float | None = None
    index: str | None = None
    animated_with_stills: bool = False
    thorough: bool = False
    where: str | None = None
    column: str = ""


DEFAULTS = Options()


@dataclass(frozen=True)
class Totals:
    """What a scan took.

    Attributes:
        engine, workers: what ran it.
        images, skipped: how many were embedded, and by reason how many could not be.
        candidates, pairs, groups: pairs that lay near one another, duplicates among them, and their groups.
        source_bytes, work_bytes: of the sources, about, and of the stage files.
        seconds: by stage; `all` for everything.
        done, resumed: by stage, how many tasks this run did, and how many had been done before.
        images_done: how many of the images this run embedded.
    """

    engine: str
    workers: int
    images: int
    skipped: dict[str, int]
    candidates: int
    pairs: int
    groups: int
    source_bytes: int
    work_bytes: int
    seconds: dict[str, float]
    done: dict[str, int]
    resumed: dict[str, int]
    images_done: int


@dataclass(frozen=True)
class Scanned:
    """The outcome of a scan.

    Attributes:
        report: the same as that of `find_duplicates`.
        candidates: what it was made from.
        embedded: where the pictures lie.
        roots: folders of this machine that were searched.
        began_ns: when the scan began, ns since 1970.
        files: the stage files.
    """

    report: Report
    candidates: Candidates
    embedded: Embedded
    totals: Totals
    roots: tuple[Path, ...]
    began_ns: int
    files: frozenset[str] = field(repr=False, default=frozenset())
