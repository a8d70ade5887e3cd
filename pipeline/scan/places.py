"""Files of this machine or of a store: opened, read, and where they lie for a while as files that decoders can read."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import IO, Any, cast

from twinpix.pipeline.scan import from_parquet, from_tar
from twinpix.pipeline.scan.names import is_url
from twinpix.pipeline.scan.shard import Kind, Place
from twinpix.pipeline.scan.store import file_system


@contextmanager
def opened(place: bytes) -> Iterator[IO[bytes]]:
    """A file of this machine, or an object of a store, to read and seek in."""
    text = os.fsdecode(place)
    if not is_url(text):
        with open(place, "rb") as file:
            yield file
        return
    system, path = file_system(text)
    with system.open(path, "rb") as remote:
        yield cast(IO[bytes], remote)


@contextmanager
def at_hand(places: Sequence[Place]) -> Iterator[list[Path]]:
    """Pictures as files: of this machine, the files themselves; of archives and stores, copies for the time being.

    One that can no longer be read is a path at which nothing lies.
    """
    with tempfile.TemporaryDirectory(prefix="twinpix-") as room:
        paths = [
            Path(os.fsdecode(place.place)) if place.kind is Kind.FILES else Path(room, str(k))
            for k, place in enumerate(places)
        ]
        together = defaultdict[tuple[Kind, bytes, str], list[int]](list)
        for k, place in enumerate(places):
            if place.kind is not Kind.FILES:
                together[place.kind, place.place, place.column].append(k)
        for (kind, archive, column), rows in together.items():
            rows.sort(key=lambda k: places[k].at)
            with suppress(Exception):  # a store that fails, an archive that was changed: not there, as a vanished file
                _fetch(kind, archive, column, [(places[k], paths[k]) for k in rows])
        yield paths


def _fetch(kind: Kind, place: bytes, column: str, wanted: Sequence[tuple[Place, Path]]) -> None:
    with opened(place) as file:
        if kind is Kind.REMOTE:
            for _, path in wanted:
                path.write_bytes(file.read())
        elif kind is Kind.TAR:
            with from_tar.uncompressed(file) as plain:
                for (at, size), some in groupby(wanted, key=lambda one: (one[0].at, one[0].size)):
                    data = from_tar.read_at(plain, at, size)  # once, where several are links to it
                    for _, path in some:
                        path.write_bytes(data)
        else:
            _fetch_rows(from_parquet.open_file(file), column, wanted)


def _fetch_rows(file: Any, column: str, wanted: Sequence[tuple[Place, Path]]) -> None:
    paths = {one.at: path for one, path in wanted}
    for row, data in from_parquet.read_rows(file, sorted(paths), column):
        paths[row].write_bytes(data)
