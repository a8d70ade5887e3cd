"""The pictures of a review: known to the page by opaque names, read safely, and sent as new JPEGs."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import Lock, Semaphore

from twinpix.encoder.decode import read_picture
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.threads import cores

SIDES = {"thumb": 320, "view": 1600, "full": None}  # longer side, px; None: as it is
QUALITY = {"thumb": 80, "view": 88, "full": 92}
MAX_BYTES = 1 << 30  # of a file
KEPT = 96 << 20  # bytes of JPEGs in memory
NOFOLLOW = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Pictures:
    """Opaque name <-> file. Only these files are ever opened, and only where no symbolic link has come between.

    Args:
        paths: absolute, without symbolic links, as `find_files` gives them.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        key = os.urandom(32)
        self._paths = {_name(key, path): path for path in paths}
        self._names = {path: name for name, path in self._paths.items()}
        self._kept: OrderedDict[tuple[Path, str, int, int], bytes] = OrderedDict()
        self._lock, self._turns = Lock(), Semaphore(cores() + 1)  # so many pictures are decoded at a time

    def name(self, path: Path) -> str:
        """What the page calls a file."""
        return self._names[path]

    def path(self, name: str) -> Path:
        """The file that the page means.

        Raises:
            KeyError: there is none.
        """
        return self._paths[name]

    def jpeg(self, path: Path, size: str) -> bytes:
        """A picture, upright, at most as large as `SIDES` says; nothing of the file itself, such as its EXIF.

        Raises:
            ImageError: it can't be read, or lies behind a symbolic link now.
        """
        with self._turns:
            data, stamp = read_plainly(path)
            key = (path, size, *stamp)
            with self._lock:
                if (kept := self._kept.get(key)) is not None:
                    self._kept.move_to_end(key)
                    return kept
            made = _jpeg(data, size)
        self._keep(key, made)
        return made

    def _keep(self, key: tuple[Path, str, int, int], made: bytes) -> None:
        with self._lock:
            self._kept[key] = made
            total = sum(map(len, self._kept.values()))
            while total > KEPT and len(self._kept) > 1:
                total -= len(self._kept.popitem(last=False)[1])


def read_plainly(path: Path) -> tuple[bytes, tuple[int, int]]:
    """The bytes of a regular file that lies where it seems to, and its size and time of change (ns).

    Raises:
        ImageError: it is gone, not regular, or a part of its path is a symbolic link now.
    """
    try:
        file = os.open(path, NOFOLLOW)
    except OSError as error:
        raise ImageError("vanished", f"can't be read ({error.strerror or error})") from None
    with open(file, "rb") as opened:
        now = os.fstat(file)
        if not stat.S_ISREG(now.st_mode) or now.st_size > MAX_BYTES:
            raise ImageError("not_an_image", "no regular file of a usable size")
        # the last part was not followed; the folders before it must be what they were, too
        if os.path.realpath(path) != str(path) or not os.path.samestat(now, os.lstat(path)):
            raise ImageError("vanished", "lies behind a symbolic link now")
        return opened.read(), (now.st_size, now.st_mtime_ns)


def _jpeg(data: bytes, size: str) -> bytes:
    side = SIDES[size]
    picture = read_picture(data, at_least=None if side is None else side // 2)
    if side is not None:
        picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY[size])
    return buffer.getvalue()


def _name(key: bytes, path: Path) -> str:
    return hashlib.blake2b(os.fsencode(path), key=key, digest_size=12).hexdigest()
