"""The outcome of `find-duplicates` on a terminal: the groups, and what is to be known of them."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from twinpix.pipeline.decisions import decisions_path, read_decisions
from twinpix.pipeline.index import IndexUsed
from twinpix.pipeline.relation.words import short as short_words
from twinpix.pipeline.report import Group, Report
from twinpix.pipeline.show import damage_line, promise, safe, short, skipped_lines, summary

SHOWN_LINKS = 5


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich itself would exit with 1, which means something else here."""
        raise BrokenPipeError


def print_report(outcome: Report, base: Path) -> None:
    """On stdout; paths below `base` are shortened, and what was skipped is on stderr."""
    console = _Console(soft_wrap=True, highlight=False)
    for number, group in enumerate(outcome.groups, 1):
        console.print(_group_text(number, group, base))
    skipped_lines(outcome.skipped)
    damage_line(decisions_path(), read_decisions().damaged)
    console.print(Text(summary(outcome), style="bold"))
    console.print(promise(outcome), style="dim")
    if not outcome.index.is_exact:
        console.print(_index_line(outcome.index), style="dim")


def _group_text(number: int, group: Group, base: Path) -> Text:
    title = f"Group {number}: {len(group.files)} files, L2 distance up to {group.max_l2_distance:.3f}"
    text = Text(title + "\n", style="bold cyan")
    for path in group.files:
        text.append(f"  {safe(short(path, base))}", style="default not bold")
        relation = group.relation_of(path)
        text.append("\n" if relation is None else f"  ({short_words(relation)})\n", style="default not bold dim")
    for link in group.links[:SHOWN_LINKS]:
        member, other = (safe(short(path, base)) for path in (link.member, link.other))
        text.append(f"  not in the group, but near {member} ({link.l2_distance:.3f}): {other}\n", style="default dim")
    if len(group.links) > SHOWN_LINKS:
        text.append(
            f"  and {len(group.links) - SHOWN_LINKS} more such pairs; --json lists them all\n", style="default dim"
        )
    return text


def _index_line(index: IndexUsed) -> str:
    return (
        f"looked for by {index.name}, in {index.probes} of {index.cells} cells: that finds {index.recall:.2%} of "
        f"what --index exact finds, measured on {index.planted} planted copies and {index.pairs} pairs"
    )
