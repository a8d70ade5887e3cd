"""Plans as JSON lines that a person can read and edit: a line about the plan, one a group, one a file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.plan import Partner, Plan, PlannedFile, PlannedGroup
from twinpix.pipeline.target import check_folder, written_whole

SCHEMA = 1
HELP = 'to change what happens, change "do" of a file: keep or remove. A file of each group always stays.'
DOES = {"keep": False, "remove": True}
HASH = re.compile(r"(?:[0-9a-f]{32})?")
INT64 = 1 << 63
START = b'{"twinpix_plan"'  # of every plan


def write_plan(plan: Plan, target: str | os.PathLike[str]) -> None:
    """Write a plan; a kill leaves no half of it.

    Raises:
        InputError: the file can't be written, or another one that is no plan is there.
    """
    path = Path(target)
    check_target(path)
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(_line(row) for row in _rows(plan))


def check_target(target: Path) -> None:
    """Raises InputError early, before hours of searching, if a plan can't be written there.

    A file that is there is replaced only if it is a plan, or empty: `-o` in front of a picture's name is a slip.
    """
    check_folder(target)
    if os.path.exists(target) and not _is_plan(target):
        raise InputError(f"{target}: is there already and is no plan, so it is not overwritten: name another file")


def _is_plan(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return path.is_file() and file.read(len(START)) in (b"", START)
    except OSError:
        return False


def _rows(plan: Plan) -> Iterator[dict[str, Any]]:
    yield {
        "twinpix_plan": SCHEMA,
        "help": HELP,
        "made": plan.made,
        "keep": ",".join(plan.keep),
        "roots": [str(root) for root in plan.roots],
        "references": [str(root) for root in plan.references],
    }
    for number, group in enumerate(plan.groups, 1):
        yield {
            "group": number,
            "sure": group.sure,
            "because": group.because,
            "max_l2_distance": round(group.max_l2_distance, 6),
        }
        yield from (_file_row(number, file) for file in group.files)


def _file_row(number: int, file: PlannedFile) -> dict[str, Any]:
    row = {
        "group": number,
        "do": "remove" if file.goes else "keep",
        "path": str(file.path),
        "why": file.why,
        **({"instead": str(file.instead)} if file.instead else {}),
        **_state(file),
    }
    return row | ({"partners": [{"path": str(p.path), **_state(p)} for p in file.partners]} if file.partners else {})


def _state(file: PlannedFile | Partner) -> dict[str, Any]:
    return {"size": file.size, "mtime_ns": file.mtime_ns, "content": file.content}


def _line(row: dict[str, Any]) -> str:
    # names stay readable; what would act on a terminal, or is no valid text, becomes \uXXXX
    text = json.dumps(row, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text) + "\n"


def read_plan(source: str | os.PathLike[str]) -> Plan:
    """Read a plan that `write_plan` wrote, perhaps edited since.

    Raises:
        InputError: it is not there, or a line can't be understood; the message names the line.
    """
    path = Path(source)
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a plan of twinpix (no UTF-8 text)") from None
    rows = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    reader = _Reader(path)
    for number, line in rows:
        reader.read(number, line)
    return reader.plan()


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # of a key that is there twice nobody knows which was meant: keep, or remove
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return row


class _Reader:
    """Collects the lines of one plan file."""

    def __init__(self, path: Path) -> None:
        self._path, self._line = path, 0
        self._header: dict[str, Any] | None = None
        self._groups: list[tuple[int, dict[str, Any], list[PlannedFile]]] = []

    def read(self, number: int, line: str) -> None:
        self._line = number
        try:
            row = json.loads(line, object_pairs_hook=_each_once)
            if not isinstance(row, dict):
                raise ValueError("not a JSON object")
            self._take(row)
        except (json.JSONDecodeError, RecursionError) as error:
            where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
            raise InputError(
                f"{self._path}, line {number}: no valid JSON{where}: mend the line, or plan again"
            ) from None
        except ValueError as error:
            raise InputError(f"{self._path}, line {number}: {error}") from None
        except KeyError as error:
            raise InputError(f"{self._path}, line {number}: {error} is missing") from None

    def _take(self, row: dict[str, Any]) -> None:
        if self._header is None:
            if row.get("twinpix_plan") != SCHEMA:
                raise ValueError(f"not a plan of twinpix (schema {SCHEMA}): make one with `twinpix plan`")
            self._header = row
            self._made, self._keep = _typed(row, "made", str), _typed(row, "keep", str)
            self._roots, self._references = (_paths(row, key) for key in ("roots", "references"))
        elif "path" not in row:
            self._start_group(row)
        else:
            self._add_file(row)

    def _start_group(self, row: dict[str, Any]) -> None:
        number = _typed(row, "group", int)
        if any(number == known for known, _, _ in self._groups):
            raise ValueError(f"group {number} is there twice")
        _typed(row, "sure", bool), _typed(row, "because", str)
        if not 0 <= float(_typed(row, "max_l2_distance", (int, float))) <= 2:
            raise ValueError("max_l2_distance is an L2 distance, 0 to 2")
        self._groups.append((number, row, []))

    def _add_file(self, row: dict[str, Any]) -> None:
        # a line that was moved, or whose group line was deleted, must not join another picture's group
        if not self._groups or _typed(row, "group", int) != self._groups[-1][0]:
            raise ValueError(f"a file of group {row.get('group')!r}, but that group's line is not above it")
        if (do := _typed({"do": "", **row}, "do", str)) not in DOES:
            raise ValueError(f'"do" is keep or remove, not {do!r}')
        partners = tuple(Partner(**_read_state(one)) for one in _typed({"partners": [], **row}, "partners", list))
        instead = _path(row["instead"]) if DOES[do] and "instead" in row else None
        why = _typed(row, "why", str)
        self._groups[-1][2].append(
            PlannedFile(goes=DOES[do], why=why, partners=partners, instead=instead, **_read_state(row))
        )

    def plan(self) -> Plan:
        if self._header is None:
            raise InputError(f"{self._path}: an empty file is no plan: make one with `twinpix plan`")
        groups = tuple(
            PlannedGroup(tuple(files), row["sure"], row["because"], float(row["max_l2_distance"]))
            for _, row, files in self._groups
        )
        keep = tuple(rule for rule in self._keep.split(",") if rule)
        return Plan(groups, self._roots, self._references, keep, self._made)


def _read_state(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError("a partner is a JSON object")
    content = _typed(row, "content", str)
    if not HASH.fullmatch(content):
        raise ValueError('"content" is a hash of 32 hex digits')
    size, mtime = _typed(row, "size", int), _typed(row, "mtime_ns", int)
    if not (0 <= size < INT64 and -INT64 <= mtime < INT64):
        raise ValueError('"size" and "mtime_ns" are those of a file')
    return {"path": _path(_typed(row, "path", str)), "size": size, "mtime_ns": mtime, "content": content}


def _paths(row: dict[str, Any], key: str) -> tuple[Path, ...]:
    return tuple(_path(one) for one in _typed(row, key, list))


def _path(text: Any) -> Path:
    # normpath leaves "//" in front as it is, and it would be another name of the same file
    whole = isinstance(text, str) and "\0" not in text and Path(text).is_absolute() and not text.startswith("//")
    if not whole or os.path.normpath(text) != text:
        raise ValueError(f"{text!r} is no absolute path without . and ..")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is no name that a file can have") from None
    return Path(text)


def _typed(row: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    value = row[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f'"{key}" has a value that it can\'t have: {value!r}')
    return value
