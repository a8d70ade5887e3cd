"""The page of `twinpix scale`: how time, memory and recall grow."""

from __future__ import annotations

from html import escape
from typing import Any

from twinpix.pipeline.bench.page import STYLE
from twinpix.pipeline.bench.plots import COLOURS, INK, require_matplotlib, svg
from twinpix.pipeline.bench.scale import line

LIMIT_MB = 4000


def scale_page(numbers: dict[str, Any]) -> str:
    """HTML, nothing from elsewhere.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    lines = "".join(f"<p>{escape(line(row))}</p>" for row in numbers["sizes"])
    shares = numbers["pairs_within_0.8"]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>twinpix scale</title><style>{STYLE}</style><h1>All pairs within {numbers['within']} (L2)</h1>"
        f"<p class=dim>vectors drawn in the likeness of {numbers['pictures']:,} embeddings of "
        f"{escape(numbers['folder'].encode('utf-8', 'backslashreplace').decode())}; pairs within 0.8: "
        f"{shares['pictures']:.1e} of those, {shares['drawn']:.1e} of the drawn ones</p>"
        f"<div class=panel>{_plot(numbers['sizes'])}</div>{lines}</html>\n"
    )


def _plot(rows: list[dict[str, Any]]) -> str:
    figure, (time, memory) = require_matplotlib().subplots(1, 2, figsize=(10, 4))
    counts = [row["vectors"] for row in rows]
    time.loglog(counts, [row["seconds"] for row in rows], "o-", color=COLOURS[0], label="pairs, seconds")
    time.loglog(counts, [row["cpu_seconds"] for row in rows], "s--", color=COLOURS[1], label="seconds of CPU")
    time.loglog(counts, [row["read_seconds"] for row in rows], "^:", color=COLOURS[2], label="reading the library")
    bare = [(row["vectors"], row["bare_seconds"]) for row in rows if row["bare_seconds"]]
    time.loglog(*zip(*bare, strict=True), "D", color=COLOURS[3], label="bare FAISS range search") if bare else None
    slowest = rows[0]["cpu_seconds"]
    time.loglog(counts, [slowest * (c / counts[0]) ** 2 for c in counts], color=INK, alpha=0.25, label="n² of the CPU")
    memory.semilogx(counts, [row["peak_mb"] for row in rows], "o-", color=COLOURS[0])
    memory.axhline(LIMIT_MB, color=INK, alpha=0.25)
    for axes, title in ((time, "Time, s"), (memory, f"Peak memory, MB (line: {LIMIT_MB:,})")):
        axes.set(title=title, xlabel="vectors")
        axes.grid(True)
    memory.set_ylim(0)
    time.legend(fontsize=8)
    return svg(figure)
