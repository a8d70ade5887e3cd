"""What a scan is told to look at -> shards: folders, files, tar and Parquet, on this machine or by URL."""

from __future__ import annotations

import glob
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline.report import Skipped
from twinpix.pipeline.scan import from_parquet, from_tar
from twinpix.pipeline.scan.names import is_url, path_of
from twinpix.pipeline.scan.places import opened
from twinpix.pipeline.scan.shard import Kind, Shard
from twinpix.pipeline.scan.store import file_system
from twinpix.pipeline.stream import list_files

SHARDS, FEWEST, MOST = 64, 32, 1024  # of loose files: so many shards are wanted, of so many files each
ROWS = 4096  # of Parquet that one task embeds, about
FRESH, COARSELY_FRESH = 0.02, 2.0  # s; a file this young may change once more and keep its times, which are in ticks
SAYS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "generation", "LastModified", "last_modified", "mtime",
        "updated", "created")  # fmt: skip

Known = tuple[str, str, int]  # path or URL, a stamp, bytes


@dataclass
class Listing:
    """What was found.

    Attributes:
        shards: in a fixed order: loose files first, as they are found in folders.
        skipped: folders that can't be listed, Parquet without pictures.
        roots: the folders of this machine among the sources.
    """

    shards: list[Shard] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    roots: list[Path] = field(default_factory=list)


def list_shards(sources: Sequence[str], where: str | None = None, column: str = "") -> Listing:
    """Find what there is to embed.

    Args:
        sources: folders, files, `.tar` (also compressed) and `.parquet` files, URLs; with `*`, `?` and `{00..12}`.
        where: only loose files of this machine that this filter accepts (`twinpix.pipeline.explore.where`).
        column: of Parquet, which holds the images.

    Raises:
        InputError: a source is not there, or holds nothing that could be one, or `where` is meant for another kind.
        MissingPackageError: a URL needs a package.
    """
    found, here, there = Listing(), list[str](), list[tuple[str, dict[str, Any]]]()
    for source in sources:
        for one in _expanded(source):
            if is_url(one):
                there += _objects(one)
            else:
                here.append(one)
    files, unlisted = list_files(here, where) if here else ([], [])
    found.skipped += unlisted
    found.roots += [Path(os.path.realpath(one)) for one in here]
    named = {os.path.realpath(one) for one in here} | set(sources)
    known = [(str(path), *_stamp_of(path)) for path in files] + [(url, *_said(facts)) for url, facts in there]
    archives = [one for one in known if _is_archive(one[0])]
    if where is not None and (there or archives):
        raise InputError("--where looks at files of this machine: it can't be used on archives and URLs")
    loose = [one for one in known if not _is_archive(one[0])]
    found.shards += _portions(Kind.FILES, [one for one in loose if not is_url(one[0])])
    found.shards += _portions(Kind.REMOTE, [one for one in loose if is_url(one[0])])
    for place, stamp, size in archives:
        _add_archive(found, place, stamp, size, column, is_named=place in named)
    return found


def _is_archive(name: str) -> bool:
    return name.lower().endswith((*from_tar.SUFFIXES, *from_parquet.SUFFIXES))


def _expanded(source: str) -> list[str]:
    # one that is there is meant as it is, whatever characters are in it
    plain = source.removeprefix("file://") if source.startswith("file://") else source
    if not is_url(plain) and os.path.lexists(plain):
        return [plain]
    found: list[str] = []
    for one in _braces(plain):
        if not re.search(r"[*?\[]", one) or (not is_url(one) and os.path.lexists(one)):
            found.append(one)
        elif is_url(one):
            system, path = file_system(one)
            found += sorted(system.unstrip_protocol(each) for each in _asked(one, system.glob, path))
        else:
            found += sorted(glob.glob(one, recursive=True), key=os.fsencode)  # noqa: PTH207 (Path.glob has no absolute ones)
    if not found:
        raise InputError(f"{source}: matches nothing")
    return found


