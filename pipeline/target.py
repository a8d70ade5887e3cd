"""Files that a command writes: checked before the work, and written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from twinpix.encoder.decode import sniff
from twinpix.encoder.errors import ImageError, InputError
from twinpix.pipeline.act.partners import is_raw
from twinpix.pipeline.replace import replace_synced

PAGES = (".html", ".htm")
PICTURES = (".png",)  # what is written there tells its own from others
VIDEOS = (".mov", ".mp4", ".m4v", ".3gp", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv")
# ISO media (MP4, MOV; HEIF and AVIF are told first) and older QuickTime, AVI, Matroska, MPEG
VIDEO = re.compile(rb"\x00...(?:ftyp|moov|mdat|wide)|RIFF....AVI |\x1aE\xdf\xa3|\x00\x00\x01[\xba\xb3]", re.DOTALL)


def check_writable(target: Path, endings: Sequence[str]) -> None:
    """Find out early, before hours of work, whether a file can't be written.

    Raises:
        InputError: its name has another ending, its folder is not there or not writable, or it is a folder itself,
            or a picture or video by another name.
    """
    if target.suffix.lower() not in endings:
        raise InputError(f"{target}: end the name in {', '.join(endings)}")
    check_folder(target)
    if target.suffix.lower() not in PICTURES:
        refuse_picture(target)


def check_place(target: Path) -> None:
    """The same for a text, whatever its name ends in: no picture or video at all is overwritten.

    Raises:
        InputError: see there.
    """
    check_folder(target)
    refuse_picture(target)


def check_folder(target: Path) -> None:
    """Raises InputError where its folder is not there or not writable, or it is a folder, a device, too long."""
    if not os.path.isdir(target.absolute().parent):
        raise InputError(f"{target}: its folder does not exist, or can't be reached")
    if os.path.isdir(target):
        raise InputError(f"{target}: is a folder")
    if _is_too_long(target):
        raise InputError(f"{target}: too long a name: name another file")
    if _is_device(target):
        raise InputError(f"{target}: is no regular file")
    if not os.access(target.absolute().parent, os.W_OK | os.X_OK):
        raise InputError(f"{target}: no permission to write into its folder")


def _is_too_long(path: Path) -> bool:
    # 255 bytes on most disks, fewer on some
    try:
        path.lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _is_device(path: Path) -> bool:
    # a pipe would be waited for, and a device replaced by a file
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def refuse_picture(target: Path) -> None:
    """Raises InputError where a picture or a video lies by that name: to write there is a slip."""
    if kind := _kind_of(target):
        raise InputError(f"{target}: a {kind} is there by that name, and is not overwritten: name another file")


def _kind_of(path: Path) -> str:
    # picture or video, whether twinpix reads it or not; empty of other files, and where there is none
    try:
        with open(path, "rb") as file:
            header = file.read(64)
    except OSError:
        header = b""
    if _is_picture(header) or (path.exists() and is_raw(path)):
        return "picture"
    is_video = VIDEO.match(header) or (path.exists() and path.suffix.lower() in VIDEOS)
    return "video" if is_video else ""


def _is_picture(header: bytes) -> bool:
    try:
        return bool(sniff(header))
    except ImageError as error:
        return error.reason == "unsupported_format"


def write_text(target: Path, text: str) -> None:
    """Write a text, UTF-8, whole or not at all.

    Raises:
        InputError: it can't be written.
    """
    with written_whole(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A file beside the target to write to; it takes the target's place at the end, and is gone if that fails.

    Raises:
        InputError: it can't be written.
    """
    # threads of one process may write to one target; this name, too, has an end
    temporary = target.with_name(f".{target.name[:40]}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        yield temporary
        replace_synced(temporary, target)
    except OSError as error:
        raise InputError(f"{target}: can't be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
