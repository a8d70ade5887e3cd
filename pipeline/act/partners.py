"""Files that belong together: RAW + JPEG of one shot, the two parts of a Live Photo, a picture and its sidecar."""

from __future__ import annotations

import os
import time
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

MAKERS = (
    "3fr arw bay cap cr2 cr3 dcr dng eip erf fff gpr iiq kdc mef mos mrw nef nrw orf pef ptx raf raw rw2 rwl rwz",
    "sr2 srf srw x3f",
)
RAW = frozenset(f".{ending}" for makers in MAKERS for ending in makers.split())
LIVE = frozenset((".mov", ".mp4"))
SIDECARS = frozenset((".xmp", ".aae"))
CAMERA_PICTURES = frozenset((".jpg", ".jpeg", ".heic", ".heif", ".hif", ".avif", ".png", ".tif", ".tiff", ".webp"))

FOLDERS = 16  # whose lists are kept
SETTLED = 5 * 10**9  # ns; a folder that changed lately may do so again without a newer time


def is_raw(path: Path) -> bool:
    """By its name; cameras name them so, and several formats look like TIFF inside."""
    return path.suffix.lower() in RAW


def shot(path: Path) -> tuple[Path, str]:
    """What files of one shot have in common: the folder, and the name without its ending."""
    return path.parent, _folded(path.stem)


def partners_of(path: Path) -> tuple[Path, ...]:
    """The files that go where this picture goes, sorted: `a.jpg` has `a.nef`, `a.mov`, `a.xmp`, `a.jpg.xmp`.

    Symbolic links are none. A RAW has the pictures of its shot for partners, too.
    """
    wanted = RAW | LIVE | SIDECARS | (CAMERA_PICTURES if is_raw(path) else frozenset())
    return tuple(
        other
        for other in _beside(path)
        if (shot(other) == shot(path) and other.suffix.lower() in wanted) or _is_own_sidecar(other, path)
    )


def owners_of(partner: Path) -> tuple[Path, ...]:
    """The pictures that a partner belongs to, and that it stays with: every one of its shot, sorted."""
    pictures = CAMERA_PICTURES | RAW
    return tuple(
        other
        for other in _beside(partner)
        if (shot(other) == shot(partner) and other.suffix.lower() in pictures) or _is_own_sidecar(partner, other)
    )


def _folded(name: str) -> str:
    # Apple's programs write an accent as a letter of its own
    return unicodedata.normalize("NFC", name).casefold()


def _is_own_sidecar(sidecar: Path, picture: Path) -> bool:
    return sidecar.suffix.lower() in SIDECARS and _folded(sidecar.stem) == _folded(picture.name)


def _beside(path: Path) -> list[Path]:
    # files whose names may go with this one's, sorted
    names = _names_in(path.parent)
    stems = {_folded(stem) for stem in (path.name, path.stem, Path(path.stem).stem)}
    found = {name for stem in stems for name in names.get(stem, ())} - {path.name}
    return [path.parent / name for name in sorted(found)]


def _names_in(folder: Path) -> Mapping[str, Sequence[str]]:
    # raises nothing: a folder that can't be listed has no partners to offer, and nothing can be moved out of it
    try:
        moment = folder.stat().st_mtime_ns
        is_settled = time.time_ns() - moment > SETTLED
        return _list_once(folder, moment) if is_settled else _list(folder)
    except OSError:
        return {}


@lru_cache(FOLDERS)
def _list_once(folder: Path, moment: int) -> Mapping[str, Sequence[str]]:
    return _list(folder)


def _list(folder: Path) -> Mapping[str, Sequence[str]]:
    # files by their names without the ending: of a folder of a hundred thousand, each wants to know its few
    names = defaultdict[str, list[str]](list)
    with os.scandir(folder) as scan:
        for entry in scan:
            if entry.is_file(follow_symlinks=False):
                names[_folded(Path(entry.name).stem)].append(entry.name)
    return names
