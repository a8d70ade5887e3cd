"""The plots of the page, as SVG that takes the page's own text colour."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import MissingPackageError
from twinpix.pipeline.bench.measure import Spread
from twinpix.pipeline.bench.numbers import HEADLINES, Numbers
from twinpix.pipeline.bench.ordered import Ordered
from twinpix.pipeline.bench.recall import DEFAULT
from twinpix.pipeline.bench.tables import MARK, strictest

COLOURS = ("#e8590c", "#4c8dff", "#12a66a", "#b06cf0", "#d9a400", "#e0508f", "#14a3b8", "#8a7a5c", "#7f8cff", "#6fae1f",
           "#c2483d", "#5f9ea0", "#a57bd0", "#9a9a9a", "#b8860b", "#cc79a7")  # fmt: skip
INK, FAINT = "#010203", "#808080"  # the first is replaced by the page's text colour
BINS = 60
SHOWN = 0.999  # of the distances of different pictures
MOST = 4  # methods in the plot of edits
COPIES = {"edits": "edited copies", "groups": "pairs of one picture"}
DODGE = 0.18  # of a row, so that equal values of two methods don't hide one another


def require_matplotlib() -> Any:
    """matplotlib.pyplot, drawing into files.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingPackageError("the page's plots need matplotlib: pip install 'twinpix[bench]'") from None
    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({
        "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "svg.hashsalt": "twinpix",
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "axes.titlecolor": INK,
        "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
        "grid.color": FAINT, "grid.alpha": 0.25, "axes.titlesize": 10,
    })  # fmt: skip
    return plt


