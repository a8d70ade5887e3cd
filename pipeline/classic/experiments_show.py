"""The tables of the experiments, and their JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from twinpix.pipeline.classic.compare import LeftOut
from twinpix.pipeline.classic.euclidean_speed import Timing
from twinpix.pipeline.classic.experiments import TOP, Resilience, Retrieval

WIDTH = 118


def tables(
    retrieved: Sequence[Retrieval], resilient: Sequence[Resilience], timed: Sequence[Timing], about: dict[str, str]
) -> None:
    """Print them on stdout."""
    console = Console(width=WIDTH, highlight=False)
    console.print(_retrieval(retrieved, about["retrieval"]))
    console.print(_resilience(resilient, about["resilience"]))
    console.print(_speed(timed))


def as_dict(
    retrieved: Sequence[Retrieval],
    resilient: Sequence[Resilience],
    timed: Sequence[Timing],
    about: dict[str, str],
    left_out: Sequence[LeftOut],
) -> dict[str, Any]:
    """Schema 1."""
    return {
        "schema": 1,
        "about": about,
        "retrieval": [asdict(row) | {"ms_per_pair": row.ms_per_pair} for row in retrieved],
        "resilience": [asdict(row) for row in resilient],
        "euclidean_speed": [asdict(row) for row in timed],
        "left_out": [asdict(row) for row in left_out],
    }


def _table(title: str, caption: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", box=None)
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, justify="right")
    return table


def _retrieval(rows: Sequence[Retrieval], about: str) -> Table:
    columns = ("method", f"accuracy@{TOP}", "worst group", "ms/image", "us/pair", "ms/pair from scratch")
    caption = (
        f"{about}. Each picture is searched for among all others; accuracy@{TOP}: share of the {TOP} nearest that are "
        "of its group. ms/image: to describe a decoded picture; us/pair: to compare two descriptions.\n"
    )
    table = _table("1. Retrieval: accuracy and speed", caption, columns)
    for row in rows:
        worst = min(row.by_group.values())
        table.add_row(row.method, f"{row.accuracy:.1%}", f"{worst:.1%}", f"{row.ms_per_image:.2f}",
                      f"{row.us_per_pair:.3f}", f"{row.ms_per_pair:.2f}")  # fmt: skip
    return table


def _resilience(rows: Sequence[Resilience], about: str) -> Table:
    names = [f"{i}" for i in range(1, len(rows) + 1)]
    legend = "; ".join(f"{number} {row.method}" for number, row in zip(names, rows, strict=True))
    caption = (
        f"{about}. How many of the 4 pictures nearest to a transformed one are of its scene (UKBench score, at most "
        f"4), and below it the share whose nearest one is.\nMethods: {legend}\n"
    )
    table = _table("2. Resilience to transformations", caption, ("transformation", *names))
    for transformation in rows[0].top4 if rows else ():
        scores = (f"{row.top4[transformation]:.2f}\n{row.top1[transformation]:.0%}" for row in rows)
        table.add_row(transformation, *scores)
    return table


def _speed(rows: Sequence[Timing]) -> Table:
    caption = "Best of five runs, float64; speed: SciPy is 1, twice as fast is 2.\n"
    table = _table("3. SciPy and NumPy: Euclidean distance", caption, ("task", "way", "ms", "speed", "differs by"))
    table.columns[1].justify = "left"
    for row in rows:
        table.add_row(row.task, row.way, f"{1e3 * row.seconds:.4f}", f"{row.ratio:.2f}", f"{row.difference:.1e}")
    return table
