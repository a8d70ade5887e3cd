"""What each choice of the recipe is worth: one short run a choice, all on the same budget."""

from __future__ import annotations

import copy
import json
import math
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinpix.encoder.errors import InputError
from twinpix.encoder.network import CopyNet
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.encoder.preprocess import Preprocess
from twinpix.train.data import Pictures
from twinpix.train.export import export_onnx
from twinpix.train.loop import Machine, Say, train
from twinpix.train.make import seen_by, weigh_against
from twinpix.train.recipe import Recipe, scaled
from twinpix.train.validate import FALSE_MATCH_RATE, KINDS, Validation, in_words

ORIGINALS = 1000  # held-back pictures that recall is measured on
RUNS = 60  # inferences timed, of which the quickest counts


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        changed: for people, what differs from the base.
        recipe: its `background` counts for the measurement only, so rows that differ in nothing else share a run.
        weights: of the exported model: `fp32`, `fp16` or `int8`.
    """

    name: str
    changed: str
    recipe: Recipe
    weights: str = "fp32"

    @property
    def training(self) -> Recipe:
        """What is trained for this row."""
        return replace(self.recipe, background=0)


@dataclass(frozen=True)
class Outcome:
    """What a row measured.

    Attributes:
        recall: kind of edit -> share of copies found, 0..1.
        views: seen in training.
        seconds: of training, without loading and measuring; the run of another row where `shared`.
        milliseconds: of one inference of one picture on one core, ONNX Runtime.
        megabytes: of the model file.
    """

    recall: dict[str, float]
    views: int
    seconds: float
    milliseconds: float
    megabytes: float
    shared: bool

    @property
    def mean(self) -> float:
        """Mean recall over the kinds, 0..1."""
        return sum(self.recall.values()) / len(self.recall)


def base_recipe(epochs: float, size: int, seed: int) -> Recipe:
    """The base of all rows: the defaults, at one size, without background, its schedule in steps."""
    return Recipe(epochs=epochs, size=size, small_size=size, small_share=0.0, background=0, seed=seed)


def all_rows(base: Recipe) -> tuple[Row, ...]:
    """Every row, rows of one training run next to each other."""

    def resized(size: int) -> Recipe:
        return replace(base, size=size, small_size=size)

    sizes = [size for size in (64, 96, 128) if size != base.size]
    return (
        Row("base", "InfoNCE, temperature 0.05, KoLeo 1, 256 dimensions, hard edits", base),
        Row("hub", "hub correction: background of 2,000 pictures", replace(base, background=2000)),
        Row("fp16", "kernels stored as float16", base, "fp16"),
        Row("int8", "static int8 convolutions", base, "int8"),
        Row("margin", "margin contrastive loss (0 / 1.0) with cross-batch memory", replace(base, loss="margin")),
        Row("triplet", "triplet loss, hardest negative of batch and memory", replace(base, loss="triplet")),
        Row("koleo-0", "KoLeo 0", replace(base, koleo=0.0)),
        Row("koleo-5", "KoLeo 5", replace(base, koleo=5.0)),
        Row("temperature-0.1", "temperature 0.1", replace(base, temperature=0.1)),
        Row("dim-128", "128 dimensions", replace(base, architecture=scaled(dim=128))),
        Row("card", "edits of the preset card", replace(base, preset="card")),
        Row("width-0.5", "backbone of half the width", replace(base, architecture=scaled(width=0.5))),
        Row("depth-0", "backbone without residual blocks", replace(base, architecture=scaled(depth=0))),
        *(Row(f"size-{size}", f"input of {size} px", resized(size)) for size in sizes),
    )


def chosen_rows(rows: Sequence[Row], names: Sequence[str]) -> tuple[Row, ...]:
    """The rows of those names, in the order of the table; all of them for no names.

    Raises:
        InputError: there is no such row.
    """
    known = [row.name for row in rows]
    for name in names:
        if name not in known:
            raise InputError(f"--rows: no row {name!r}; there are {', '.join(known)}")
    return tuple(row for row in rows if row.name in names or not names)


def ablate(
    rows: Sequence[Row], pictures: Pictures, other: Pictures, record: Path, machine: Machine, say: Say
) -> dict[str, Outcome]:
    """Train and measure the rows that `record` does not hold yet, writing it after each.

    Args:
        pictures: to train on; every row sees the same number of pairs of them.
        other: held back, for recall.
        record: JSON file; rows in it are kept, so that a killed run loses one row.

    Returns:
        Name of row -> outcome, earlier ones included.

    Raises:
        InputError: `record` is of other pictures or another budget.
    """
    budget = budget_of(rows[0].recipe, pictures, other)
    outcomes = read_record(record, budget)
    validation = Validation(other, ORIGINALS)
    trained: tuple[Recipe, CopyNet, float] | None = None
    for row in rows:
        if row.name in outcomes:
            say(f"{row.name}: already in {record}")
            continue
        shared = trained is not None and trained[0] == row.training
        if trained is None or not shared:
            trained = (row.training, *_train(row, pictures, machine, say))
        outcomes[row.name] = _measure(row, trained[1], trained[2], shared, pictures, validation)
        write_record(record, budget, outcomes)
        say(f"{row.name}: {in_words(outcomes[row.name].recall)}")
    return outcomes


def budget_of(recipe: Recipe, pictures: Pictures, other: Pictures) -> dict[str, Any]:
    """What all rows must have in common to be comparable."""
    return {
        "pictures": len(pictures),
        "digest": pictures.digest + other.digest,
        "epochs": recipe.epochs,
        "pairs": pairs_seen(recipe, len(pictures)),
        "held_back": min(ORIGINALS, len(other)),
        "seed": recipe.seed,
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def pairs_seen(recipe: Recipe, pictures: int) -> int:
    """Pairs of views in a run."""
    batch = min(recipe.batch, max(2, pictures // 2)) if pictures < recipe.batch else recipe.batch
    return math.ceil(recipe.epochs * (pictures // batch)) * batch


def _train(row: Row, pictures: Pictures, machine: Machine, say: Say) -> tuple[CopyNet, float]:
    torch.compiler.reset()
    with TemporaryDirectory() as work:
        begun = time.monotonic()
        net = train(row.training, pictures, None, Path(work), machine, lambda text: say(f"{row.name}: {text}"))
        return net.cpu(), time.monotonic() - begun


def _measure(
    row: Row, net: CopyNet, seconds: float, shared: bool, pictures: Pictures, validation: Validation
) -> Outcome:
    size, net = row.recipe.size, copy.deepcopy(net)
    weigh_against(net, pictures, row.recipe)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "row.onnx"
        _export(row, net, path, pictures)
        encoder = OnnxEncoder(path, threads=torch.get_num_threads())

        def embedding(pixels: Tensor) -> Tensor:
            return torch.from_numpy(encoder.encode(pixels.numpy()))

        recall = validation.recall_of(embedding, size)
        views = 2 * pairs_seen(row.recipe, len(pictures))
        milliseconds = quickest(OnnxEncoder(path), size)
        return Outcome(recall, views, seconds, milliseconds, path.stat().st_size / 1e6, shared)


def _export(row: Row, net: CopyNet, path: Path, pictures: Pictures) -> None:
    size = row.recipe.size
    seen = seen_by(row.weights, pictures, size, row.recipe.seed)
    export_onnx(net, Preprocess(size=size), path, row.weights, seen)


def quickest(encoder: OnnxEncoder, size: int) -> float:
    """Milliseconds of the quickest of `RUNS` inferences of one picture: what others do on the machine counts least."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, size, size), dtype=np.uint8)
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        encoder.encode(picture)
        times.append(time.perf_counter() - begun)
    return 1000 * min(times)


