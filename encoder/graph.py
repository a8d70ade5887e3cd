"""What an ONNX file is made of, found without a package for it: its graph, and the files that hold weights for it."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

from twinpix.encoder.session import sha256_of

METADATA = 14  # the number of `metadata_props` in ONNX's ModelProto
WIDTHS = {1: 8, 5: 4}  # bytes of a value of fixed width, by its wire type
# an entry of `external_data` as every writer of protobuf puts it down: key, value; then the length of the value
LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]{0,4}[\x00-\x7f])")


def network_of(path: Path) -> bytes:
    """What a model computes with: the serialised graph without metadata, and digests of the weights in other files.

    Raises:
        ValueError: no protobuf message. ONNX Runtime takes none of those.
    """
    model = path.read_bytes()
    fields = (model[start:end] for number, start, end in _fields(model) if number != METADATA)
    return b"".join([*fields, *(bytes.fromhex(sha256_of(part)) for part in weight_files(path))])


def weight_files(path: Path) -> list[Path]:
    """The files beside a model that its graph names as places of weights, as far as they are there; sorted."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as model:
        names = {model[hit.end() : hit.end() + _varint(hit[1], 0)[0]] for hit in LOCATION.finditer(model)}
    return sorted(place for name in names if (place := path.parent / os.fsdecode(name)).is_file())


def _fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    # number, start and end of each field of a protobuf message
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            length, at = _varint(message, at)
            at += length
        elif kind in WIDTHS:
            at += WIDTHS[kind]
        else:
            raise ValueError(f"wire type {kind}")
        yield key >> 3, start, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    # a whole number, seven bits a byte, and where it ends
    value = shift = 0
    for place in range(at, len(data)):
        value |= (data[place] & 0x7F) << shift
        if data[place] < 0x80:
            return value, place + 1
        shift += 7
    raise ValueError("it ends within a number")
