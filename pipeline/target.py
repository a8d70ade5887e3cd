"""Files that a command writes: checked before the work, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twinpix.encoder.decode import sniff
from twinpix.encoder.errors import ImageError, InputError
from twinpix.pipeline.replace import replace_synced

PAGES = (".html", ".htm")
PICTURES = (".png",)  # what is written there tells its own from others


def check_writable(target: Path, endings: Sequence[str]) -> None:
    """Find out early, before hours of work, whether a file can't be written.

    Raises:
        InputError: its name has another ending, its folder is not there or not writable, or it is a folder itself,
            or a picture by another name.
    """
    if target.suffix.lower() not in endings:
        raise InputError(f"{target}: end the name in {', '.join(endings)}")
    if not target.absolute().parent.is_dir():
        raise InputError(f"{target}: its folder does not exist")
    if target.is_dir():
        raise InputError(f"{target}: is a folder")
    if not os.access(target.absolute().parent, os.W_OK | os.X_OK):
        raise InputError(f"{target}: no permission to write into its folder")
    if target.suffix.lower() not in PICTURES and _is_picture(target):
        raise InputError(f"{target}: a picture is there by that name, and is not overwritten: name another file")


def _is_picture(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return bool(sniff(file.read(64)))
    except (OSError, ImageError):
        return False


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A file beside the target to write to; it takes the target's place at the end, and is gone if that fails.

    Raises:
        InputError: it can't be written.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        replace_synced(temporary, target)
    except OSError as error:
        raise InputError(f"{target}: can't be written ({error.strerror or error})") from None
    finally:
        temporary.unlink(missing_ok=True)
