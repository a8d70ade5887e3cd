"""A report in a file: .html to look at, .csv for spreadsheets, .jsonl and .parquet for programs."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from urllib.parse import unquote_to_bytes

from twinpix.pipeline.export.gallery import gallery
from twinpix.pipeline.export.rows import COLUMNS, Row, rows
from twinpix.pipeline.report import Report
from twinpix.pipeline.save import import_pyarrow
from twinpix.pipeline.show import skipped_rows
from twinpix.pipeline.target import check_writable, written_whole

# spreadsheets take a cell that begins so for a formula (OWASP, CSV injection); wide forms count in some of them
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def check_report_target(target: Path) -> None:
    """Raises InputError or MissingPackageError early, before hours of encoding."""
    check_writable(target, tuple(WRITERS))
    if target.suffix.lower() == ".parquet":
        import_pyarrow()


def write_report(report: Report, target: str | os.PathLike[str]) -> None:
    """Write a report; the format follows from the name. A kill leaves no half file.

    Args:
        target: `.html`, a page with small pictures inside; `.csv`, `.jsonl`, `.parquet`: a row for each file of a
            group (`Row`); `.jsonl` has a row for each skipped file, too.

    Raises:
        InputError: an unknown ending, or the file can't be written.
        MissingPackageError: Parquet needs the extra `parquet`.
    """
    path = Path(target)
    check_report_target(path)
    with written_whole(path) as temporary:
        WRITERS[path.suffix.lower()](report, temporary)


def _write_html(report: Report, path: Path) -> None:
    path.write_text(gallery(report), encoding="ascii")


def _write_csv(report: Report, path: Path) -> None:
    # with a byte order mark, by which spreadsheets know UTF-8
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows([harmless(value) for value in asdict(row).values()] for row in rows(report))


def harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: such texts get an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(FORMULA) else value


def _write_jsonl(report: Report, path: Path) -> None:
    with open(path, "w", encoding="ascii") as lines:
        for row in rows(report):
            lines.write(json.dumps(asdict(row)) + "\n")
        for skipped in skipped_rows(report.skipped):
            lines.write(json.dumps({"skipped": skipped}) + "\n")


def _write_parquet(report: Report, path: Path) -> None:
    arrow, parquet = import_pyarrow()
    kinds = {"int": arrow.int64(), "bool": arrow.bool_(), "str": arrow.string(), "float": arrow.float64()}
    named = [(name, kinds[kind]) for name, kind in Row.__annotations__.items()]
    schema = arrow.schema([*named, ("path_bytes", arrow.binary())])
    table = [{**asdict(row), "path_bytes": unquote_to_bytes(row.uri.removeprefix("file://"))} for row in rows(report)]
    with open(path, "wb") as file:  # Arrow takes no name that is no text
        parquet.write_table(arrow.Table.from_pylist(table, schema), file)


WRITERS: dict[str, Callable[[Report, Path], None]] = {
    ".html": _write_html, ".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet,
}  # fmt: skip
