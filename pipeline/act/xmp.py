"""What an XMP packet says: the names of its fields, and their texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from xml.parsers import expat

from twinpix.encoder.errors import ImageError

LARGE = 1 << 24  # bytes
SYNTAX = ("xml", "rdf:")  # attributes that say nothing of the picture: prefixes, languages


def fields_of(packet: bytes) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each text with the names of the elements around it and of its attribute, outermost first, as they are written.

    Of a damaged packet it gives what comes before the damage; of one that declares entities, nothing.
    """
    found: list[tuple[tuple[str, ...], str]] = []
    path: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        own = ((key, value) for key, value in attributes.items() if not key.startswith(SYNTAX))
        found.extend(((*path, key), value) for key, value in own)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: path.pop()
    parser.CharacterDataHandler = lambda text: found.append((tuple(path), text))
    parser.EntityDeclHandler = _refuse
    with suppress(expat.ExpatError):
        parser.Parse(packet[:LARGE].strip(b"\0 "), True)
    return ((names, text) for names, text in found if text.strip())


def _refuse(*declared: object) -> None:
    raise ImageError("corrupt", "an XMP packet with entities")