def _braces(text: str) -> Iterator[str]:
    """`a{1,2}` and `a{08..10}`, as a shell would."""
    group = re.search(r"\{([^{}]*)\}", text)
    if group is None:
        yield text
        return
    ends = re.fullmatch(r"(\d+)\.\.(\d+)", group[1])
    if ends:
        first, last, width = int(ends[1]), int(ends[2]), len(ends[1])
        if abs(last - first) > 1_000_000:
            raise InputError(f"{text}: more than a million")
        choices: Iterable[str] = (str(k).zfill(width) for k in range(first, last + 1))
    elif "," in group[1]:
        choices = group[1].split(",")
    else:
        yield text
        return
    for choice in choices:
        yield from _braces(text[: group.start()] + choice + text[group.end() :])


def _objects(url: str) -> list[tuple[str, dict[str, Any]]]:
    system, path = file_system(url)
    facts = _asked(url, system.info, path)
    if facts.get("type") != "directory":
        return [(url, facts)]
    # with its facts the listing may be an old one, from a cache
    _asked(url, system.invalidate_cache, path)
    below = _asked(url, lambda: system.find(path, detail=True))
    return [(system.unstrip_protocol(name), facts) for name, facts in sorted(below.items())]


def _asked(url: str, call: Any, *given: Any) -> Any:
    try:
        return call(*given)
    except FileNotFoundError:
        raise InputError(f"{url}: no such file or folder") from None
    except Exception as error:  # each store's client raises errors of its own
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{url}: can't be listed ({said})") from None


def _said(facts: dict[str, Any]) -> tuple[str, int]:
    told, size = [f"{key}={facts[key]}" for key in SAYS if facts.get(key)], int(facts.get("size") or 0)
    # a store that tells nothing of its objects: they are read each time
    return " ".join([f"size={size}", *told]) if told else uuid4().hex, size


def _stamp_of(path: Path) -> tuple[str, int]:
    try:
        now = path.stat()
    except OSError:
        return uuid4().hex, 0
    changed = max(now.st_mtime_ns, now.st_ctime_ns)
    ticks = COARSELY_FRESH if changed % 1_000_000_000 == 0 else FRESH
    young = uuid4().hex if time.time() - changed / 1e9 < ticks else ""
    return f"{now.st_size} {now.st_mtime_ns} {now.st_ctime_ns} {now.st_ino} {young}", now.st_size


def _portions(kind: Kind, files: Sequence[Known]) -> Iterator[Shard]:
    """Shards end where names say so: one file more or less changes one of them, and not all that follow."""
    size = FEWEST
    while size < MOST and size * SHARDS * 2 <= len(files):
        size *= 2
    portion = list[Known]()
    for one in files:
        portion.append(one)
        ends = len(portion) >= size // 2 and zlib.crc32(os.fsencode(one[0])) % (size // 2) == 0
        if ends or len(portion) == 2 * size:
            yield _portion(kind, portion)
            portion = []
    if portion:
        yield _portion(kind, portion)


def _portion(kind: Kind, files: Sequence[Known]) -> Shard:
    names, stamps, sizes = zip(*files, strict=True)
    return Shard(kind, tuple(map(os.fsencode, names)), "\n".join(stamps), bytes=sum(sizes))


def _add_archive(found: Listing, place: str, stamp: str, size: int, column: str, is_named: bool) -> None:
    name = os.fsencode(place)
    if not place.lower().endswith(from_parquet.SUFFIXES):
        found.shards.append(Shard(Kind.TAR, (name,), stamp, bytes=size))
        return
    try:
        with opened(name) as raw:
            file = from_parquet.open_file(raw)
            held = from_parquet.column_of(file, place, column)
            sizes = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
    except from_parquet.NoImages as error:
        if is_named:
            raise
        found.skipped.append(Skipped(path_of(name), error.reason, str(error)))
        return
    except MissingPackageError:
        raise
    except Exception as error:  # damaged, gone, or a store's own
        said = " ".join(str(error).split())[:160] or type(error).__name__
        found.skipped.append(Skipped(path_of(name), "corrupt", f"{place}: no readable Parquet ({said})"))
        return
    parts = list(_row_groups(sizes))
    share = size // max(1, len(parts))
    found.shards += [Shard(Kind.PARQUET, (name,), stamp, part, held, share) for part in parts]


def _row_groups(sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    parts, rows = list[int](), 0
    for part, size in enumerate(sizes):
        parts.append(part)
        rows += size
        if rows >= ROWS:
            yield tuple(parts)
            parts, rows = [], 0
    if parts:
        yield tuple(parts)