def svg(figure: Any) -> str:
    """The figure as SVG in the colour of the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    require_matplotlib().close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def main_methods(numbers: Numbers) -> list[int]:
    """Rows of the methods that the plot of edits shows: the first, and the best of the others.

    Recall at default thresholds ranks nothing, as their false-match rates differ: without a measured rate, µAP does.
    """
    level = strictest(numbers)
    score = [_standing(m, HEADLINES[numbers["kind"]], level) for m in numbers["methods"]]
    rest = sorted(range(1, len(score)), key=lambda k: -score[k])
    return [0, *sorted(rest[: MOST - 1])]


def _standing(method: Numbers, headline: str, level: str) -> float:
    if level == DEFAULT and "disc" in method:
        return float(method["disc"]["average_precision"])
    return float(method["means"][headline][level] or 0)


def recall_per_edit(numbers: Numbers) -> str:
    """A row per edit, a dot per method."""
    level, edits = strictest(numbers), [e for e in numbers["edits"] if e["single"] or e["family"] == "all three"]
    names = [edit["name"] for edit in edits]
    figure, axes = require_matplotlib().subplots(figsize=(9, 0.24 * len(names) + 1))
    shown = main_methods(numbers)
    marks = ("o", "D", "s", "^")
    for order, (row, mark) in reversed(list(enumerate(zip(shown, marks, strict=False)))):
        found = [numbers["methods"][row]["recall"][name][level] for name in names]
        shares = [np.nan if share is None else 100 * share for share in found]
        style = {
            "s": 46 if order == 0 else 22,
            "marker": mark,
            "color": COLOURS[row % len(COLOURS)],
            "zorder": 9 - order,
        }
        axes.scatter(
            shares, np.arange(len(names)) + DODGE * (order - 1.5), label=numbers["methods"][row]["name"], **style
        )
    axes.set_yticks(range(len(names)), [e["name"] + MARK * e["held_out"] for e in edits])
    axes.set(xlim=(-2, 102), ylim=(len(names) - 0.4, -0.6), xlabel=f"recall, % (at {_at(level)}); * never trained on")
    axes.grid(True)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="lower center", bbox_to_anchor=(0.4, 1), ncols=MOST)
    return svg(figure)


def _at(level: str) -> str:
    return "the default threshold" if level == DEFAULT else f"false-match rate {level}"


def recall_by_rate(numbers: Numbers) -> str:
    """Recall against the false-match rate, and each method's default threshold."""
    figure, axes = require_matplotlib().subplots(figsize=(9, 5))
    headline = HEADLINES[numbers["kind"]]
    shown = set(main_methods(numbers))
    for row, method in enumerate(numbers["methods"]):
        colour, is_main = COLOURS[row % len(COLOURS)], row in shown
        curve = method["curve"]
        style = {"color": colour, "lw": 2.6 if row == 0 else 1.8 if is_main else 1, "zorder": 9 if is_main else 3}
        axes.plot(
            curve["rates"], 100 * np.array(curve["recall"]), label=method["name"], drawstyle="steps-post", **style
        )
        default, share = method["levels"][DEFAULT], method["means"][headline][DEFAULT]
        if share is not None and curve["rates"]:
            rate = max(default["false_match_rate"], curve["rates"][0])
            axes.plot(rate, 100 * share, "*", color=colour, ms=12, zorder=10, mec="none")
    axes.set(xscale="log", ylim=(0, 101), ylabel=f"recall over {headline}, %")
    axes.set_xlabel("false-match rate (a star: the default threshold; at the left edge: none was seen)")
    axes.grid(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return svg(figure)


def histograms(numbers: Numbers, spreads: Sequence[Spread]) -> str:
    """Distances of copies to their originals, and of different pictures: each method without a second look."""
    plain = [k for k, method in enumerate(numbers["methods"]) if not method["second_look"]]
    across = min(3, max(1, len(plain)))
    down = max(1, -(-len(plain) // across))
    figure, grid = require_matplotlib().subplots(
        down, across, figsize=(11 if across > 1 else 6, 2.5 * down), squeeze=False, layout="constrained"
    )
    for axes in grid.ravel()[len(plain) :]:
        axes.set_axis_off()
    for axes, k in zip(grid.ravel(), plain, strict=False):
        _histogram(axes, numbers["methods"][k], spreads[k], COPIES[numbers["kind"]])
    if plain:
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return svg(figure)


def _histogram(axes: Any, method: Numbers, spread: Spread, copies_are: str) -> None:
    bits = method["scale"].startswith("Hamming")  # whole numbers: one bar each
    power = 2 if bits else 1
    copies, different = spread.same[np.isfinite(spread.same)] ** power, spread.different
    top = float(max(_most(different) ** power if len(different) else 1, copies.max(initial=0))) or 1.0
    step = max(1, round(top / BINS))
    bins = np.arange(-0.5, top + step, step) if bits else np.linspace(0, top, BINS + 1)
    shares = (
        _shares(different, np.maximum(bins, 0) ** (1 / power)),
        np.histogram(copies, bins)[0] / max(1, len(copies)),
    )
    sets = zip(shares, COLOURS[1::-1], ("different pictures", copies_are), strict=True)
    for share, colour, label in sets if len(different) or len(copies) else ():
        axes.stairs(share, bins, fill=True, color=colour, alpha=0.4, label=label)
        axes.stairs(share, bins, color=colour, lw=1)
    for level, dash, label in ((DEFAULT, "-", "default threshold"), ("1e-6", ":", "false-match rate 1e-6")):
        limit = method["levels"].get(level, {}).get("limit")
        if limit is not None:
            axes.axvline(limit**power, color=INK, ls=dash, lw=1.2, label=label)
    axes.set(yscale="log", ylim=(1e-6, 1), xlim=(bins[0], bins[-1]), title=method["name"])
    axes.set_xlabel("bits" if bits else "distance", fontsize=8)
    axes.tick_params(labelsize=8)


def _most(scores: Ordered) -> float:
    # the quantile, interpolated
    rank = SHOWN * (len(scores) - 1)
    low, high = scores.at(math.floor(rank)), scores.at(math.ceil(rank))
    return low + (high - low) * (rank % 1)


def _shares(scores: Ordered, bins: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = (*bins[:-1], np.nextafter(bins[-1], np.inf))  # the last bin ends with what lies at its edge
    return np.diff([scores.below(edge) for edge in edges]) / max(1, len(scores))


def group_bars(numbers: Numbers) -> str:
    """Averages over sources: pairs of one picture found, pairs of other views called."""
    names = [method["name"] for method in numbers["methods"]]
    figure, grid = require_matplotlib().subplots(1, 2, figsize=(10, 0.3 * len(names) + 1), sharey=True)
    for axes, kind, title in zip(grid, ("same", "view"), ("found, % (same)", "wrongly called, % (view)"), strict=True):
        shares = [100 * (method[f"{kind}_average"] or 0) for method in numbers["methods"]]
        axes.barh(range(len(names)), shares, color=COLOURS[2] if kind == "same" else COLOURS[10], height=0.65)
        axes.set(title=title, xlim=(0, 100))
        axes.grid(True, axis="x")
    grid[0].set_yticks(range(len(names)), names)
    grid[0].invert_yaxis()
    return svg(figure)
