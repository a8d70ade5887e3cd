"""`twinpix ablate`: what each choice of the recipe is worth, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline.show import message
from twinpix.pipeline.target import refuse_picture
from twinpix.train.cli import check_packages, expanded, pick_device, say

Paths = list[Path]


def ablate(
    data: Annotated[
        Paths | None,
        typer.Option("--data", help="Folders of images or .tar shards to train on.", show_default="rendered pictures"),
    ] = None,  # fmt: skip
    validation: Annotated[
        Paths | None,
        typer.Option("--calibration", help="Other pictures, to measure recall on.", show_default="a tenth of the data"),
    ] = None,  # fmt: skip
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The Markdown table; a .json beside it keeps the rows.")
    ] = Path("ablation.md"),
    rows: Annotated[str, typer.Option(help="Names, with commas between.", show_default="all")] = "",
    epochs: Annotated[float, typer.Option(min=0.01, help="Passes over the data, for each row.")] = 6,
    limit: Annotated[int, typer.Option(min=400, help="Use at most this many pictures of the data.")] = 6000,
    size: Annotated[int, typer.Option(min=32, help="px; the input size of all rows that do not change it.")] = 64,
    seed: Annotated[int, typer.Option(help="Of initial weights, order and edits.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that make views (CPU).")] = 2,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of the network.", show_default="all cores")
    ] = None,
    compile: Annotated[
        bool, typer.Option(help="Fuse the network first: needs a C++ compiler, takes a minute a row.")
    ] = False,
) -> int:
    """Train one short run for each choice, all on the same number of views, and write a table of recalls.

    Run again, it goes on with the rows that are missing. Needs the extra `train`.
    """
    if output.suffix == ".json":
        raise InputError(f"{output}: the rows are kept in a .json beside the table: give the table another ending")
    refuse_picture(output.expanduser())
    check_packages()
    where = pick_device(device, threads)
    from twinpix.train import ablate as ablation
    from twinpix.train.loop import Machine
    from twinpix.train.make import load_sets

    table = ablation.all_rows(ablation.base_recipe(epochs, size, seed))
    chosen = ablation.chosen_rows(table, [name.strip() for name in rows.split(",") if name.strip()])
    largest = max((row.recipe for row in table), key=lambda recipe: recipe.size)  # one store for all rows, ever
    pictures, other = load_sets(largest, expanded(data), expanded(validation), limit)
    say(f"{len(pictures)} pictures to train on, {len(other)} held back")
    record = output.expanduser().with_suffix(".json")
    record.parent.mkdir(parents=True, exist_ok=True)
    outcomes = ablation.ablate(chosen, pictures, other, record, Machine(where, workers, compile), say)
    sources = [("data", path) for path in data or []] + [("calibration", path) for path in validation or []]
    words = [f"--{option} {path.resolve().name}" for option, path in sources]
    command = " ".join(["twinpix ablate", *words, f"--epochs {epochs:g} --limit {limit} --size {size} --seed {seed}"])
    output.expanduser().write_text(ablation.table(table, outcomes, pictures, command))
    message(f"wrote {output} and {record}")
    return 0
