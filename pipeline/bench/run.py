"""The two measurements from end to end: by edits, and by known groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from twinpix.encoder.errors import InputError
from twinpix.pipeline.bench import tables
from twinpix.pipeline.bench.contestants import EMBEDDING, Choice, enter, load_methods
from twinpix.pipeline.bench.cost import IMAGES, Cost, cost
from twinpix.pipeline.bench.edits import protocol
from twinpix.pipeline.bench.folder import choose_pictures, load_folder
from twinpix.pipeline.bench.groups import GroupScore, called_by_method, called_by_twinpix, read_groups, score_groups
from twinpix.pipeline.bench.measure import Scores, Tell, measure
from twinpix.pipeline.bench.numbers import SCHEMA, Numbers, edit_numbers, group_numbers, versions
from twinpix.pipeline.bench.page import page, require_matplotlib
from twinpix.pipeline.bench.split import Split
from twinpix.pipeline.show import message
from twinpix.pipeline.stream import encode_images


@dataclass(frozen=True)
class Measured:
    """The outcome of a run.

    Attributes:
        numbers: plain values for JSON.
        scores: of each method, for the histograms; empty for known groups.
    """

    numbers: Numbers
    scores: Sequence[Scores] = ()


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
        costs: dict[str, Cost | None] = {}
        for contestant in contestants:
            tell(f"seconds and memory: {contestant.method.name}")
            costs.setdefault(contestant.method.key, cost(contestant.method.key, choice, files))
    return Measured({**edit_numbers(scores, pictures, edits, rates, costs), "left_out": _said(left_out)}, scores)


def by_groups(folder: Path, groups: Path, choice: Choice, split: Split) -> Measured:
    """Known groups in a folder.

    Raises:
        InputError: no such folder, no such groups, an unknown method, too few pictures.
        ModelError: a model can't be used.
    """
    known = read_groups(groups)
    choice.check()
    names, pictures = load_folder(folder)
    if len(names) < 2:
        raise InputError(f"{folder}: too few images to compare")
    missing = sorted(known.names - set(names))
    methods, looked, left_out = load_methods(choice, len(names))
    scores: dict[str, GroupScore] = {}
    with _telling() as tell:
        for key, method in methods.items():
            tell(f"encoding and comparing: {method.name}")
            if key == EMBEDDING and looked is not None:
                embeddings = encode_images(folder, encoder=looked)
                called = called_by_twinpix(looked, folder, embeddings)
                scores[f"twinpix {looked.fingerprint[:6]}"] = score_groups(called, names, known, split)
            if key != EMBEDDING or EMBEDDING in choice.wanted():
                if method.threshold is None:
                    left_out.append(f"{method.name} is left out: it has no default threshold")
                    continue
                called = called_by_method(method, names, method.encode_all(pictures))
                scores[method.name] = score_groups(called, names, known, split)
    if not scores:
        raise InputError("; ".join(left_out) or "name a method")
    for name in missing:
        message(f"not there, or not readable, so no pair of it counts: {name}")
    return Measured({**group_numbers(scores, len(names)), "missing": missing, "left_out": _said(left_out)})


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
