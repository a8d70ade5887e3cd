"""What people and programs see of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from twinpix.pipeline.show import message, safe
from twinpix.pipeline.simulate.estimate import Estimate
from twinpix.pipeline.simulate.simulate import Simulation
from twinpix.pipeline.simulate.whole import Whole

STAGES = ("embed", "learn", "assign", "shuffle", "find", "join", "reduce")
COMPARED: dict[str, Callable[[Estimate | Whole], float]] = {
    "vectors of a cell, squared": lambda one: one.cell["squares"],
    "pairs": lambda one: one.pairs,
    "shuffle, bytes": lambda one: one.bytes["shuffle"],
    "join, memory": lambda one: one.memory["join"],
    "learn, core-seconds": lambda one: one.seconds["learn"],
    "assign, core-seconds": lambda one: one.seconds["assign"],
    "shuffle, core-seconds": lambda one: one.seconds["shuffle"],
    "join, core-seconds": lambda one: one.seconds["join"],
    "reduce, core-seconds": lambda one: one.seconds["reduce"],
}

WORDS = """
Measured: bytes and seconds a vector, joins of the sampled cells, memory of one. Extrapolated: to all cells; learning as
the square of the cells, groups as pairs and images. Seconds are CPU of this machine. Second looks, which read pictures
again, are not in them."""


def progress(text: str) -> None:
    """What is being done, on stderr."""
    message(f"simulating: {text} …")


def simulation(said: Simulation, source: str) -> None:
    """The tables, and what they rest on."""
    fit, wanted = said.fit, said.wanted
    print(
        f"vectors in the likeness of {fit['embeddings']:,} embeddings of {safe(source)}: distances of pairs and of "
        f"nearest neighbours differ by {fit['off']:.3f} (L2) at most"
    )
    print(f"{wanted.copies:.0%} of the images are copies, {wanted.crowd:g} of them all show one picture\n")
    images = ("images", [f"{one.setting.images:,}" for one in said.estimates])
    _table([images, *((name, [say(one) for one in said.estimates]) for name, say in _lines(wanted.embed_ms).items())])
    for count, measured in said.measured.items():
        (one,) = (one for one in said.estimates if one.setting.images == count)
        print(f"\n{count:,} images, all of them: predicted, measured, ratio")
        both = [(name, of(one), of(measured)) for name, of in COMPARED.items()]
        _table([(name, [f"{a:,.4g}", f"{b:,.4g}", _ratio(a, b)]) for name, a, b in both])
    print(WORDS)


def to_dict(said: Simulation, source: str) -> dict[str, Any]:
    """The same as plain values."""
    compared = {
        images: {
            name: {
                "predicted": of(one),
                "measured": of(measured),
                "ratio": of(one) / of(measured) if of(measured) else None,
            }
            for name, of in COMPARED.items()
        }
        for images, measured in said.measured.items()
        for one in said.estimates
        if one.setting.images == images
    }
    return {
        "schema": 1, "source": source, "fit": said.fit, "wanted": asdict(said.wanted),
        "estimates": [asdict(one) for one in said.estimates],
        "measured": {images: asdict(one) for images, one in said.measured.items()}, "compared": compared,
    }  # fmt: skip


def _lines(embed_ms: float) -> dict[str, Callable[[Estimate], str]]:
    def hours(one: Estimate, stage: str) -> float:
        return (one.setting.images * embed_ms / 1000 if stage == "embed" else one.seconds[stage]) / 3600

    return {
        "pairs within (L2)": lambda one: f"{one.setting.reach:.3f}",
        "cells": lambda one: f"{one.setting.cells:,}",
        "  each vector in": lambda one: f"{one.setting.nearest}",
        "vectors a cell": lambda one: f"{one.cell['mean']:,.0f}",
        "  one cell in 1,000 has more than": lambda one: f"{one.cell['large']:,.0f}",
        "hot cells": lambda one: f"{one.hot:,}",
        "  of more vectors than": lambda one: f"{one.setting.hot:,}",
        "pairs": lambda one: f"{one.pairs:.2g} ±{one.errors['pairs']:.0%}",
        "  planted copies that meet": lambda one: f"{one.recall:.2%}",
        "embeddings": lambda one: _bytes(one.bytes["embeddings"]),
        "shuffled": lambda one: _bytes(one.bytes["shuffle"]),
        "  in row groups, vectors each": lambda one: f"{one.setting.group:,.0f}",
        "files of pairs": lambda one: _bytes(one.bytes["pairs"]),
        "memory: a process that assigns": lambda one: _bytes(one.memory["assign"] * (1 << 20)),
        "  one that joins": lambda one: _bytes(one.memory["join"] * (1 << 20)),
        "  pairs of what everybody has, in one": lambda one: _bytes(one.memory["crowd"] * (1 << 20)),
        "  all groups in one process": lambda one: _bytes(one.memory["reduce"] * (1 << 20)),
        **{
            f"core-hours: {stage}" + (f" ({embed_ms:.3g} ms an image)" if stage == "embed" else ""):
                lambda one, stage=stage: _hours(hours(one, stage))  # type: ignore[misc]
            for stage in STAGES
        },
        "  of the join, standard error": lambda one: f"±{one.errors['join']:.0%}",
        "core-hours in all": lambda one: _hours(sum(hours(one, stage) for stage in STAGES)),
        "cells joined": lambda one: f"{one.measured['cells']}",
    }  # fmt: skip


def _table(rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    first, wide = max(len(name) for name, _ in rows), max(len(cell) for _, cells in rows for cell in cells)
    for name, cells in rows:
        print(f"{name:{first}}  " + "  ".join(f"{cell:>{wide}}" for cell in cells))


def _ratio(predicted: float, measured: float) -> str:
    return f"{predicted / measured:.2f}" if measured else "-"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _hours(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else f"{hours:,.0f}"
