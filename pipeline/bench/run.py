"""The two measurements from end to end: by edits, and by known groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.bench import tables
from twinpix.pipeline.bench.contestants import EMBEDDING, Choice, enter, load_methods
from twinpix.pipeline.bench.cost import IMAGES, Cost, cost
from twinpix.pipeline.bench.edits import protocol
from twinpix.pipeline.bench.folder import choose_pictures, load_folder
from twinpix.pipeline.bench.group_scores import GroupRow, measure_groups, scores_by_method, scores_by_twinpix
from twinpix.pipeline.bench.groups import read_groups
from twinpix.pipeline.bench.measure import Spread, Tell, measure
from twinpix.pipeline.bench.method import Method
from twinpix.pipeline.bench.numbers import SCHEMA, Numbers, edit_numbers, group_numbers, versions
from twinpix.pipeline.bench.page import page, require_matplotlib
from twinpix.pipeline.bench.split import Split
from twinpix.pipeline.bench.truth import Truth
from twinpix.pipeline.show import message
from twinpix.pipeline.stream import encode_images


@dataclass(frozen=True)
class Measured:
    """The outcome of a run.

    Attributes:
        numbers: plain values for JSON.
        spreads: of each method, for the histograms.
    """

    numbers: Numbers
    spreads: Sequence[Spread]


def by_edits(folder: Path, choice: Choice, split: Split, limit: int, queries: int, rates: Sequence[float]) -> Measured:
    """Edits made of a folder's pictures.

    Raises:
        InputError: no such folder, too few pictures, an unknown method.
        ModelError: a model can't be used.
    """
    choice.check()
    pictures = choose_pictures(folder, limit, queries, split)
    edits = protocol(pictures.pasted)
    with _telling() as tell:
        tell("encoding the originals")
        contestants, left_out = enter(
            choice, pictures.originals, lambda done, of: tell(f"second look: {done} of {of} pairs")
        )
        scores = measure(contestants, pictures, edits, tell)
        files = [folder.resolve() / name for name in pictures.names[:IMAGES]]
        costs = _costs([contestant.method for contestant in contestants], choice, files, tell)
    numbers = edit_numbers(scores, pictures, edits, rates, costs)
    spreads = [Spread(np.concatenate(list(one.by_edit.values())), one.unrelated.scores) for one in scores]
    return Measured({**numbers, "named": choice.named, "left_out": _said(left_out)}, spreads)


def by_groups(folder: Path, groups: Path, choice: Choice, split: Split, rates: Sequence[float]) -> Measured:
    """Known groups in a folder.

    Raises:
        InputError: no such folder, no such groups, an unknown method, too few pictures, none that the groups name.
        ModelError: a model can't be used.
    """
    known = read_groups(groups)
    choice.check()
    loaded = load_folder(folder)
    if len(loaded.names) < 2:
        raise InputError(f"{folder}: too few images to compare ({loaded})")
    missing = sorted(known.names - set(loaded.names))
    if len(missing) == len(known.names):
        raise InputError(f"{groups}: none of the {len(missing)} pictures it names is in {folder} ({loaded})")
    methods, looked, left_out = load_methods(choice, len(loaded.names))
    left_out += [f"{m.name} is left out: it has no default threshold" for m in methods.values() if m.threshold is None]
    truth = Truth(loaded.names, known, split)
    with _telling() as tell:
        rows = list(_group_rows(folder, choice, methods, looked, loaded.pictures, truth, rates, tell))
        if not rows:
            raise InputError("; ".join(left_out) or "name a method")
        files = [folder.resolve() / name for name in loaded.names[:IMAGES]]
        costs = _costs([row.method for row in rows], choice, files, tell)
    for name in missing:
        message(f"not there, or not readable, so no pair of it counts: {name}")
    numbers = group_numbers(rows, len(loaded.names), costs)
    spreads = [Spread(row.found.same, row.found.different.scores) for row in rows]
    return Measured({**numbers, "missing": missing, "left_out": _said(left_out)}, spreads)


def _group_rows(
    folder: Path,
    choice: Choice,
    methods: Mapping[str, Method],
    looked: Encoder | None,
    pictures: Sequence[Image.Image],
    truth: Truth,
    rates: Sequence[float],
    tell: Tell,
) -> Iterator[GroupRow]:
    for key, method in methods.items():
        tell(f"encoding and comparing: {method.name}")
        if key == EMBEDDING and looked is not None:
            embeddings = encode_images(folder, encoder=looked)
            name = f"twinpix {looked.fingerprint[:6]}"
            scores, limit = scores_by_twinpix(looked, folder, truth.names, embeddings)
            yield GroupRow(name, method, True, measure_groups(truth, scores, limit, rates))
        if method.threshold is not None and (key != EMBEDDING or EMBEDDING in choice.wanted()):
            scores = scores_by_method(method, method.encode_all(pictures))
            yield GroupRow(method.name, method, False, measure_groups(truth, scores, method.threshold, rates))


def _costs(methods: Iterable[Method], choice: Choice, files: Sequence[Path], tell: Tell) -> dict[str, Cost | None]:
    costs: dict[str, Cost | None] = {}
    for method in methods:
        if method.key not in costs:
            tell(f"seconds and memory: {method.name}")
            costs[method.key] = cost(method.key, choice, files)
    return costs


def _said(left_out: list[str]) -> list[str]:
    for line in left_out:
        message(line)
    return left_out


@contextmanager
def _telling() -> Iterator[Tell]:
    # one line that changes, on a terminal only
    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(text)


def show(numbers: Numbers) -> None:
    """The tables, on stdout."""
    for line in tables.heading(numbers):
        print(line)
    for table in tables.edit_tables(numbers) if numbers["kind"] == "edits" else tables.group_tables(numbers):
        tables.print_table(table)


__all__ = ["SCHEMA", "Measured", "by_edits", "by_groups", "page", "require_matplotlib", "show", "versions"]
