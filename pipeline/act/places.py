"""Where what goes is kept: the quarantine or the trash on the volume of a file."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpix.encoder.data_folder import data_folder
from twinpix.encoder.find import QUARANTINE
from twinpix.pipeline.act.state import Unusable

NO_PLACE = "no usable {kind} on its volume ({why}); --to FOLDER moves it to a folder of yours on that volume"
OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True)
class Bin:
    """A folder laid out as the FreeDesktop trash specification says: `files/`, and `info/` with where each was.

    Send2Trash knows more systems, but does not say where a file went: nothing could be taken back.

    Attributes:
        folder: absolute.
        base: what paths in `info/` are relative to; None: they are absolute.
    """

    folder: Path
    base: Path | None = None


Get = Callable[[Bin, Path], Bin]  # a bin on the volume with this top; raises OSError if it can't be used


def find_bin(kind: str, beside: Path, roots: Sequence[Path], references: Sequence[Path], get: Get) -> Bin:
    """The quarantine or trash for what lies in the folder `beside`.

    It lies on the same volume: in the user's data folder, or else at the top of the volume. Outside the searched
    folders where there is a choice; inside them (a whole volume, a whole home) searches leave it out by its name.

    Args:
        kind: quarantine or trash.
        get: `made`, or `fits`.

    Raises:
        Unusable: none can be had.
    """
    top, why = mount_point(beside), "none is writable"
    inside = [(any(bin.folder.is_relative_to(root) for root in roots), bin) for bin in _candidates(kind, top)]
    for _, candidate in sorted(inside, key=lambda pair: pair[0]):
        if any(candidate.folder.is_relative_to(reference) for reference in references):
            why = "it would lie in a reference folder"
            continue
        try:
            return get(candidate, top)
        except OSError as error:
            why = f"{candidate.folder}: {error.strerror or error}"
    raise Unusable("no_quarantine", NO_PLACE.format(kind=kind, why=why))


def _candidates(kind: str, top: Path) -> Iterator[Bin]:
    user = os.getuid() if sys.platform != "win32" else 0
    if kind == "quarantine":
        yield Bin(data_folder() / QUARANTINE)
        yield Bin(top / f"{QUARANTINE}-{user}", top)
        return
    yield Bin(Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "Trash")
    shared = top / ".Trash"
    if shared.is_dir() and not shared.is_symlink() and shared.lstat().st_mode & stat.S_ISVTX:
        yield Bin(shared / str(user), top)
    yield Bin(top / f".Trash-{user}", top)


def fits(candidate: Bin, top: Path) -> Bin:
    """A bin that can be used, or made, as far as can be seen without making it."""
    # the folder it is to be made in decides the volume, so that nothing is made on another one in vain
    there = next((folder for folder in (candidate.folder, *candidate.folder.parents) if folder.exists()), top.parent)
    if mount_point(there) != top:
        raise OSError("on another volume")
    if not os.access(there, os.W_OK | os.X_OK):
        raise OSError("not writable")
    for folder in _folders(candidate):
        if os.path.lexists(folder):
            _check_private(folder)
    return candidate


def made(candidate: Bin, top: Path) -> Bin:
    """The same, made if need be."""
    fits(candidate, top)
    candidate.folder.parent.mkdir(parents=True, exist_ok=True)
    for folder in _folders(candidate):
        folder.mkdir(mode=0o700, exist_ok=True)
        _check_private(folder)
    return Bin(Path(os.path.realpath(candidate.folder)), candidate.base)


def _folders(candidate: Bin) -> tuple[Path, ...]:
    return candidate.folder, candidate.folder / "files", candidate.folder / "info"


def _check_private(folder: Path) -> None:
    now = folder.lstat()
    if not stat.S_ISDIR(now.st_mode):
        raise OSError("not a folder")
    if now.st_uid != os.getuid() or now.st_mode & 0o022:
        raise OSError("others can write there")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError("not writable")


def mount_point(path: Path) -> Path:
    """The top of the volume that holds a folder; files can be renamed below it."""
    known = _mount_points()
    real = Path(os.path.realpath(path))
    return next(top for top in (real, *real.parents) if str(top) in known or os.path.ismount(top) or top == top.parent)


def _mount_points() -> set[str]:
    # ismount alone misses folders of one volume that are mounted at another place of it
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return set()
    return {os.fsdecode(OCTAL.sub(lambda code: bytes([int(code[1], 8)]), line.split()[4])) for line in lines}
