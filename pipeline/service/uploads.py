"""Where uploaded pictures lie: a folder of the service's own, each file named by its content.

A picture is there, whole, before the library knows it, with a note beside it until then, and out of sight before the
library forgets it: whatever ends the process in between is made good at the next start. What the library has forgotten
by other ways has no note, and is not added again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinpix.encoder.decode import sniff
from twinpix.encoder.errors import InputError
from twinpix.pipeline.library.store import sync_folder
from twinpix.pipeline.replace import replace_synced

MARK = ".twinpix-uploads"
SAID = "This folder belongs to `twinpix serve`: uploaded pictures, by content. Leave it to the service.\n"
PARTLY, UNKNOWN, HIDDEN = ".part", ".unknown", ".deleted"
ENDINGS = {"JPEG": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}


@dataclass(frozen=True)
class LeftOver:
    """A file of an earlier run.

    Attributes:
        content: of what it says that it holds, 16 bytes.
        path: where it lies, or lay.
        is_hidden: whether it is out of sight.
        is_unknown: whether the library may not have come to know it.
    """

    content: bytes
    path: Path
    is_hidden: bool
    is_unknown: bool


class Uploads:
    """Files of uploaded pictures.

    Args:
        folder: made where there is none.

    Raises:
        InputError: it holds something else, or can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / MARK).exists():
                if any(self.folder.iterdir()):
                    raise InputError(f"{folder}: holds other files: name an empty folder for uploads with --store")
                (self.folder / MARK).write_text(SAID)
        except OSError as error:
            raise InputError(f"{folder}: uploads can't be kept there ({error.strerror})") from None

    def put(self, content: bytes, data: bytes) -> Path:
        """Keep a picture; its name and its bytes are on the disk when this returns. See `known`.

        Raises:
            OSError: the disk is full, or fails.
        """
        path = self._path(content, data)
        if path.exists() and path.read_bytes() == data:
            return path
        path.parent.mkdir(exist_ok=True)
        partly = path.with_suffix(PARTLY)
        try:
            partly.write_bytes(data)
            _note(path).touch()
            replace_synced(partly, path)
            sync_folder(path.parent)
        except OSError:
            partly.unlink(missing_ok=True)
            self.known(path)  # nobody was told that it is here
            raise
        return path

    def known(self, path: Path) -> None:
        """To be called when the library knows a picture: it is not added again at the next start."""
        _note(path).unlink(missing_ok=True)

    def drop(self, path: Path) -> None:
        """Delete a picture that the library does not know."""
        path.unlink(missing_ok=True)
        self.known(path)

    def holds(self, path: Path) -> bool:
        """Whether a file lies in here."""
        return self.folder in path.parents

    def hide(self, path: Path) -> None:
        """Put a file out of sight, so that it can be deleted or come back; one that is gone is no fault.

        Raises:
            OSError: the disk can't be written.
        """
        try:
            os.replace(path, _hidden(path))
        except FileNotFoundError:
            return
        sync_folder(path.parent)

    def show(self, path: Path) -> None:
        """Take `hide` back."""
        if _hidden(path).exists():
            os.replace(_hidden(path), path)

    def delete(self, path: Path) -> None:
        """Delete a file that is out of sight."""
        _hidden(path).unlink(missing_ok=True)

    def left_over(self) -> Iterator[LeftOver]:
        """All files. What is not whole is removed."""
        for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*")):
            if path.suffix in (PARTLY, UNKNOWN):
                if path.suffix == PARTLY:
                    self.drop(path)  # with its note
                continue
            seen = path.with_name(path.name.removesuffix(HIDDEN))
            try:
                content = bytes.fromhex(seen.stem)
            except ValueError:
                continue
            if len(content) == 16:
                yield LeftOver(content, seen, seen != path, _note(seen).exists())

    def _path(self, content: bytes, data: bytes) -> Path:
        kind = sniff(data[:64])
        return self.folder / content.hex()[:2] / f"{content.hex()}{ENDINGS.get(kind, '.' + kind.lower())}"


def _note(path: Path) -> Path:
    return path.with_suffix(UNKNOWN)


def _hidden(path: Path) -> Path:
    return path.with_name(path.name + HIDDEN)