def read_record(record: Path, budget: dict[str, Any]) -> dict[str, Outcome]:
    """The rows measured earlier; none if the file is not there.

    Raises:
        InputError: the file is damaged, or of another budget.
    """
    if not record.exists():
        return {}
    try:
        written = json.loads(record.read_text())
        earlier, rows = written["budget"], {name: Outcome(**row) for name, row in written["rows"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{record}: not a readable record of rows ({error}): remove it or pass another -o") from None
    differs = [key for key in budget if earlier.get(key) != budget[key]]
    if differs:
        raise InputError(f"{record}: its rows had another budget ({', '.join(differs)}): remove it or pass another -o")
    return rows


def write_record(record: Path, budget: dict[str, Any], outcomes: dict[str, Outcome]) -> None:
    """Write the rows in one replace: a kill in the middle leaves the earlier ones."""
    rows = {name: vars(outcome) for name, outcome in outcomes.items()}
    temporary = record.with_suffix(".tmp")
    temporary.write_text(json.dumps({"budget": budget, "rows": rows}, indent=1) + "\n")
    os.replace(temporary, record)


def table(rows: Sequence[Row], outcomes: dict[str, Outcome], pictures: Pictures, command: str) -> str:
    """Markdown: what was run, and a line for each row measured."""
    done = [row for row in rows if row.name in outcomes]
    recipe, base = done[0].recipe, outcomes.get("base")
    head = ["row", *KINDS, "mean", "training", "inference", "MB", "changed"]
    lines = [
        f"Recall in percent at a false-match rate of {FALSE_MATCH_RATE:.0e} among held-back pictures, through the "
        f"exported ONNX. Each row: {recipe.epochs:g} passes over {len(pictures):,} pictures "
        f"({outcomes[done[0].name].views:,} views), batches of {recipe.batch} pairs, seed {recipe.seed}; differs from "
        "base in one thing only. Training and inference (one picture, one core) are times relative to base.",
        "",
        f"`{command}`",
        "",
        _line(head),
        _line(["---"] * len(head)),
    ]
    return "\n".join([*lines, *(_line(_cells(row, outcomes[row.name], base)) for row in done)]) + "\n"


def _cells(row: Row, outcome: Outcome, base: Outcome | None) -> list[str]:
    shares = [f"{100 * share:.1f}" for share in (*outcome.recall.values(), outcome.mean)]
    training = f"{outcome.views / outcome.seconds:.0f} views/s"
    inference = f"{outcome.milliseconds:.2f} ms"
    if base is not None:
        training = f"{outcome.seconds / base.seconds:.2f} ({training})"
        inference = f"{outcome.milliseconds / base.milliseconds:.2f} ({inference})"
    return [row.name, *shares, "as base" if outcome.shared else training, inference, f"{outcome.megabytes:.1f}",
            row.changed]  # fmt: skip


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
