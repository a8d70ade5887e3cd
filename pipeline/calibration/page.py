"""The page of `twinpix calibrate`: the curve, and the closest pairs, because a person must look at them."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import ImageError, MissingPackageError
from twinpix.pipeline.calibration.study import RECALL_RATES, ClosePair, Study
from twinpix.pipeline.report import thumbnail
from twinpix.pipeline.target import PAGES, check_writable, written_whole

LIBRARIES = (1_000, 10_000, 100_000, 1_000_000)
THUMB_PX = 240
SHOWN_EXCLUDED = 50
SAID = {
    None: "no second look",
    "confirmed": "a second look says: one picture",
    "refuted": "a second look says: different",
    "likely": "a second look takes them for worn copies",
    "unclear": "a second look can't tell",
}
STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1d21; --soft: #5c6370; --line: #d9dce2; --card: #f5f6f8 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15171a; --text: #e8eaed; --soft: #9aa1ac; --line: #33373d; --card: #1e2125 } }
body { background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
       max-width: 68rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
p { max-width: 46rem } .soft, figcaption { color: var(--soft); font-size: .875rem }
table { border-collapse: collapse } th, td { padding: .3rem .9rem .3rem 0; text-align: right;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums } th:first-child, td:first-child
  { text-align: left } th { font-weight: 600; white-space: nowrap }
.tables { display: flex; flex-wrap: wrap; gap: 0 3rem } .plot svg { width: 100%; height: auto; max-width: 60rem }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem }
figure { margin: 0; background: var(--card); border-radius: 8px; padding: .6rem } figcaption b { color: var(--text) }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: .4rem }
.two img, .two .gone { width: 100%; height: 9rem; object-fit: contain; border-radius: 4px }
.name { overflow-wrap: anywhere }
"""


def check_page(target: Path) -> None:
    """Raises InputError or MissingPackageError early, before hours of measuring."""
    check_writable(target, PAGES)
    _import_figure()


