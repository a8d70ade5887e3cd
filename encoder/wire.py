"""What a decoding process and its owner say to each other: facts as JSON and a body of bytes, lengths first.

No pickle: whoever takes over a decoding process can hand its owner pixels and text, and nothing else.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from typing import IO, Any

LENGTHS = struct.Struct(">IQ")
MOST_FACTS, MOST_BODY = 1 << 16, 1 << 30  # bytes; more is a decoder gone mad


class WireError(Exception):
    """The other side says something that makes no sense."""


def send(stream: IO[bytes], facts: Mapping[str, Any], size: int = 0, body: Iterable[bytes] = ()) -> None:
    """Write one message.

    Args:
        facts: whatever JSON can hold; lone surrogates of file names survive.
        size: of the body, bytes.
        body: its parts, one after the other.

    Raises:
        OSError: nobody reads any more.
    """
    head = json.dumps(facts).encode()
    stream.write(LENGTHS.pack(len(head), size) + head)
    for part in body:
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Read one message: facts and body. None where there are no more.

    Raises:
        WireError: it breaks off, or is none.
        OSError: the stream can't be read.
    """
    lengths = stream.read(LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) < LENGTHS.size:
        raise WireError("breaks off")
    n_facts, n_body = LENGTHS.unpack(lengths)
    if n_facts > MOST_FACTS or n_body > MOST_BODY:
        raise WireError("too long")
    return _facts(_exactly(stream, n_facts)), _exactly(stream, n_body)


def _facts(text: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise WireError("no JSON object") from None


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise WireError("breaks off")
    return data
