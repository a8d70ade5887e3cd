"""The numbers as tables, for the terminal and for the page."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twinpix.pipeline.bench.contestants import EMBEDDING
from twinpix.pipeline.bench.groups import Counts, total
from twinpix.pipeline.bench.numbers import HEADLINES, Numbers
from twinpix.pipeline.bench.recall import DEFAULT, MISSING
from twinpix.pipeline.show import safe

MAIN = (EMBEDDING, "phash", "pdq")  # beside those that were asked for by name; the others are summed up
NAME = 18  # letters of a method's name at the head of a column,
FIRST = 44  # and of a row's name,
SHORT = 24  # where there are many columns
RANDOM = "random: random weights, as none were given (--weights)"
MARK, STAR = " *", "* never trained on"  # of a family kept out of training
EXTRAPOLATION = "+ extrapolated by a generalised Pareto tail, not measured"
COST_HEADS = ("ms an image", "x decoding", "peak MB")
COST_NOTE = (
    "ms and MB: each method in a process of its own, one image after another; MB is the peak of the whole process"
)
WIDE = 120  # letters of a line

HEADS = {"card edits": "card", "crop to 30 % of area": "crop 30", "held-out families": "held out",
         "Copydays-like": "Copydays", "imagededup-like": "imgdedup", "the baseline's edits": "baseline"}  # fmt: skip

Row = tuple[str, tuple[str, ...]]  # name, cells


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
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def edit_tables(numbers: Numbers, everything: bool = False) -> list[Table]:
    """One row per edit, for the first method by rate and for all at one rate; then one row per method; and costs.

    Args:
        everything: all methods have a column in the table of edits, not only the main ones.
    """
    methods = numbers["methods"]
    shown = [m for m in methods if everything or m["key"] in (*MAIN, *numbers["named"])] or methods
    return [_subject(numbers), _edits(numbers, shown), _summary(numbers), _costs(numbers)]


def strictest(numbers: Numbers) -> str:
    """The name of the lowest false-match rate that was measured; `default` if none was."""
    measured = [name for name in numbers["levels"] if "extrapolated" not in name]
    known = [name for name in measured if any(m["levels"][name]["missing"] is None for m in numbers["methods"])]
    return str(known[-1]) if known else DEFAULT


def _subject(numbers: Numbers) -> Table:
    first = numbers["methods"][0]
    rows = _edit_rows(numbers, lambda kind, name: tuple(_cell(first, kind, name, at) for at in numbers["levels"]))
    notes = (STAR, EXTRAPOLATION, *_gap_notes([first]))
    return Table(f"recall of {first['name']}, by false-match rate", _level_heads(numbers), rows, notes)


def _edits(numbers: Numbers, methods: Sequence[Numbers]) -> Table:
    level = strictest(numbers)
    rows = _edit_rows(numbers, lambda kind, name: tuple(_share(m[kind][name][level]) for m in methods))
    title = f"recall at {_level_title(level)}, {numbers['queries']} queries a row"
    return Table(title, tuple(_head(m["name"]) for m in methods), rows, (STAR,))


def _edit_rows(numbers: Numbers, cells: Callable[[str, str], tuple[str, ...]]) -> tuple[Row, ...]:
    edits = [(edit["name"] + MARK * edit["held_out"], cells("recall", edit["name"])) for edit in numbers["edits"]]
    return (*edits, *((f"mean: {mean}", cells("means", mean)) for mean in numbers["means"]))


def _cell(method: Numbers, kind: str, name: str, level: str) -> str:
    return method["levels"][level]["missing"] or _share(method[kind][name][level])


def _level_heads(numbers: Numbers) -> tuple[str, ...]:
    return tuple(name.replace(" (extrapolated)", "+") for name in numbers["levels"])


def _gap_notes(methods: Sequence[Numbers]) -> list[str]:
    gaps = {level["missing"] for m in methods for level in m["levels"].values()} - {None}
    return [f"{gap}: {MISSING[gap]}" for gap in sorted(gaps)]


def _level_title(level: str) -> str:
    return "the default threshold" if level == DEFAULT else f"false-match rate {level}"


def _summary(numbers: Numbers) -> Table:
    level = strictest(numbers)
    others = [mean for mean in numbers["means"] if mean != "all single edits"]
    rows = []
    for m in numbers["methods"]:
        cells = [_cell(m, "means", "all single edits", name) for name in numbers["levels"]]
        cells += [_share(m["means"][mean][level]) for mean in others]
        rows.append((_cut(m["name"], SHORT), tuple(cells)))
    at_one = ", ".join(HEADS[mean] for mean in others)
    notes = [
        f"{at_one}: at {_level_title(level)}; baseline: blur, translation, 180°, flips",
        EXTRAPOLATION,
        *_gap_notes(numbers["methods"]),
    ]
    notes += [RANDOM] * any(m["name"].endswith("random") for m in numbers["methods"])
    title = "mean recall over all single edits, by false-match rate; and other means"
    return Table(title, (*_level_heads(numbers), *(HEADS[mean] for mean in others)), tuple(rows), tuple(notes))


def _costs(numbers: Numbers) -> Table:
    rows = []
    for m in numbers["methods"]:
        ranking = (f"{m['disc']['average_precision']:.3f}", f"{m['disc']['recall_at_1']:.3f}")
        rows.append((m["name"], (_false_matches(m, numbers["pairs"]), *ranking, *_cost_cells(m["cost"]))))
    disc = numbers["disc"]
    notes = [
        f"µAP, R@1: {disc['queries']} queries of 1 to 4 chained edits, {disc['with_a_match']} of them with a match "
        f"among {disc['references']} references; not comparable with DISC21's, which has a million",
        COST_NOTE,
    ]
    notes += [
        f"the second look of {m['name']}: {1e3 * m['second_look_seconds_a_pair']:.0f} ms a candidate pair, on all cores"
        for m in numbers["methods"]
        if m["second_look_seconds_a_pair"] is not None
    ]
    heads = ("false matches*", "µAP", "R@1", *COST_HEADS)
    return Table("false-match rate at the default threshold (*), ranking, cost", heads, tuple(rows), tuple(notes))


def _false_matches(method: Numbers, pairs: int) -> str:
    rate = method["levels"][DEFAULT]["false_match_rate"]
    return f"{rate:.1e}" if rate else "-" if rate is None or not pairs else f"< {1 / pairs:.0e}"


def _cost_cells(cost: Numbers | None) -> tuple[str, str, str]:
    if cost is None:
        return "-", "-", "-"
    peak = "-" if cost["peak_mb"] is None else f"{cost['peak_mb']:.0f}"
    return f"{1e3 * cost['encode_seconds'] / cost['images']:.1f}", f"{cost['times_decoding']:.2f}", peak


def group_tables(numbers: Numbers) -> list[Table]:
    """Pairs found and wrongly called, by source; and what each method finds at false-match rates, and costs."""
    methods = numbers["methods"]
    rows: list[Row] = []
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
    return [Table(title, tuple(_head(m["name"]) for m in methods), tuple(rows), notes), _rates_and_costs(numbers)]


def _rates_and_costs(numbers: Numbers) -> Table:
    rows = []
    for m in numbers["methods"]:
        found = [_cell(m, "means", HEADLINES["groups"], level) for level in numbers["levels"]]
        rows.append((m["name"], (*found, _false_matches(m, numbers["pairs"]), *_cost_cells(m["cost"]))))
    notes = (
        f"recall: of {numbers['same_pairs']} pairs of one picture; false-match rate: of {numbers['pairs']} pairs of "
        "different pictures, views included",
        COST_NOTE,
        *_gap_notes(numbers["methods"]),
    )
    heads = (*_level_heads(numbers), "false matches*", *COST_HEADS)
    return Table("recall by false-match rate; that rate at the default threshold (*); cost", heads, tuple(rows), notes)


def print_table(table: Table) -> None:
    """On stdout; columns for which a line has no room follow below."""
    print(f"\n{safe(table.title)}")
    first = min(FIRST, max(len(name) for name, _ in table.rows))
    widths = [max(len(c), *(len(cells[i]) for _, cells in table.rows)) for i, c in enumerate(table.columns)]
    for k, part in enumerate(_parts(widths, WIDE - first)):
        print("\n" * bool(k), end="")
        for name, cells in [("", table.columns), *table.rows]:
            line = "  ".join(f"{cells[i]:>{widths[i]}}" for i in part)
            print(safe(f"{_cut(name, first):<{first}}  {line}"))
    for note in table.notes:
        print(textwrap.fill(safe(note), 118, initial_indent="  ", subsequent_indent="    "))


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for column, width in enumerate(widths):
        if parts[-1] and sum(widths[c] + 2 for c in parts[-1]) + width + 2 > room:
            parts.append([])
        parts[-1].append(column)
    return parts


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _counts(counts: Counts | Sequence[int], digits: int = 1) -> str:
    called, formed = counts
    return f"{called}/{formed} {100 * called / formed:.{digits}f} %" if formed else "-"


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
