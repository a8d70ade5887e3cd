"""The tables, and the digest that every row carries.

All columns are whole numbers or bytes: names of files are bytes, and a flipped bit can't make text undecodable.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

APPLICATION_ID = 0x7477_7078  # "twpx"
VERSION = 1
FOUR_TIMES = 0x0101_0101  # the version is kept in each of four bytes: a flipped bit is no newer version
TABLES = {
    # the models; states are in `generations.State`
    "generations": """CREATE TABLE generations (
        fingerprint BLOB PRIMARY KEY, dim INTEGER NOT NULL, state INTEGER NOT NULL, digest BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # the folders that were added
    "roots": "CREATE TABLE roots (path BLOB PRIMARY KEY, digest BLOB NOT NULL) STRICT, WITHOUT ROWID",
    # `settled` is 0 where the file changed so shortly before it was read that its times prove nothing
    "files": """CREATE TABLE files (
        path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL, settled INTEGER NOT NULL, content BLOB NOT NULL, digest BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # float32, little endian
    "vectors": """CREATE TABLE vectors (
        fingerprint BLOB NOT NULL, content BLOB NOT NULL, vector BLOB NOT NULL, digest BLOB NOT NULL,
        PRIMARY KEY (fingerprint, content)
    ) STRICT""",
    # content that is no readable picture to this `decoder`; with a fingerprint behind it, none to this model
    "failures": """CREATE TABLE failures (
        content BLOB PRIMARY KEY, decoder BLOB NOT NULL, reason BLOB NOT NULL, message BLOB NOT NULL,
        digest BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
}
INDEXES = {"files_by_content": "CREATE INDEX files_by_content ON files (content)"}

Row = tuple[Any, ...]  # of int and bytes


def row_digest(table: str, columns: Sequence[Any]) -> bytes:
    """8 bytes that change with the table, and with any bit of any column.

    Raises:
        TypeError: a column is neither a whole number nor bytes.
    """
    return blake2b(_TEXTS.get(table, _text)(table, columns), digest_size=8).digest()


def _text(table: str, columns: Sequence[Any]) -> bytes:
    parts = list[Any]()
    for value in columns:
        data = b"%d" % value if isinstance(value, int) else value
        parts += (len(data), data)
    return (table.encode() + b"|%d|%b" * len(columns)) % tuple(parts)


# the same, spelled out: of the two tables with a row for each file, where it is most of what a row costs
def _text_of_file(table: str, columns: Sequence[Any]) -> bytes:
    path, *numbers, content = columns
    size, mtime, ctime, inode, settled = [str(number).encode() for number in numbers]  # %d rounds a fraction
    return b"files|%d|%b|%d|%b|%d|%b|%d|%b|%d|%b|%d|%b|%d|%b" % (
        len(path), path, len(size), size, len(mtime), mtime, len(ctime), ctime, len(inode), inode,
        len(settled), settled, len(content), content,
    )  # fmt: skip


def _text_of_vector(table: str, columns: Sequence[Any]) -> bytes:
    fingerprint, content, vector = columns
    return b"vectors|%d|%b|%d|%b|%d|%b" % (len(fingerprint), fingerprint, len(content), content, len(vector), vector)


_TEXTS = {"files": _text_of_file, "vectors": _text_of_vector}


def signed(table: str, columns: Row) -> Row:
    """A row as it is stored: its columns and their digest."""
    return (*columns, row_digest(table, columns))


def is_sound(table: str, row: Row) -> bool:
    """Whether a stored row is what was written."""
    try:
        return bool(row_digest(table, row[:-1]) == row[-1])
    except TypeError:  # one flipped bit makes a whole number a fraction
        return False
