"""Pictures in a tar, as WebDataset has them: read in one pass, and each again by its offset."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import IO, cast

from twinpix.encoder.decode import sniff
from twinpix.encoder.errors import ImageError
from twinpix.pipeline.scan.names import name_of
from twinpix.pipeline.scan.shard import Item, Unread

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
BLOCK = 512  # bytes
MOST = 1 << 30  # bytes of a member; no picture has more, and a header may say anything
MOST_HEADER = 1 << 24  # bytes; long names and attributes take a few hundred
Links = list[tuple[int, int, bytes]]  # where the bytes of each lie, and its name
DAMAGED = (
    *(tarfile.TarError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError),
    *(MemoryError, OverflowError, RecursionError),  # headers may say anything
)


@contextmanager
def uncompressed(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The tar itself, whatever it was compressed with, by its first bytes."""
    file.seek(0)
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=file) as plain:
            yield cast(IO[bytes], plain)
    elif magic.startswith(b"BZh"):
        with bz2.BZ2File(file) as plain:
            yield cast(IO[bytes], plain)
    elif magic.startswith(b"\xfd7zXZ"):
        with lzma.LZMAFile(file) as plain:
            yield cast(IO[bytes], plain)
    else:
        yield file


class _Headers:
    # what tarfile reads of a tar: a header that says it is huge is not taken into memory
    def __init__(self, plain: IO[bytes]) -> None:
        self._plain, self.seek, self.tell = plain, plain.seek, plain.tell

    def read(self, size: int) -> bytes:
        if size > MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._plain.read(size)


def items(file: IO[bytes], shard: bytes) -> Iterator[Item | Unread]:
    """Every regular file of a tar, each once, and whatever is damaged; hard links at the end.

    Args:
        file: of the tar.
        shard: its path or URL; a picture is called `shard!member`, and `#2` is added to a name that comes again.
    """
    links: Links = []
    for part in (_members, _linked):
        count = 0
        try:
            with uncompressed(file) as plain:
                for found in part(plain, shard, links):
                    count += 1
                    yield found
        except DAMAGED as error:
            said = " ".join(str(error).split()) or type(error).__name__
            yield _rest_lost(shard, count, said)


def _members(plain: IO[bytes], shard: bytes, links: Links) -> Iterator[Item | Unread]:
    known: dict[str, tuple[int, int]] = {}  # for hard links
    times: dict[str, int] = {}
    count = 0
    with tarfile.open(fileobj=cast(IO[bytes], _Headers(plain)), mode="r:", errors="surrogateescape") as tar:
        while (member := tar.next()) is not None:
            tar.__dict__["members"] = []  # of a million none need be kept
            if member.islnk() and member.linkname in known:
                at, size = known[member.linkname]
            elif member.isreg():
                at, size = member.offset_data, member.size
            elif member.islnk():
                name = shard + b"!" + name_of(member.name)
                said = f"a link to {member.linkname!r}, which does not come before it in the tar"
                yield Unread(name, "corrupt", f"{os.fsdecode(name)}: {said}")
                continue
            else:
                continue  # a folder, a symbolic link, a device
            known[member.name] = at, size
            times[member.name] = times.get(member.name, 0) + 1
            again = f"#{times[member.name]}" if times[member.name] > 1 else ""
            count += 1
            name = shard + b"!" + name_of(member.name + again)
            if member.issparse():
                yield Unread(name, "unsupported_format", f"{os.fsdecode(name)}: a sparse file inside a tar")
            elif member.islnk():
                links.append((at, size, name))
            else:
                yield _item(plain, name, at, size)
        end = tar.offset
    plain.seek(end)
    if plain.read(BLOCK) != bytes(BLOCK):  # tarfile ends in silence at a header that is damaged or not all there
        yield _rest_lost(shard, count, "it has no end mark")


def _linked(plain: IO[bytes], shard: bytes, links: Links) -> Iterator[Item | Unread]:
    # hard links, in one more pass: to go back in what is compressed is to begin anew
    for (at, size), some in groupby(sorted(links), key=lambda link: link[:2]):
        plain.seek(at)
        held = io.BytesIO(plain.read(min(size, MOST)))
        for _, _, name in some:
            found = _item(held, name, 0, size)
            yield replace(found, at=at) if isinstance(found, Item) else found


def _item(plain: IO[bytes], name: bytes, at: int, size: int) -> Item | Unread:
    text = os.fsdecode(name)
    plain.seek(at)
    data = plain.read(min(size, 64))
    try:
        if not data:
            raise ImageError("empty_file", "the file is empty")
        sniff(data)
        if size > MOST:
            raise ImageError("too_large", f"{size} bytes")
    except ImageError as error:
        return Unread(name, error.reason, f"{text}: {error}")
    data += plain.read(size - len(data))
    if len(data) < size:
        return Unread(name, "corrupt", f"{text}: damaged or truncated (the tar ends in the middle of it)")
    return Item(name, data, at, size)


def _rest_lost(shard: bytes, count: int, said: str) -> Unread:
    message = f"{os.fsdecode(shard)}: damaged or cut off after {count} files ({said}): what follows could not be read"
    return Unread(shard, "corrupt", message)


def read_at(plain: IO[bytes], at: int, size: int) -> bytes:
    """A member once more, by its offset. Raises OSError where it is no longer there."""
    plain.seek(at)
    data = plain.read(size)
    if len(data) < size:
        raise OSError("the tar ends before")
    return data
