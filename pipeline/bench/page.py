"""The page: one file, nothing from elsewhere, readable in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from twinpix.pipeline.bench import plots
from twinpix.pipeline.bench.measure import Spread
from twinpix.pipeline.bench.numbers import Numbers
from twinpix.pipeline.bench.plots import require_matplotlib
from twinpix.pipeline.bench.recall import DEFAULT
from twinpix.pipeline.bench.tables import Table, edit_tables, group_tables, heading, strictest

SCALES = "share of all pairs, on a log scale; each method without a second look, on a scale of its own"
STYLE = """
:root { color-scheme: light dark; --ink: #1d2127; --dim: #69707a; --back: #fbfbfa; --card: #fff; --line: #e4e4e0;
  --good: 18, 166, 106 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ec; --dim: #9aa2ad; --back: #15171a; --card: #1d2024; --line: #33373d } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 1180px; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.7rem; margin: 0 0 .3rem } h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem }
p { margin: .2rem 0; max-width: 85ch } .dim, .notes { color: var(--dim); font-size: .88rem }
code { font: .88em ui-monospace, monospace; overflow-wrap: anywhere }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .8rem; margin: 1.4rem 0 }
.card, .panel { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem }
.card b { display: block; font-size: 1.65rem; font-variant-numeric: tabular-nums; line-height: 1.25 }
.card span { color: var(--dim); font-size: .84rem } .card small { display: block; color: var(--dim); font-size: .78rem }
.panel { overflow-x: auto } .panel svg { display: block; margin: 0 auto; max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; white-space: nowrap }
th { font-weight: 600; vertical-align: bottom } td, th { padding: .16rem .55rem; text-align: right }
tr > :first-child { text-align: left; position: sticky; left: 0; background: var(--card) }
thead th { border-bottom: 1px solid var(--line); white-space: normal; min-width: 4.6rem }
tbody tr:hover td { outline: 1px solid var(--line) } tr.sum td { font-weight: 600; border-top: 1px solid var(--line) }
tr.sum + tr.sum td { border-top: 0 }
"""


def page(numbers: Numbers, spreads: Sequence[Spread]) -> str:
    """The page of a run, as HTML.

    Args:
        numbers: as `--json` writes them.
        spreads: of each method in the same order.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    parts = (_edit_parts if numbers["kind"] == "edits" else _group_parts)(numbers, spreads)
    about = "".join(f"<p>{escape(line)}.</p>" for line in heading(numbers))
    used = ", ".join(f"{name} {number}" for name, number in numbers["versions"].items())
    left_out = "".join(f"<p class=dim>{escape(line)}</p>" for line in numbers["left_out"])
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>twinpix bench: {_text(numbers['folder'])}</title><style>{STYLE}</style>"
        f"<h1>twinpix bench: {_text(numbers['folder'])}</h1>{about}"
        f"<p class=dim>{escape(numbers['date'])} · <code>{_text(numbers['command'])}</code></p>"
        f"<p class=dim>{escape(used)}</p>{left_out}{''.join(parts)}</html>\n"
    )


def _text(name: str) -> str:
    return escape(name.encode("utf-8", "backslashreplace").decode())


def _edit_parts(numbers: Numbers, spreads: Sequence[Spread]) -> list[str]:
    subject, edits, summary, costs = edit_tables(numbers, everything=True)
    best = "by µAP" if strictest(numbers) == DEFAULT else "by mean recall at that rate"
    alike = "the curve counts every single edit of the protocol alike"
    return [
        _cards(numbers),
        _panel("Recall against false-match rate", plots.recall_by_rate(numbers), alike),
        _panel(
            "Recall per edit", plots.recall_per_edit(numbers), f"the subject, and the three best of the others {best}"
        ),
        _panel(
            "Distances of edited copies and of different pictures",
            plots.histograms(numbers, spreads),
            SCALES,
        ),
        _table("Every method", summary),
        _table("Ranking and cost", costs),
        _table(f"Every edit: {numbers['methods'][0]['name']}", subject),
        _table("Every edit: every method", edits),
    ]


def _cards(numbers: Numbers) -> str:
    level, first = strictest(numbers), numbers["methods"][0]
    cards = [(mean, first["means"][mean][level], first["means"][mean][DEFAULT]) for mean in list(numbers["means"])[:4]]
    shown = "".join(
        f"<div class=card><span>{escape(mean)}</span><b>{_percent(share)}</b>"
        f"<small>{_card_note(level, default)}</small></div>"
        for mean, share, default in cards
    )
    return f"<h2>{_text(first['name'])}</h2><div class=cards>{shown}</div>"


def _card_note(level: str, default: float | None) -> str:
    return "default threshold" if level == DEFAULT else f"at false-match rate {level}; {_percent(default)} by default"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _group_parts(numbers: Numbers, spreads: Sequence[Spread]) -> list[str]:
    sources, costs = group_tables(numbers)
    rate = "of pairs of one picture, among pairs of different pictures, views included"
    return [
        _panel("Averages over the sources", plots.group_bars(numbers), "each source counts alike"),
        _panel("Recall against false-match rate", plots.recall_by_rate(numbers), rate),
        _panel("Distances in and across groups", plots.histograms(numbers, spreads), SCALES),
        _table("Recall and cost", costs),
        _table("Every source", sources),
    ]


def _panel(title: str, picture: str, note: str) -> str:
    return f"<h2>{escape(title)}</h2><p class=dim>{escape(note)}</p><div class=panel>{picture}</div>"


def _table(title: str, table: Table) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in ("", *table.columns))
    rows = "".join(_row(name, cells) for name, cells in table.rows)
    notes = "".join(f"<p class=notes>{_text(note)}</p>" for note in table.notes)
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<h2>{escape(title)}</h2><p class=dim>{_text(table.title)}</p><div class=panel>{body}</div>{notes}"


def _row(name: str, cells: Sequence[str]) -> str:
    shown = "".join(f"<td{'' if name.startswith('view') else _shade(cell)}>{_text(cell)}</td>" for cell in cells)
    kind = " class=sum" if name.startswith("mean:") or ": average" in name else ""
    return f"<tr{kind}><td>{_text(name)}</td>{shown}</tr>"


def _shade(cell: str) -> str:
    # the greener, the larger the share
    if not cell.endswith(" %") or "/" in cell:
        return ""
    return f" style='background:rgba(var(--good),{float(cell[:-2]) / 100 * 0.32:.2f})'"


__all__ = ["page", "require_matplotlib"]
