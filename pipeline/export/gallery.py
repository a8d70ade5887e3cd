"""A report as one page to look at and pass on: small pictures inside, nothing from elsewhere, and no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from html import escape
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.relation.kinds import Relation
from twinpix.pipeline.relation.words import short
from twinpix.pipeline.report import Group, Match, Report, Skipped, thumbnail
from twinpix.pipeline.show import promise, safe, summary
from twinpix.pipeline.threads import cores

MOST_PICTURES, MOST_OF_GROUP, MOST_GROUPS, MOST_SKIPPED = 2000, 24, 5000, 500
PX, QUALITY = 240, 78
LOOKS = {
    "confirmed": "details agree",
    "likely": "what detail is left agrees",
    "animated": "one has several frames or pages",
    "unclear": "too little to compare",
}


def gallery(report: Report, at: Mapping[Path, Path] = MappingProxyType({})) -> str:
    """The page, in ASCII. It reads the files again for at most 2,000 small pictures, and says what it left out.

    Args:
        at: where pictures lie that are no files by the name that the report has for them.
    """
    groups, shown = report.groups[:MOST_GROUPS], shown_files(report)
    with ThreadPoolExecutor(cores()) as pool:
        pictures = dict(zip(shown, pool.map(_picture, [at.get(path, path) for path in shown]), strict=True))
    matches = {frozenset((str(m.query), str(m.reference))): m for m in report.matches}
    template = files("twinpix.pipeline.export").joinpath("gallery.html").read_text(encoding="utf-8")
    count = len(report.groups)
    title = f"{count or 'No'} group{'s' * (count != 1)} of duplicates"
    parts = {
        "TITLE": title,
        "HEAD": title,
        "SUMMARY": escape(summary(report)),
        "PROMISE": escape(promise(report)),
        "GROUPS": "".join(_group(number, group, pictures, matches) for number, group in enumerate(groups, 1)),
        "REST": escape(_rest(report, len(shown))),
        "SKIPPED": _skipped(report.skipped),
    }
    for name, part in parts.items():
        head, _, tail = template.partition(f"%{name}%")
        template = head + part.replace("%", "&#37;") + tail  # what stands in a name is no place to fill
    return template.encode("ascii", "xmlcharrefreplace").decode()


def shown_files(report: Report) -> list[Path]:
    """The files that are shown as pictures."""
    return [path for group in report.groups[:MOST_GROUPS] for path in group.files[:MOST_OF_GROUP]][:MOST_PICTURES]


def _picture(path: Path) -> str | None:
    try:
        return thumbnail(path, PX, QUALITY)
    except ImageError:  # changed since it was embedded
        return None


def _group(number: int, group: Group, pictures: dict[Path, str | None], matches: dict[frozenset[str], Match]) -> str:
    first = group.files[0]
    figures = "".join(
        _figure(path, pictures.get(path, ""), matches.get(frozenset((str(first), str(path)))), group.relation_of(path))
        for path in group.files[:MOST_OF_GROUP]
    )
    more = len(group.files) - MOST_OF_GROUP
    rest = f"<p class=dim>and {more} more files</p>" if more > 0 else ""
    return (
        f"<section><h2>Group {number} <small>{len(group.files)} files, L2 distance up to "
        f"{group.max_l2_distance:.3f}</small></h2><div class=files>{figures}</div>{rest}</section>"
    )


def _figure(path: Path, picture: str | None, match: Match | None, relation: Relation | None) -> str:
    shown = (
        f"<img alt='' loading=lazy src='{picture}'>" if picture else f"<span>{'' if picture == '' else 'gone'}</span>"
    )
    said = "the others are like this one"
    if match is not None:
        look = LOOKS.get(match.second_look or "", "")
        said = f"L2 {match.l2_distance:.3f}" + (f", {look}" if look else "")
    told = "" if relation is None else f"<span>{escape(short(relation))}</span>"
    name, folder = escape(safe(path.name)), escape(safe(path.parent))
    return (
        f"<figure><div class=picture>{shown}</div><figcaption><bdi><b>{name}</b></bdi><bdi class=dim>{folder}</bdi>"
        f"{told}<span class=dim>{said}</span></figcaption></figure>"
    )


def _rest(report: Report, shown: int) -> str:
    left, files_in_all = len(report.groups) - MOST_GROUPS, report.duplicates + len(report.groups)
    said = [f"Of {files_in_all} files, {shown} are shown as pictures."] if shown < files_in_all else []
    said += [f"{left} more groups are left out here: .jsonl, .csv and .parquet have them all."] if left > 0 else []
    return " ".join(said)


def _skipped(skipped: tuple[Skipped, ...]) -> str:
    if not skipped:
        return ""
    counts = ", ".join(f"{n} {reason}" for reason, n in sorted(Counter(s.reason for s in skipped).items()))
    lines = "".join(f"<li>{escape(s.reason)}: {escape(safe(s.path))}</li>" for s in skipped[:MOST_SKIPPED])
    more = f"<li>and {len(skipped) - MOST_SKIPPED} more</li>" if len(skipped) > MOST_SKIPPED else ""
    return f"<details><summary>Skipped: {escape(counts)}</summary><ul>{lines}{more}</ul></details>"
