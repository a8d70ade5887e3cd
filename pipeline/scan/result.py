"""What a scan found, as tables: matches, groups, skipped, and all that is needed to look at it again.

`meta.parquet` (JSON), `matches.parquet`, `groups.parquet` (the rows of a report), `skipped.parquet`, `images.parquet`
(names, and where each lies), `candidates.parquet` (rows of those, L2, and what a second look said).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from twinpix.encoder.calibration import read_calibration
from twinpix.encoder.errors import InputError
from twinpix.encoder.find import LENT
from twinpix.pipeline.candidates import Candidates
from twinpix.pipeline.decisions import Content, read_decisions
from twinpix.pipeline.export.files import write_report
from twinpix.pipeline.export.gallery import gallery, shown_files
from twinpix.pipeline.export.rows import COLUMNS, Row, rows
from twinpix.pipeline.index import IndexUsed
from twinpix.pipeline.library.lock import writer_lock
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.report import Report, Skipped
from twinpix.pipeline.save import import_pyarrow
from twinpix.pipeline.scan import store
from twinpix.pipeline.scan.embedded import Embedded
from twinpix.pipeline.scan.lent import lent, put
from twinpix.pipeline.scan.names import name_of, path_of
from twinpix.pipeline.scan.places import at_hand
from twinpix.pipeline.scan.scanned import Scanned
from twinpix.pipeline.scan.shard import Kind, Place
from twinpix.pipeline.second_look.remembered import CODES, OUTCOMES
from twinpix.pipeline.show import report_dict, safe
from twinpix.pipeline.target import PAGES, written_whole

SCHEMA = 1
LONGEST, DEEPEST = 120, 8  # bytes of a name, and names of a path, of a picture that is shown from an archive
LISTS = ("matches", "groups", "skipped")  # of a report in JSON: tables of their own here


@dataclass(frozen=True)
class Result:
    """What was written, read again.

    Attributes:
        places: where the pictures lie that are no files by their names.
        roots: folders of this machine that were searched.
        began_ns: when the scan began, ns since 1970.
    """

    candidates: Candidates
    places: Mapping[Path, Place]
    roots: tuple[Path, ...]
    began_ns: int


def write_result(found: Scanned, folder: str) -> None:
    """Write the tables; the last of them, `meta`, says that all are there.

    Raises:
        InputError, OSError: they can't be written.
    """
    report, candidates = found.report, found.candidates
    store.remove(store.inside(folder, "meta.parquet"))
    for name, columns in (
        ("images", _images(found.embedded)),
        ("candidates", _candidates(candidates)),
        ("matches", _matches(report)),
        ("groups", _groups(report)),
        ("skipped", _skipped(report.skipped)),
        ("meta", {"json": [json.dumps(_meta(found))]}),
    ):
        store.write(store.inside(folder, f"{name}.parquet"), columns, {"table": name})


def _meta(found: Scanned) -> dict[str, Any]:
    candidates = found.candidates
    head = {key: value for key, value in report_dict(found.report).items() if key not in LISTS}
    return {
        **head,
        "schema": SCHEMA,
        "twinpix": version("twinpix"),
        "totals": asdict(found.totals),
        "limit": asdict(candidates.limit),
        "curve": None if candidates.curve is None else asdict(candidates.curve),
        "roots": [str(root) for root in found.roots],
        "began_ns": found.began_ns,
    }


def _text(names: Sequence[bytes]) -> list[str]:
    return [name.decode("utf-8", "backslashreplace") for name in names]


def _images(embedded: Embedded) -> dict[str, Any]:
    arrow, _ = import_pyarrow()
    places = [embedded.place(row) for row in range(len(embedded))]
    names = [name_of(path) for path in embedded.paths]
    contents = [embedded.contents.get(path) for path in embedded.paths]
    return {
        "path": arrow.array(_text(names), arrow.string()),
        "name": arrow.array(names, arrow.binary()),
        "kind": arrow.array([str(place.kind) for place in places], arrow.string()),
        "place": arrow.array([place.place for place in places], arrow.binary()),
        "at": embedded.at,
        "size": embedded.size,
        "column": arrow.array([place.column for place in places], arrow.string()),
        "content": arrow.array([one and one.digest for one in contents], arrow.string()),
    }


def _candidates(candidates: Candidates) -> dict[str, Any]:
    i, j, distance = candidates.pairs
    codes = np.array([CODES[outcome] for outcome in candidates.outcomes.tolist()], np.uint8)
    return {"i": i.astype(np.int64), "j": j.astype(np.int64), "l2_distance": distance, "outcome": codes}


def _matches(report: Report) -> dict[str, Any]:
    arrow, _ = import_pyarrow()
    ends = {key: [name_of(str(getattr(m, key))) for m in report.matches] for key in ("query", "reference")}
    return {
        **{key: arrow.array(_text(names), arrow.string()) for key, names in ends.items()},
        **{f"{key}_bytes": arrow.array(names, arrow.binary()) for key, names in ends.items()},
        "l2_distance": arrow.array([m.l2_distance for m in report.matches], arrow.float64()),
        "second_look": arrow.array([m.second_look and str(m.second_look) for m in report.matches], arrow.string()),
    }


def _groups(report: Report) -> dict[str, Any]:
    arrow, _ = import_pyarrow()
    kinds = {"int": arrow.int64(), "bool": arrow.bool_(), "str": arrow.string(), "float": arrow.float64()}
    table, names = list(rows(report)), [name_of(path) for group in report.groups for path in group.files]
    kind_of = {field.name: str(field.type) for field in fields(Row)}
    columns = {name: arrow.array([getattr(row, name) for row in table], kinds[kind_of[name]]) for name in COLUMNS}
    return {**columns, "path_bytes": arrow.array(names, arrow.binary())}


def _skipped(skipped: Sequence[Skipped]) -> dict[str, Any]:
    arrow, _ = import_pyarrow()
    names = [name_of(one.path) for one in skipped]
    return {
        "path": arrow.array(_text(names), arrow.string()),
        "path_bytes": arrow.array(names, arrow.binary()),
        "reason": arrow.array([one.reason for one in skipped], arrow.string()),
        "message": arrow.array([safe(one.message) for one in skipped], arrow.string()),
    }


def is_result(folder: str | os.PathLike[str]) -> bool:
    """Whether `write_result` has written there."""
    meta = Path(folder, "meta.parquet")
    try:
        return meta.is_file() and store.facts_of(str(meta)).get("table") == "meta"
    except InputError:
        return False


def read_result(folder: str | os.PathLike[str]) -> Result:
    """What `write_result` wrote.

    Raises:
        InputError: it is damaged, or a newer twinpix's.
    """

    def table(name: str, *columns: str) -> Any:
        return store.read(str(Path(folder, f"{name}.parquet")), columns or None)

    try:
        meta = json.loads(table("meta").column("json")[0].as_py())
        if meta["schema"] != SCHEMA:
            raise InputError(f"{os.fspath(folder)}: a newer twinpix's: upgrade twinpix")
        images = list(store.rows(table("images", "name", "kind", "place", "at", "size", "column", "content")))
        paths = tuple(path_of(name) for name, *_ in images)
        pairs, names = table("candidates"), table("skipped", "path_bytes", "reason", "message")
        contents = {
            path: Content(content, size) for path, (*_, size, _, content) in zip(paths, images, strict=True) if content
        }
        candidates = Candidates(
            paths=paths,
            pairs=(*(pairs.column(k).to_numpy().astype(np.intp) for k in ("i", "j")),
                   pairs.column("l2_distance").to_numpy().astype(np.float32)),
            outcomes=np.array([*(OUTCOMES[code] for code in pairs.column("outcome").to_pylist()), None], object)[:-1],
            limit=Limits(**meta["limit"]),
            skipped=tuple(Skipped(path_of(name), reason, said) for name, reason, said in store.rows(names)),
            fingerprint=meta["fingerprint"],
            curve=None if meta["curve"] is None else read_calibration(meta["curve"]),
            clamped=meta["threshold_clamped"],
            calibrated_on=meta["calibrated_on"],
            alikeness=meta["alikeness"],
            index=IndexUsed(**meta["index"]),
            decisions=replace(read_decisions(), contents=contents),
            unseen=meta["unseen"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{os.fspath(folder)}: damaged ({error}): scan again") from None
    places = {
        path: Place(Kind(kind), place, at, size, column)
        for path, (_, kind, place, at, size, column, _) in zip(paths, images, strict=True)
        if kind != Kind.FILES
    }
    return Result(candidates, places, tuple(Path(root) for root in meta["roots"]), meta["began_ns"])


def save_report(found: Scanned, target: Path) -> None:
    """As `Report.save`, with the pictures of archives, too.

    Raises:
        InputError, MissingPackageError: as there.
    """
    if target.suffix.lower() not in PAGES:
        write_report(found.report, target)
        return
    row_of = {path: row for row, path in enumerate(found.embedded.paths)}
    shown = shown_files(found.report)
    with at_hand([found.embedded.place(row_of[path]) for path in shown]) as there, written_whole(target) as temporary:
        temporary.write_text(gallery(found.report, dict(zip(shown, there, strict=True))), encoding="ascii")


@contextmanager
def as_files(result: Result, folder: Path) -> Iterator[tuple[Candidates, int]]:
    """The candidates with their pictures as files: those of archives lie in `folder` for the time being.

    Only what may be in a group: pairs that were refuted are not.

    Args:
        folder: absolute, not there yet. At the end it is gone, but for what somebody else has saved there.

    Yields:
        The candidates, and how many pictures lie there.

    Raises:
        LibraryBusyError: pictures of another review lie there.
        InputError: something else lies there.
    """
    wanted = _shown(result)
    if not wanted:
        yield result.candidates, 0
        return
    with _alone(folder):
        named = dict[Path, Path]()
        for path in wanted:
            named[path] = _file_in(folder, path, {*named.values(), folder / LENT})
        with at_hand([result.places[path] for path in wanted]) as there:
            put(folder, dict(zip(there, named.values(), strict=True)))
        paths = tuple(named.get(path, path) for path in result.candidates.paths)
        yield replace(result.candidates, paths=paths), len(named)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # two reviews would delete one another's pictures
    busy = f"{folder.parent}: is being reviewed already: end that review first"
    with writer_lock(folder.parent, busy), lent(folder):
        yield


def _shown(result: Result) -> list[Path]:
    candidates = result.candidates
    refuted = {CODES[outcome] for outcome in OUTCOMES if outcome == "refuted"}
    codes = np.array([CODES[outcome] for outcome in candidates.outcomes.tolist()], np.uint8)
    kept = ~np.isin(codes, list(refuted))
    rows_in = np.unique(np.concatenate([end[kept] for end in candidates.pairs[:2]]))
    shown = dict.fromkeys(candidates.paths[row] for row in rows_in.tolist())
    return [path for path in shown if path in result.places]


def _file_in(folder: Path, path: Path, taken: set[Path]) -> Path:
    # shard.tar!a/b.jpg -> folder/shard.tar/a/b.jpg; nothing leads out of the folder. A tar may hold what no disk does:
    # a file `a` beside a file `a/b.jpg`, names that are too long
    shard, _, member = str(path).rpartition("!")
    first, *parts = [part for part in (Path(shard).name, *Path(member).parts) if part not in ("", "..", "/", os.sep)]
    parts = [os.fsdecode(os.fsencode(part.replace("\0", ""))[-LONGEST:]) for part in parts[-DEEPEST:]]
    above = {parent for file in taken for parent in file.parents}
    made, number = folder.joinpath(first, *parts), 2
    while made in taken or made in above or not taken.isdisjoint(made.parents):
        made, number = folder.joinpath(f"{number}-{first}", *parts), number + 1
    return made
