"""The first stage: a shard of pictures -> a Parquet file of embeddings, and of what could not be read, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import ImageError, MissingPackageError, ModelError
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.copies import marks_of
from twinpix.pipeline.save import import_pyarrow
from twinpix.pipeline.scan import from_parquet, from_tar, store
from twinpix.pipeline.scan.places import opened
from twinpix.pipeline.scan.shard import Item, Kind, Shard, Unread
from twinpix.pipeline.stream import CHUNK

# what may be otherwise the next time, though nothing has changed: such shards are read again by the next scan
PASSING = ("permission_denied", "vanished", "timed_out", "out_of_memory", "decoder_crashed", "unreachable")


@dataclass(frozen=True)
class Model:
    """An encoder, wherever it has to be loaded.

    Attributes:
        path: of a `.onnx` file that all workers see; None: the shipped one.
        fingerprint: of the one that the scan was begun with.
    """

    path: str | None
    fingerprint: str

    def load(self) -> Encoder:
        """The encoder, once a process.

        Raises:
            ModelError: it is another one here.
        """
        encoder = _loaded(self.path)
        if encoder.fingerprint != self.fingerprint:
            raise ModelError(
                f"this worker has another encoder ({encoder.fingerprint}) than the scan was begun with "
                f"({self.fingerprint}): install the same twinpix everywhere"
            )
        return encoder


@lru_cache(1)
def _loaded(path: str | None) -> Encoder:
    return load_encoder(path)


def embed(shard: Shard, model: Model, target: str) -> None:
    """Embed a shard: a row for each picture, and one for each that could not be read.

    Columns: `name` (bytes), `vector` (float32, none where there is a reason), `mark` (see `marks_of`), `at` and `size`
    (see `Item`), `content` (BLAKE2b of its bytes, 16 bytes; none of files on a disk), `reason` and `message`.

    Raises:
        ModelError: see `Model`.
        DecodingError, OSError: no process can be started, or the file can't be written.
    """
    encoder = model.load()
    rows, vectors, pictures = list[dict[str, Any]](), list[NDArray[np.float32]](), list[NDArray[Any]]()
    for one in read(shard):
        row, picture = _row(one, encoder)
        rows.append(row)
        if picture is not None:
            pictures.append(picture)
        if len(pictures) == CHUNK:
            vectors.append(encoder.encode(np.stack(pictures)))
            pictures = []
    if pictures:
        vectors.append(encoder.encode(np.stack(pictures)))
    passing = any(row.get("reason") in PASSING for row in rows)
    table = _table(rows, np.concatenate([np.empty((0, encoder.dim), np.float32), *vectors]))
    store.write(target, table, {store.PASSING: "1"} if passing else None)


def _row(one: Item | Unread, encoder: Encoder) -> tuple[dict[str, Any], NDArray[Any] | None]:
    prepared = one if isinstance(one, Unread) else _prepared(one, encoder)
    if isinstance(prepared, Unread):
        said = os.fsencode(prepared.message)
        return {"name": prepared.name, "reason": prepared.reason, "message": said}, None
    assert isinstance(one, Item)
    content = blake2b(one.source, digest_size=16).digest() if isinstance(one.source, bytes) else None
    return {"name": one.name, "at": one.at, "size": one.size, "content": content}, prepared


def _prepared(item: Item, encoder: Encoder) -> NDArray[Any] | Unread:
    try:
        try:
            return encoder.prepare(item.source)
        except ImageError as error:
            if error.reason != "decoder_crashed":
                raise
            # an engine that is being stopped ends its decoders: then this raises, and no such file gets written
            return encoder.prepare(item.source)
    except ImageError as error:
        text = str(error)
        if isinstance(item.source, bytes):  # to its decoder it has no name
            text = f"{os.fsdecode(item.name)}: {text.removeprefix('the image: ')}"
        return Unread(item.name, error.reason, text)


def _table(rows: Sequence[dict[str, Any]], vectors: NDArray[np.float32]) -> dict[str, Any]:
    arrow, _ = import_pyarrow()

    def column(name: str, kind: Any) -> Any:
        return arrow.array([row.get(name) for row in rows], kind)

    missing = np.array(["reason" in row for row in rows], bool)
    filled = np.zeros((len(rows), vectors.shape[1]), np.float32)
    filled[~missing] = vectors
    flat = arrow.array(filled.reshape(-1), arrow.float32())
    return {
        "name": column("name", arrow.binary()),
        "vector": arrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1], mask=arrow.array(missing)),
        "mark": arrow.array(marks_of(filled), arrow.uint64(), mask=missing),
        "at": column("at", arrow.int64()),
        "size": column("size", arrow.int64()),
        "content": column("content", arrow.binary()),
        "reason": column("reason", arrow.string()),
        "message": column("message", arrow.binary()),
    }


def read(shard: Shard) -> Iterator[Item | Unread]:
    """What is in a shard, one picture after the other. A shard that can't be read is one row itself."""
    if shard.kind is Kind.FILES:
        yield from (Item(place, Path(os.fsdecode(place))) for place in shard.places)
        return
    for number, place in enumerate(shard.places):
        text = os.fsdecode(place)
        try:
            with opened(place) as file:
                if shard.kind is Kind.TAR:
                    yield from from_tar.items(file, place)
                elif shard.kind is Kind.PARQUET:
                    yield from from_parquet.items(from_parquet.open_file(file), place, shard.parts, shard.column)
                else:
                    yield _remote(place, file.read(from_tar.MOST + 1), number)
        except (MissingPackageError, GeneratorExit):
            raise
        except FileNotFoundError:
            yield Unread(place, "vanished", f"{text}: no such file")
        except PermissionError:
            yield Unread(place, "permission_denied", f"{text}: no permission to read it")
        except Exception as error:  # stores raise whatever their clients do, pyarrow anything on a damaged file
            said = " ".join(str(error).split())[:160] or type(error).__name__
            reason = "corrupt" if shard.kind is Kind.PARQUET else "unreachable"
            yield Unread(place, reason, f"{text}: can't be read ({said})")


def _remote(place: bytes, data: bytes, number: int) -> Item | Unread:
    if len(data) > from_tar.MOST:
        return Unread(place, "too_large", f"{os.fsdecode(place)}: more than {from_tar.MOST >> 20} MB")
    return Item(place, data, number, len(data))
