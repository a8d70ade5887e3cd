"""`twinpix bench`: every method through the same door, on any folder."""

from __future__ import annotations

import json as jsonlib
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline import show
from twinpix.pipeline.bench.split import Split
from twinpix.pipeline.target import check_place, write_text

ORIGINALS, QUERIES = 1500, 300


def bench(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Pictures that no method was trained on.")],
    groups: Annotated[Path | None, typer.Option(help="A JSON file of known groups: same, view, alone.")] = None,
    model: Annotated[list[Path] | None, typer.Option(help="A .onnx encoder, for a row of its own.")] = None,
    methods: Annotated[
        str | None, typer.Option(help="Names, separated by commas; or all.", show_default="all but EfficientNet-B0")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="The .onnx of the autoencoder.")] = None,
    weights: Annotated[Path | None, typer.Option(help="EfficientNet-B0 weights; random ones without.")] = None,
    split: Annotated[Split, typer.Option(help="Choose on develop, report on report.")] = Split.REPORT,
    limit: Annotated[int | None, typer.Option(min=1, help="Most originals.", show_default="1500")] = None,
    queries: Annotated[int | None, typer.Option(min=1, help="Most originals edited.", show_default="300")] = None,
    rate: Annotated[list[float] | None, typer.Option(help="False-match rate.", show_default="1e-4, 1e-6")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the numbers to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with plots to this file.")] = None,
) -> int:  # fmt: skip
    """Measure the encoder beside hashes and other methods: known groups (with --groups), else edits of the pictures.

    Exit codes: 0 done; 3 done, but some pictures that --groups names could not be read; 2 error.

    Without --groups DIR should hold different pictures; its near twins are left out.

    Methods: twinpix (with the second look), embedding (without), euclidean, cosine, ssim, ahash, phash, dhash, whash,
    colorhash, pdq, pdq8, cnn-euclidean, cnn-cosine, autoencoder (with --baseline).
    """
    from twinpix.pipeline.bench import run
    from twinpix.pipeline.bench.contestants import Choice

    names = tuple(name.strip().lower() for name in methods.split(",")) if methods is not None else ()
    choice = Choice(names, tuple(model or ()), baseline, weights)
    if groups is not None and (limit, queries) != (None, None):
        raise InputError("--limit and --queries choose pictures to edit: they mean nothing with --groups")
    if html is not None:
        run.require_matplotlib()
    for target in (json, html):  # not after minutes of measuring
        if target is not None:
            check_place(target)
    rates = _checked(rate or (1e-4, 1e-6))
    measured = (
        run.by_edits(folder, choice, split, limit or ORIGINALS, queries or QUERIES, rates)
        if groups is None
        else run.by_groups(folder, groups, choice, split, rates)
    )
    numbers = {
        "schema": run.SCHEMA,
        "command": shlex.join(["twinpix", "bench", *sys.argv[2:]]),
        "date": time.strftime("%Y-%m-%d"),
        "versions": run.versions(),
        "folder": folder.resolve().name or str(folder.resolve()),
        "split": str(split),
        **measured.numbers,
    }
    run.show(numbers)
    if json is not None:
        write_text(json, jsonlib.dumps(numbers, indent=1, allow_nan=False) + "\n")
    if html is not None:
        write_text(html, run.page(numbers, measured.spreads))
    return show.SOME_SKIPPED if numbers.get("missing") else 0


def _checked(rates: Sequence[float]) -> tuple[float, ...]:
    for rate in rates:
        if not 1e-8 < rate < 1:
            raise InputError(f"a false-match rate to measure at lies between 1e-8 and 1, not {rate}")
    return tuple(sorted(set(rates), reverse=True))
