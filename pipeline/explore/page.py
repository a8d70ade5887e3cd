"""The map as one HTML page: nothing from elsewhere, small pictures inside, readable in light and dark."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

from twinpix.encoder.errors import ImageError
from twinpix.pipeline.explore.clusters import ISOLATION_NEIGHBOURS, Exploration
from twinpix.pipeline.report import thumbnail
from twinpix.pipeline.show import safe
from twinpix.pipeline.target import PAGES, check_writable, written_whole
from twinpix.pipeline.threads import decoding_threads

MOST_THUMBNAILS, THUMBNAIL_PX, THUMBNAIL_QUALITY = 2000, 96, 72
SHOWN_OF_CLUSTER = 12
MOST_LINKS = 2000


def check_page(target: Path) -> None:
    """Raises InputError early, before hours of encoding."""
    check_writable(target, PAGES)


def write_page(target: Path, found: Exploration, encoder_name: str, workers: int | None = None) -> None:
    """Write the map of a collection, in one replace.

    Raises:
        InputError: the file can't be written.
    """
    check_page(target)
    text = page(found, encoder_name, workers)
    with written_whole(target) as temporary:
        temporary.write_text(text, encoding="ascii")


def page(found: Exploration, encoder_name: str, workers: int | None = None) -> str:
    """The page, in ASCII. It reads the files again for at most 2,000 small pictures, and says what it left out."""
    paths = found.embeddings.paths
    base = os.path.commonpath([path.parent for path in paths]) if paths else ""
    data = {
        "encoder": encoder_name,
        "base": safe(base),
        "names": [safe(os.path.relpath(path, base)) for path in paths],
        "skipped": len(found.embeddings.skipped),
        **_geometry(found),
        **_parts(found),
        "thumbnails": _thumbnails(found, workers),
    }
    template = files("twinpix.pipeline.explore").joinpath("map.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": escape(safe(Path(base).name or "no images")),
        # "<" could end the script element in whose text it stands
        "DATA": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    filled = re.sub("%(TITLE|DATA)%", lambda place: parts[place[1]], template)
    return filled.encode("ascii", "xmlcharrefreplace").decode()


def _geometry(found: Exploration) -> dict[str, Any]:
    rows, distances = (column[:, :ISOLATION_NEIGHBOURS] for column in found.neighbours)
    return {
        "places": (found.places * 10_000).round().astype(int).tolist(),
        "isolation": [round(value, 3) for value in found.isolation.tolist()],
        "neighbours": rows.tolist(),
        "distances": [[round(value, 3) for value in line] for line in distances.tolist()],
    }


def _parts(found: Exploration) -> dict[str, Any]:
    row = {path: i for i, path in enumerate(found.embeddings.paths)}
    cluster = {i: number for number, rows in enumerate(found.clusters) for i in rows}
    links = _links(found)
    return {
        "clusters": [{"size": len(rows), "shown": list(rows[:SHOWN_OF_CLUSTER])} for rows in found.clusters],
        "cluster": [cluster[i] for i in range(len(row))],
        "outliers": [row[outlier.path] for outlier in found.outliers],
        "links": [(i, j, round(distance, 3)) for i, j, distance in links[:MOST_LINKS]],
        "linksInAll": len(links),
        "threshold": found.duplicates and found.duplicates.threshold,
        "refuted": found.duplicates and found.duplicates.refuted,
    }


def _links(found: Exploration) -> list[tuple[int, int, float]]:
    row = {path: i for i, path in enumerate(found.embeddings.paths)}
    matches = found.duplicates.matches if found.duplicates else ()
    return [(row[Path(m.query)], row[Path(m.reference)], m.l2_distance) for m in matches]


def _thumbnails(found: Exploration, workers: int | None) -> dict[int, str]:
    paths, wanted = found.embeddings.paths, list(dict.fromkeys(_most_telling(found)))[:MOST_THUMBNAILS]

    def make(i: int) -> str | None:
        try:
            return thumbnail(paths[i], THUMBNAIL_PX, THUMBNAIL_QUALITY)
        except ImageError:  # changed since it was embedded
            return None

    with decoding_threads(workers) as pool:
        made = list(pool.map(make, wanted))
    return {i: uri for i, uri in zip(wanted, made, strict=True) if uri is not None}


def _most_telling(found: Exploration) -> Iterator[int]:
    row = {path: i for i, path in enumerate(found.embeddings.paths)}
    yield from (row[outlier.path] for outlier in found.outliers)
    yield from chain.from_iterable(rows[:SHOWN_OF_CLUSTER] for rows in found.clusters)
    yield from chain.from_iterable(link[:2] for link in _links(found)[: MOST_THUMBNAILS // 4])
    step = max(1, -(-len(row) // MOST_THUMBNAILS))
    for start in range(step):  # evenly over the folders
        yield from range(start, len(row), step)
