"""Pictures in Parquet: a column of bytes, or a struct with a field `bytes`, as image data sets have it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import IO, Any

from twinpix.encoder.errors import InputError
from twinpix.pipeline.save import import_pyarrow
from twinpix.pipeline.scan.shard import Item, Unread
from twinpix.pipeline.scan.store import OURS

SUFFIXES = (".parquet",)
ROWS = 16  # that are in memory at a time
USUAL = ("bytes", "image", "img", "jpg", "jpeg", "png", "webp", "content", "data")


class NoImages(InputError):
    """A Parquet file without a column of bytes. `reason` is that of a skipped file."""

    reason = "not_an_image"


class WhichColumn(NoImages):
    """A Parquet file that may hold images, but where?"""

    reason = "which_column"


def open_file(file: IO[bytes]) -> Any:
    """pyarrow's ParquetFile."""
    _, parquet = import_pyarrow()
    return parquet.ParquetFile(file, page_checksum_verification=True)


def column_of(file: Any, name: str, wanted: str = "") -> str:
    """The column that holds the bytes of image files.

    Args:
        file: of `open_file`.
        name: of the file, for people.
        wanted: the one that a person has named.

    Raises:
        NoImages: there is none.
        WhichColumn: there are several, of which none has a usual name; or not the one that was named.
    """
    if OURS.encode() in (file.schema_arrow.metadata or {}):
        raise NoImages(f"{name}: a table that a scan of twinpix wrote, not images")
    found = _byte_columns(file.schema_arrow)
    if wanted:
        if wanted in found or f"{wanted}.bytes" in found:
            return wanted if wanted in found else f"{wanted}.bytes"
        raise WhichColumn(f"{name}: no column {wanted!r} with bytes in it; it has {_names(file)}")
    usual = [column for column in found if column.split(".")[0].lower() in USUAL or column.endswith(".bytes")]
    if len(found) == 1 or usual:
        return (usual or found)[0]
    if not found:
        raise NoImages(f"{name}: no column of bytes; it has {_names(file)}")
    raise WhichColumn(f"{name}: several columns of bytes ({', '.join(found)}): name that of the images: --column NAME")


def _byte_columns(schema: Any) -> list[str]:
    arrow, _ = import_pyarrow()

    def holds_bytes(kind: Any) -> bool:
        return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))

    found = []
    for field in schema:
        if holds_bytes(field.type):
            found.append(field.name)
        elif arrow.types.is_struct(field.type):
            inner = [field.type.field(k) for k in range(field.type.num_fields)]
            found += [f"{field.name}.{one.name}" for one in inner if holds_bytes(one.type)]
    return found


def _names(file: Any) -> str:
    return ", ".join(file.schema_arrow.names[:12]) or "no columns"


def items(file: Any, shard: bytes, parts: Sequence[int], column: str) -> Iterator[Item | Unread]:
    """Each row; a picture is called `shard!row`.

    Args:
        file: of `open_file`.
        shard: its path or URL.
        parts: numbers of the row groups; all if empty.
    """
    for part in parts or range(file.num_row_groups):
        row = first_row(file, part)
        try:
            for batch in file.iter_batches(ROWS, row_groups=[part], columns=[column]):
                for data in _bytes(batch, column):
                    yield _item(shard, row, data)
                    row += 1
        except Exception as error:  # pyarrow raises anything on a damaged page
            said = " ".join(str(error).split())[:120] or type(error).__name__
            lost = first_row(file, part + 1) - row
            message = f"{os.fsdecode(shard)}: {lost} rows from {row} on can't be read ({said})"
            yield Unread(b"%s!%d" % (shard, row), "corrupt", message)


def _item(shard: bytes, row: int, data: bytes | None) -> Item | Unread:
    name = b"%s!%d" % (shard, row)
    if not data:
        return Unread(name, "empty_file", f"{os.fsdecode(name)}: the row holds no bytes")
    return Item(name, data, row, len(data))


def _bytes(batch: Any, column: str) -> Iterator[bytes | None]:
    values, (_, *fields) = batch.column(0), column.split(".")
    for value in values:
        held = value.as_py()
        for field in fields:
            held = None if held is None else held.get(field)
        yield held


def first_row(file: Any, part: int) -> int:
    """The number of the first row of a row group; of one past the last, how many rows there are."""
    return sum(file.metadata.row_group(k).num_rows for k in range(part))


def read_rows(file: Any, rows: Sequence[int], column: str) -> Iterator[tuple[int, bytes]]:
    """Rows once more, ascending; those that hold nothing any more are left out."""
    part, start, held = -1, 0, list[bytes | None]()
    for row in rows:
        while row >= start + len(held) and part + 1 < file.num_row_groups:
            start, part = start + len(held), part + 1
            skipped = file.metadata.row_group(part).num_rows
            if row >= start + skipped:
                held = [None] * skipped
            else:
                held = [data for batch in file.iter_batches(ROWS, [part], [column]) for data in _bytes(batch, column)]
        data = held[row - start] if row - start < len(held) else None
        if data:
            yield row, data
