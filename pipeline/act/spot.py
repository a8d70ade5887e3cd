"""The place that a file is put: a name in the quarantine, in the trash, or in a folder of the user's."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

from twinpix.encoder.errors import InputError
from twinpix.pipeline.act.disk import folder
from twinpix.pipeline.act.places import Bin, Get, find_bin, fits, made
from twinpix.pipeline.act.plan import Plan
from twinpix.pipeline.act.state import Unusable, unusable

NAME_BYTES = 255 - len(".trashinfo")
BINS = {"quarantine": "quarantine", "trash": "trash", "hardlink": "quarantine", "reflink": "quarantine"}
ACTIONS = (*BINS, "folder")


@dataclass(frozen=True)
class Spot:
    """A place for one file.

    Attributes:
        folder: open descriptor.
        name: in it, free.
        path: absolute.
        info: what to write beside it, and its text; None in a folder of the user's.
        private: whether nobody else writes there.
    """

    folder: int
    name: str
    path: Path
    info: tuple[Path, str] | None
    private: bool

    def write_info(self) -> None:
        """Say where the file was; the trash of a desktop shows it."""
        if self.info is not None:
            file = os.open(self.info[0], os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                os.write(file, self.info[1].encode("ascii"))
            finally:
                os.close(file)

    def remove_info(self) -> None:
        """The file is not there after all."""
        if self.info is not None:
            with suppress(OSError):
                self.info[0].unlink()


class Spots:
    """Finds places for the files of one run."""

    def __init__(self, plan: Plan, action: str, to: Path | None) -> None:
        self._plan, self._action, self._to = plan, action, to
        self._bins: dict[Path, Bin] = {}
        self._number = 0

    def spot_for(self, stack: ExitStack, path: Path, run: str) -> Spot:
        """A free place on the volume of the file, its folder open until the stack ends.

        Raises:
            Unusable: there is none.
        """
        if self._to is not None:
            return self._in_folder(stack, path, self._to)
        bin = self._bin(path.parent)
        self._number += 1
        start = f"{run}-{self._number:05d} "
        name = start + _shortened(path.name, NAME_BYTES - len(start))
        info = (bin.folder / "info" / f"{name}.trashinfo", _info_text(path, bin))
        opened = stack.enter_context(folder(bin.folder / "files"))
        return Spot(opened, name, bin.folder / "files" / name, info, private=True)

    def check(self, path: Path) -> None:
        """Raises Unusable if there seems to be none, or the file can't leave its folder; nothing is made."""
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise Unusable("permission_denied", f"nothing can be moved out of {path.parent}: no permission")
        if self._to is None:
            self._bin(path.parent, fits)
        elif self._to.stat().st_dev != path.lstat().st_dev:
            raise unusable(OSError(errno.EXDEV, ""))

    def _bin(self, beside: Path, get: Get = made) -> Bin:
        if beside not in self._bins:
            self._bins[beside] = find_bin(BINS[self._action], beside, self._plan.roots, self._plan.references, get)
        return self._bins[beside]

    def _in_folder(self, stack: ExitStack, path: Path, to: Path) -> Spot:
        # as it lay in the searched folder: nothing collides, and partners stay together
        root = next((root for root in self._plan.roots if path.is_relative_to(root)), Path(path.anchor))
        target = to / _name_of(root, self._plan.roots) / path.relative_to(root)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(error) from None
        opened = stack.enter_context(folder(target.parent))
        return Spot(opened, target.name, target, None, private=False)


def check_action(plan: Plan, action: str, to: Path | None) -> Path | None:
    """The folder to move to, absolute, or None.

    Raises:
        InputError: an unknown action, or a folder that can't be used.
    """
    if action not in ACTIONS:
        raise InputError(f"no action {action!r}; there are {', '.join(ACTIONS)}")
    if (action == "folder") != (to is not None):
        raise InputError("the action folder, and no other, needs a folder to move to")
    if to is None:
        return None
    target = Path(os.path.realpath(to))
    if not os.path.isdir(target):
        raise InputError(f"{to}: no such folder")
    for root in (*plan.roots, *plan.references):
        if target.is_relative_to(root):
            raise InputError(f"{to}: lies in {root}, which was searched: name a folder outside")
    for place in (target / _name_of(root, plan.roots) for root in plan.roots):
        for root in (*plan.roots, *plan.references):
            if place.is_relative_to(root) or root.is_relative_to(place):
                raise InputError(f"{to}: files would go to {place}, where {root} was searched: name another folder")
    return target


def _name_of(root: Path, roots: Sequence[Path]) -> Path:
    # its name; where several have that one, its whole path
    alone = [other.name for other in roots].count(root.name) <= 1
    return Path(root.name) if alone else root.relative_to(root.anchor)


def _shortened(name: str, most: int) -> str:
    # by bytes, at a whole character, and with its ending
    stem, ending = os.path.splitext(name)  # noqa: PTH122
    tail = os.fsencode(ending)[:32]
    return b"".join((os.fsencode(stem)[: most - len(tail)], tail)).decode("utf-8", "ignore")


def _info_text(path: Path, bin: Bin) -> str:
    where = path if bin.base is None else path.relative_to(bin.base)
    quoted = quote_from_bytes(os.fsencode(where), safe="/")
    return f"[Trash Info]\nPath={quoted}\nDeletionDate={time.strftime('%Y-%m-%dT%H:%M:%S')}\n"
