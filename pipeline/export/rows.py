"""A report as rows, one for each file of a group: for spreadsheets, programs and data frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from twinpix.pipeline.relation.words import short
from twinpix.pipeline.show import safe

if TYPE_CHECKING:
    from twinpix.pipeline.report import Report


@dataclass(frozen=True)
class Row:
    """One file of a group.

    Attributes:
        group: its number, from 1.
        files: how many there are in the group.
        representative: whether every other file of the group is a duplicate of this one.
        path: absolute; what is no text, or acts on a screen, is escaped.
        uri: `file:` with the exact bytes of the path, percent-encoded.
        l2_distance: L2, 0..2, to the representative.
        second_look: what it made of that pair; empty where none was needed or wanted.
        relation: what one of the two is to the other (`re-encoded`, `edited: mirrored`, …); empty where nobody looked.
    """

    group: int
    files: int
    representative: bool
    path: str
    uri: str
    l2_distance: float
    second_look: str
    relation: str


COLUMNS = tuple(field.name for field in fields(Row))


def rows(report: Report) -> Iterator[Row]:
    """Group by group, the representative first."""
    matches = {frozenset((str(m.query), str(m.reference))): m for m in report.matches}
    for number, group in enumerate(report.groups, 1):
        first = group.files[0]
        yield Row(number, len(group.files), True, safe(first), first.as_uri(), 0.0, "", "")
        for path in group.files[1:]:
            match = matches[frozenset((str(first), str(path)))]
            look, relation = match.second_look or "", group.relation_of(path)
            words = "" if relation is None else short(relation)
            yield Row(number, len(group.files), False, safe(path), path.as_uri(), match.l2_distance, look, words)


def data_frame(report: Report) -> Any:
    """A pandas DataFrame of the rows.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    from twinpix.encoder.errors import MissingPackageError

    try:
        import pandas
    except ImportError:
        raise MissingPackageError("to_pandas needs pandas: pip install 'twinpix[pandas]'") from None
    return pandas.DataFrame([asdict(row) for row in rows(report)], columns=list(COLUMNS))


def by_file(report: Report) -> dict[str, list[str]]:
    """imagededup's shape: every image -> its duplicates, by path; closest first."""
    found: dict[str, list[str]] = {str(path): [] for path in report.paths}
    for match in report.matches:
        found.setdefault(str(match.query), []).append(str(match.reference))
        found.setdefault(str(match.reference), []).append(str(match.query))
    return found
