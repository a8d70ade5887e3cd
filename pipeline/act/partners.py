"""Files that belong together: RAW + JPEG of one shot, a Live Photo and its video, a picture and its memo or sidecar."""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

MAKERS = (
    "3fr arw bay cap cr2 cr3 crw dcr dng eip erf fff gpr iiq kdc mef mos mrw nef nrw orf ori pef ptx raf raw rw2 rwl",
    "rwz sr2 srf srw x3f",
)
RAW = frozenset(f".{ending}" for makers in MAKERS for ending in makers.split())
# of Adobe and darktable, Apple, DxO, RawTherapee, ON1, Capture One; Google Takeout; a video's thumbnail
SIDECARS = frozenset((".xmp", ".aae", ".dop", ".pp3", ".on1", ".cos", ".json", ".thm"))
CAMERA_PICTURES = frozenset((".jpg", ".jpeg", ".heic", ".heif", ".hif", ".avif", ".png", ".tif", ".tiff", ".webp"))
# that a search reads; whatever else has the name of one was made of it, or goes with it: layers, captions, settings
PICTURES = CAMERA_PICTURES | {".jpe", ".jfif", ".gif", ".bmp", ".dib"}

# `a_01.jpg.xmp` is darktable's for a second version of a.jpg; `a.jpg(1).json` or `a.jpg.supplemental-metadata(1).json`,
# or as much of the latter as fits, Takeout's for `a(1).jpg`
VERSION = re.compile(r"(.+)_\d\d(\.\w+)")
SUPPLEMENT = "supplemental-metadata"
PARTS = "|".join(SUPPLEMENT[:end] for end in range(len(SUPPLEMENT), -1, -1))
TAKEN_OUT = re.compile(rf"(.+?)(\.\w+)(?:\.(?:{PARTS}))?(\(\d+\))?")
SHORTENED = 46  # characters that Takeout leaves of a name
FOLDERS = 16  # whose lists are kept
SETTLED = 5 * 10**9  # ns; a folder that changed lately may do so again without a newer time


def is_raw(path: Path) -> bool:
    """By its name; cameras name them so, and several formats look like TIFF inside."""
    return path.suffix.lower() in RAW


def shot(path: Path) -> tuple[Path, str]:
    """What files of one shot have in common: the folder, and the name without its ending."""
    return path.parent, _folded(path.stem)


def partners_of(path: Path) -> tuple[Path, ...]:
    """The files that go where this picture goes, sorted: `a.jpg` has `a.nef`, `a.mov`, `a.psd`, `a.xmp`, `a.jpg.xmp`.

    Symbolic links are none. A RAW has the pictures of its shot for partners, too.
    """
    others = PICTURES - (CAMERA_PICTURES if is_raw(path) else frozenset())
    return tuple(
        other
        for other in _beside(path)
        if (shot(other) == shot(path) and other.suffix and other.suffix.lower() not in others)
        or _is_named_after(other, path)
    )


def owners_of(partner: Path) -> tuple[Path, ...]:
    """The pictures that a partner belongs to, and that it stays with: every one of its shot, sorted."""
    pictures = PICTURES | RAW
    return tuple(
        other
        for other in _beside(partner)
        if (shot(other) == shot(partner) and other.suffix.lower() in pictures) or _is_named_after(partner, other)
    )


def _folded(name: str) -> str:
    # Apple's programs write an accent as a letter of its own
    return unicodedata.normalize("NFC", name).casefold()


def _is_named_after(partner: Path, picture: Path) -> bool:
    if partner.suffix.lower() in PICTURES | RAW | {""} or picture.suffix.lower() not in PICTURES | RAW:
        return False
    if partner.suffix.lower() == ".json" and len(partner.stem) == SHORTENED:
        return _folded(picture.name).startswith(_folded(partner.stem))
    # the video of PXL_1.MP.jpg is PXL_1.MP
    return _folded(picture.name) in _named_by(partner.name) or _folded(picture.stem) == _folded(partner.name)


def _named_by(partner: str) -> set[str]:
    # pictures whose whole names are in that of a partner
    name, ending = Path(partner).stem, Path(partner).suffix.lower()
    if ending == ".xmp" and (found := VERSION.fullmatch(name)):
        return {_folded(name), _folded(found[1] + found[2])}
    if ending == ".pp3":  # of RawTherapee, for what it made of a.jpg
        return {_folded(name), _folded(name.removesuffix(".out"))}
    if ending == ".json" and (found := TAKEN_OUT.fullmatch(name)):
        return {_folded(name), _folded(found[1] + (found[3] or "") + found[2])}
    return {_folded(name)}


def _beside(path: Path) -> list[Path]:
    # files whose names may go with this one's, sorted
    names = _names_in(path.parent)
    stems = {_folded(path.name), _folded(Path(path.stem).stem), *_keys(path.name)}
    stems |= {_folded(Path(picture).stem) for picture in _named_by(path.name)}
    found = {name for stem in stems for name in names.get(stem, ())} - {path.name}
    return [path.parent / name for name in sorted(found)]


def _keys(name: str) -> set[str]:
    # by which it is found
    stem = Path(name).stem
    return {_folded(stem), _folded(stem)[:SHORTENED], _folded(name)[:SHORTENED]} | (
        _named_by(name) if Path(name).suffix.lower() in SIDECARS else set()
    )


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
    # files by their names without the ending, and such: of a folder of a hundred thousand, each wants to know its few
    names = defaultdict[str, list[str]](list)
    with os.scandir(folder) as scan:
        for entry in scan:
            if entry.is_file(follow_symlinks=False):
                for key in _keys(entry.name):
                    names[key].append(entry.name)
    return names
