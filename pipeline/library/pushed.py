"""Searching the library by an index that its vectors were pushed to."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.explore.search import Neighbour, Neighbours, own_file, search_threshold
from twinpix.pipeline.index import Ids, Index, Vectors
from twinpix.pipeline.library.generations import Generation
from twinpix.pipeline.library.push import HALF, OWN
from twinpix.pipeline.library.read import Stamp, is_still
from twinpix.pipeline.library.store import sound_rows
from twinpix.pipeline.report import Skipped, label
from twinpix.pipeline.stream import vector_of


def search_pushed(
    connection: sqlite3.Connection,
    generation: Generation,
    library: Path,
    query: ImageLike,
    k: int,
    encoder: Encoder,
    index: Index,
    threshold: float | None,
) -> Neighbours:
    """The k images nearest to the query by what an index names. Arguments and errors as of `Library.search`."""
    limit, own = search_threshold(encoder, k, threshold), own_file(query)
    ids, distances = index.search(vector_of(encoder, query)[None], k + 1)  # one may be the query itself
    there = ids[0] >= 0
    found, left_out, skipped = found_files(connection, ids[0][there], distances[0][there], own)
    near = tuple(Neighbour(path, d, None if limit is None else d <= limit) for d, path in found[:k])
    skipped += not_pushed(connection, generation, index, library, ids[0][there])
    images = len(index) - (left_out is not None)
    return Neighbours(label(query), near, limit, images, left_out, tuple(skipped), encoder.fingerprint)


def found_files(
    connection: sqlite3.Connection, ids: Ids, distances: Vectors, own: Path | None
) -> tuple[list[tuple[float, Path]], Path | None, list[Skipped]]:
    """The files that have what an index found, nearest first, then by name; the query's own, if among them; others.

    Files that have changed since, or are gone, are left out, with the reason.
    """
    found, left_out, skipped = list[tuple[float, Path]](), None, list[Skipped]()
    for number, distance in zip(ids.tolist(), distances.tolist(), strict=True):
        for name, *columns, settled, content in sound_rows(
            connection, "files", "WHERE content BETWEEN ? AND ?", _span(number)
        ):
            path = Path(os.fsdecode(name))
            if path == own:
                left_out = path
            elif (same := is_still(path, Stamp(*columns), settled, content)) is None:
                skipped.append(Skipped(path, "vanished", f"{path}: no such file"))
            elif not same:
                skipped.append(Skipped(path, "changed", f"{path}: changed since it was added: add it again"))
            else:
                found.append((distance, path))
    return sorted(found, key=lambda one: (one[0], os.fsencode(one[1]))), left_out, skipped


def not_pushed(
    connection: sqlite3.Connection, generation: Generation, index: Index, library: Path, named: Ids
) -> list[Skipped]:
    """One row, where an index does not hold as much as the library does, or names what the library does not know."""
    (count,) = connection.execute(f"SELECT count(*) FROM ({OWN})", (generation.fingerprint.encode(),)).fetchone()
    strangers = sum(not _is_known(connection, number) for number in named.tolist())
    if count == len(index) and not strangers:
        return []
    said = f"the index holds {len(index)} pictures, the library {count}"
    if strangers:
        said = f"of {len(named)} pictures that the index names, the library does not know {strangers}"
    return [Skipped(library, "not_pushed", f"{library}: {said}: run `twinpix library push`")]


def _is_known(connection: sqlite3.Connection, number: int) -> bool:
    asked = "SELECT 1 FROM files WHERE content BETWEEN ? AND ? LIMIT 1"
    return connection.execute(asked, _span(number)).fetchone() is not None


def _span(number: int) -> tuple[bytes, bytes]:
    # from and to which contents have this number
    first = number << 1
    return first.to_bytes(HALF, "big"), (first | 1).to_bytes(HALF, "big") + b"\xff" * HALF
