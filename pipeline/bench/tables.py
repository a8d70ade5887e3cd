"""The numbers as tables, for the terminal and for the page."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twinpix.pipeline.bench.contestants import EMBEDDING
from twinpix.pipeline.bench.groups import Counts, total
from twinpix.pipeline.bench.numbers import Numbers
from twinpix.pipeline.bench.recall import DEFAULT, MISSING
from twinpix.pipeline.show import safe

MAIN = (EMBEDDING, "phash", "pdq")  # beside models of the user's own; the others are summed up
NAME = 18  # letters of a method's name at the head of a column,
FIRST = 44  # and of a row's name,
SHORT = 24  # where there are many columns
RANDOM = "random: random weights, as none were given (--weights)"
MARK = " *"  # of a family kept out of training

HEADS = {"card edits": "card", "crop to 30 % of area": "crop 30", "held-out families": "held out",
         "Copydays-like": "Copydays", "imagededup-like": "imgdedup", "the baseline's edits": "baseline"}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: one line.
        columns: names.
        rows: (name, cells).
        notes: lines below.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...] = ()


def edit_tables(numbers: Numbers, everything: bool = False) -> list[Table]:
    """One row per edit, one row per method, and what each method costs.

    Args:
        everything: all methods have a column in the table of edits, not only the main ones.
    """
    methods = numbers["methods"]
    shown = [m for m in methods if everything or m["key"] in MAIN or m["key"].endswith(".onnx")] or methods
    return [_edits(numbers, shown), _summary(numbers), _costs(numbers)]


def strictest(numbers: Numbers) -> str:
    """The name of the lowest false-match rate that was measured; `default` if none was."""
    measured = [name for name in numbers["levels"] if "extrapolated" not in name]
    known = [name for name in measured if any(m["levels"][name]["missing"] is None for m in numbers["methods"])]
    return str(known[-1]) if known else DEFAULT


def _edits(numbers: Numbers, methods: Sequence[Numbers]) -> Table:
    level = strictest(numbers)
    names = {edit["name"]: edit["name"] + MARK * edit["held_out"] for edit in numbers["edits"]}
    rows = [(title, tuple(_share(m["recall"][name][level]) for m in methods)) for name, title in names.items()]
    rows += [(f"mean: {mean}", tuple(_share(m["means"][mean][level]) for m in methods)) for mean in numbers["means"]]
    title = f"recall at {_level_title(level)}, {numbers['queries']} queries a row"
    return Table(title, tuple(_head(m["name"]) for m in methods), tuple(rows), ("* never trained on",))


def _level_title(level: str) -> str:
    return "the default threshold" if level == DEFAULT else f"false-match rate {level}"


def _summary(numbers: Numbers) -> Table:
    level = strictest(numbers)
    others = [mean for mean in numbers["means"] if mean != "all single edits"]
    rows, gaps = [], set()
    for m in numbers["methods"]:
        cells = []
        for name in numbers["levels"]:
            missing = m["levels"][name]["missing"]
            gaps |= {missing} if missing else set()
            cells.append(missing or _share(m["means"]["all single edits"][name]))
        cells += [_share(m["means"][mean][level]) for mean in others]
        rows.append((_cut(m["name"], SHORT), tuple(cells)))
    heads = [name.replace(" (extrapolated)", "+") for name in numbers["levels"]]
    at_one = ", ".join(HEADS[mean] for mean in others)
    notes = [
        f"{at_one}: at {_level_title(level)}; baseline: blur, translation, 180°, flips",
        "+ extrapolated by a generalised Pareto tail, not measured",
    ]
    notes += [f"{gap}: {MISSING[gap]}" for gap in sorted(gaps)]
    notes += [RANDOM] * any(m["name"].endswith("random") for m in numbers["methods"])
    title = "mean recall over all single edits, by false-match rate; and other means"
    return Table(title, (*heads, *(HEADS[mean] for mean in others)), tuple(rows), tuple(notes))


def _costs(numbers: Numbers) -> Table:
    rows = []
    for m in numbers["methods"]:
        rate, cost, disc = m["levels"][DEFAULT]["false_match_rate"], m["cost"], m["disc"]
        known = ("-", "-", "-") if cost is None else _cost_cells(cost)
        false_matches = "-" if rate is None else f"{rate:.1e}" if rate else f"< {1 / numbers['pairs']:.0e}"
        rows.append(
            (m["name"], (false_matches, f"{disc['average_precision']:.3f}", f"{disc['recall_at_1']:.3f}", *known))
        )
    disc = numbers["disc"]
    notes = [
        f"µAP, R@1: {disc['queries']} queries of 1 to 4 chained edits, {disc['with_a_match']} of them with a match "
        f"among {disc['references']} references; not comparable with DISC21's, which has a million",
        "ms and MB: each method in a process of its own, one image after another; MB is the peak of the whole process",
    ]
    notes += [
        f"the second look of {m['name']}: {1e3 * m['second_look_seconds_a_pair']:.0f} ms a candidate pair, on all cores"
        for m in numbers["methods"]
        if m["second_look_seconds_a_pair"] is not None
    ]
    heads = ("false matches*", "µAP", "R@1", "ms an image", "x decoding", "peak MB")
    return Table("false-match rate at the default threshold (*), ranking, cost", heads, tuple(rows), tuple(notes))


def _cost_cells(cost: Numbers) -> tuple[str, str, str]:
    peak = "-" if cost["peak_mb"] is None else f"{cost['peak_mb']:.0f}"
    return f"{1e3 * cost['encode_seconds'] / cost['images']:.1f}", f"{cost['times_decoding']:.2f}", peak


def group_tables(numbers: Numbers) -> list[Table]:
    """Pairs found and wrongly called, by source."""
    methods = numbers["methods"]
    rows: list[tuple[str, tuple[str, ...]]] = []
    for kind in ("same", "view"):
        sources = sorted(methods[0][kind])
        rows += [(f"{kind}: {source}", tuple(_counts(m[kind][source]) for m in methods)) for source in sources]
        rows.append((f"{kind}: average over sources", tuple(_share(m[f"{kind}_average"]) for m in methods)))
        rows.append((f"{kind}: all pairs", tuple(_counts(total(m[kind])) for m in methods)))
    for kind in methods[0]["unrelated"]:
        rows.append((f"unrelated, {kind}", tuple(_counts(m["unrelated"][kind], 4) for m in methods)))
    notes = (
        "same: versions of one picture, should be 100 %; view: other pictures of one scene or object, should be 0",
        "unrelated: pairs across groups, by class: alone if one of the two has no partner, else view, else same",
    )
    title = "pairs called duplicates, each method at its default threshold"
    parts = [methods[i : i + 4] for i in range(0, len(methods), 4)]
    tables = []
    for part, start in zip(parts, range(0, len(methods), 4), strict=True):
        cells = tuple((name, cells[start : start + len(part)]) for name, cells in rows)
        tables.append(Table(title, tuple(_head(m["name"]) for m in part), cells))
    return [*tables[:-1], Table(title, tables[-1].columns, tables[-1].rows, notes)]


def print_table(table: Table) -> None:
    """On stdout, at most as wide as its cells."""
    print(f"\n{table.title}")
    first = min(FIRST, max(len(name) for name, _ in table.rows))
    widths = [max(len(c), *(len(cells[i]) for _, cells in table.rows)) for i, c in enumerate(table.columns)]
    for name, cells in [("", table.columns), *table.rows]:
        line = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        print(safe(f"{_cut(name, first):<{first}}  {line}"))
    for note in table.notes:
        print(textwrap.fill(safe(note), 118, initial_indent="  ", subsequent_indent="    "))


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _counts(counts: Counts | Sequence[int], digits: int = 1) -> str:
    called, formed = counts
    return f"{called}/{formed} {100 * called / max(1, formed):.{digits}f} %"


def _head(name: str) -> str:
    return _cut(name, NAME)


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"


def heading(numbers: Mapping[str, object]) -> list[str]:
    """What was measured on, in a few lines."""
    split = {
        "report": "the half for reporting (half of all by a hash of the name; choose models on --split develop)",
        "develop": "the half for choosing: don't report these numbers",
        "all": "both halves: choose nothing by these numbers",
    }[str(numbers["split"])]
    if numbers["kind"] == "groups":
        return [f"{numbers['pictures']} pictures with known groups; split: {split}"]
    return [
        f"{numbers['pictures']} different pictures form {numbers['pairs']} pairs: false-match rates are read from all "
        f"of them, of both halves",
        f"{numbers['queries']} of them are edited; split of these: {split}",
    ]