def write_page(target: Path, found: Study, name: str) -> None:
    """Write one self-contained HTML file.

    Args:
        name: of the encoder.

    Raises:
        InputError: it can't be written.
        MissingPackageError: Matplotlib, of the extra `bench`, is not installed.
    """
    text = page(found, name)
    with written_whole(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page(found: Study, name: str) -> str:
    """The page's HTML."""
    curve = found.calibration
    body = "".join(
        (
            f"<h1>Calibration on {_safe(curve.source)}</h1><p class=soft>{_safe(name)}: {found.images:,} pictures, "
            f"{len(found.excluded)} left out as copies of others, {curve.pictures:,} different ones compared</p>",
            _curve_part(curve),
            f"<div class=tables><div>{_thresholds(curve)}</div><div>{_classes(found)}</div></div>",
            _closest(found),
            _checks(found),
            _excluded(found),
        )
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Calibration on {_safe(curve.source)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def _curve_part(curve: Calibration) -> str:
    return (
        f"<h2>How often two different pictures lie this close</h2><div class=plot>{_plot(curve)}</div>"
        f"<p class=soft>Seen down to a rate of {curve.measured_from:.1e} (three pairs); below, a fitted tail reaches "
        "two decades further. The band holds 90 % of bootstrap samples of the pictures.</p>"
    )


def _plot(curve: Calibration) -> str:
    figure = _import_figure()(figsize=(9, 4.2))
    axes = figure.add_subplot()
    rates, distances = np.array(curve.rates), np.array(curve.distances)
    seen = rates >= curve.measured_from * 0.999
    guessed = rates <= curve.measured_from * 1.001
    if curve.low:
        low = np.maximum(curve.low, curve.rates[0] / 10)
        axes.fill_between(distances, low, curve.high, color="#3b82f6", alpha=0.22, lw=0)
    axes.plot(distances[seen], rates[seen], color="#3b82f6", lw=2, label="measured")
    axes.plot(distances[guessed], rates[guessed], color="#3b82f6", lw=2, ls=(0, (3, 2)), label="extrapolated")
    for one, colour in zip(curve.classes, ("#d97706", "#059669", "#9333ea", "#dc2626"), strict=False):
        part = np.array(one.rates) >= one.measured_from * 0.999
        axes.plot(np.array(one.distances)[part], np.array(one.rates)[part], color=colour, lw=1.2, label=one.source)
    for images in LIBRARIES[:2]:
        limit = curve.library_threshold(images)
        axes.axvline(limit, color="#8a8f98", lw=0.8, ls=":")
        axes.annotate(f"{images:,} images", (limit, rates[-1]), (3, -3), textcoords="offset points", rotation=90,
                      va="top", color="#8a8f98", fontsize=8)  # fmt: skip
    axes.set(yscale="log", xlabel="L2 distance", ylabel="false-match rate", ylim=(curve.rates[0] / 3, rates[-1] * 2))
    axes.legend(frameon=False, labelcolor="#8a8f98", loc="lower right")
    return _svg(figure, axes)


def _svg(figure: Any, axes: Any) -> str:
    # mid grey on no ground: readable on light and on dark
    for part in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
        part.set_color("#8a8f98")
    axes.tick_params(which="both", color="#8a8f98", labelcolor="#8a8f98")
    for spine in axes.spines.values():
        spine.set(color="#8a8f98", alpha=0.5)
    figure.tight_layout()
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def _import_figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError("the page's curve needs Matplotlib: pip install 'twinpix[bench]'") from None
    return Figure


def _thresholds(curve: Calibration) -> str:
    rows = [
        (
            f"{images:,}",
            f"{curve.library_threshold(images):.3f}" + ("*" if curve.is_clamped(images) else ""),
            f"{curve.candidate_threshold(images):.3f}",
            _count(curve.false_pairs(curve.library_threshold(images), images)),
        )
        for images in LIBRARIES
    ]
    head = ("images", "unverified", "with a second look", "false pairs, unverified")
    return (
        f"<h2>Thresholds by size of library</h2>{_table(head, rows)}<p class=soft>L2 distances at about one false pair "
        "in all. * the strictest that the curve supports: more false pairs are to be expected.</p>"
    )


def _count(expected: float) -> str:
    return f"{expected:,.0f}" if expected >= 10 else f"{expected:.2g}"


def _classes(found: Study) -> str:
    curve, own = found.calibration, {one.source: one for one in found.calibration.classes}
    limits = [curve.threshold(rate) for rate in (1e-3, 1e-4)]
    rows = [
        (kind, f"{number:,}", *((f"{own[kind].rate(limit):.1e}" if kind in own else "too few") for limit in limits))
        for kind, number in found.classes.items()
    ]
    return (
        f"<h2>By kind of picture</h2>{_table(('kind', 'pictures', 'at 1e-3', 'at 1e-4'), rows)}<p class=soft>"
        "False-match rate among pictures of one kind, where all together have 1e-3 and 1e-4. Kinds are told by simple "
        "measures; fewer than 30 pictures make no curve. The thresholds rest on all kinds as they are mixed here."
        "</p>"
    )


def _closest(found: Study) -> str:
    return (
        f"<h2>Look at these: the {len(found.closest)} closest pairs that count as different</h2><p>If one of them is "
        "the same picture twice, remove one of the two and calibrate again: unnoticed copies make the thresholds too "
        f"strict.</p><div class=pairs>{''.join(_pair(pair) for pair in found.closest)}</div>"
    )


def _excluded(found: Study) -> str:
    if not found.excluded:
        return ""
    shown = found.excluded[:SHOWN_EXCLUDED]
    more = len(found.excluded) - len(shown)
    rest = f"<p class=soft>and {more} more; --json lists them all</p>" if more else ""
    return (
        f"<h2>Left out: {len(found.excluded)} copies</h2><p>Taken for one picture, by their structure or by a second "
        "look, so the second one does not count. If most of these are different pictures, the thresholds are too "
        f"loose.</p><div class=pairs>{''.join(_pair(pair) for pair in shown)}</div>{rest}"
    )


def _checks(found: Study) -> str:
    growth = [
        (f"{share:.0%}", f"{count:.0f}", f"{found.growth[1.0] * share**2:.0f}") for share, count in found.growth.items()
    ]
    recall = [(edit, *(f"{100 * share:.1f} %" for share in shares)) for edit, shares in found.recall.items()]
    return (
        "<div class=tables><div><h2>Copies found without a second look</h2>"
        f"{_table(('edit', *(f'at {rate:.0e}' for rate in RECALL_RATES)), recall)}</div>"
        "<div><h2>Does it grow as the square?</h2>"
        f"{_table(('share of the files', 'false pairs', 'expected'), growth)}<p class=soft>At a rate of 1e-3, in "
        "stretches of the files in order. More than expected: pictures beside each other in a folder are more alike."
        "</p></div></div>"
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    first = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{lines}</table>"


def _pair(pair: ClosePair) -> str:
    names = "".join(f"<div class=name>{_safe(path.name)}</div>" for path in (pair.first, pair.second))
    why = SAID[pair.outcome]
    return (
        f"<figure><div class=two>{_picture(pair.first)}{_picture(pair.second)}</div><figcaption><b>{pair.distance:.3f}"
        f"</b> {why}{names}</figcaption></figure>"
    )


def _picture(path: Path) -> str:
    try:
        data = thumbnail(path, THUMB_PX)
    except ImageError:
        return "<div class=gone>(no longer readable)</div>"
    return f"<img alt='{_safe(path.name)}' title='{_safe(str(path))}' src='{data}'>"


def _safe(text: str) -> str:
    # names may hold bytes that are no text
    return html.escape(text.encode("utf-8", "backslashreplace").decode())
