"""A folder in which files lie for the time being: only what was put there, as its `LENT` says, is deleted again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import move

from twinpix.encoder.errors import InputError
from twinpix.encoder.find import LENT
from twinpix.pipeline.target import write_text

Stamp = list[int]  # size in bytes, and when it was changed, ns since 1970


@contextmanager
def lent(folder: Path) -> Iterator[Path]:
    """A new folder to `put` files into. They are gone at the end; what else was saved there, or changed, stays.

    What a killed process has left of such a folder goes first.

    Raises:
        InputError: something else is there.
    """
    _clear(folder)
    try:
        folder.mkdir()
    except FileExistsError:
        raise InputError(f"{folder}: holds what no review has put there: move it away") from None
    except OSError as error:
        raise InputError(f"{folder}: can't be made ({error.strerror or error})") from None
    try:
        yield folder
    finally:
        _clear(folder)


def put(folder: Path, files: Mapping[Path, Path]) -> None:
    """Move files, each to its target in the folder; one that is not there is left out.

    Raises:
        InputError, OSError: they can't be written.
    """
    names = {target: str(target.relative_to(folder)) for target in files.values()}
    write_text(folder / LENT, json.dumps(dict.fromkeys(names.values())))  # before: a kill leaves none that is unknown
    for file, target in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            move(file, target)
    write_text(folder / LENT, json.dumps({name: stamp for path, name in names.items() if (stamp := _stamp(path))}))


def _clear(folder: Path) -> None:
    made = {} if folder.is_symlink() else _read_mark(folder)
    for place, _, names in os.walk(folder, topdown=False) if made else ():
        for path in (Path(place, name) for name in names):
            name = str(path.relative_to(folder))
            if name in made and made[name] in (None, _stamp(path)):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            Path(place).rmdir()
    if made:
        (folder / LENT).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _read_mark(folder: Path) -> dict[str, Stamp | None]:
    try:
        made = json.loads((folder / LENT).read_bytes())
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def _stamp(path: Path) -> Stamp | None:
    try:
        now = path.lstat()
    except OSError:
        return None
    return [now.st_size, now.st_mtime_ns]
