"""A file beside the library of what need not be found out again: a header, and records that are only ever appended.

Nothing depends on it. A record that is not what was written counts for nothing, and what it said is found out again.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.library.store import sync_folder
from twinpix.pipeline.replace import replace_synced

HEADER, SUM = 48, 4  # bytes: of the header, and of the crc32 that ends it and each record
FORMAT = 1
AT_REST = 0.1  # s; a file that is being written changes meanwhile

Records = NDArray[np.void]


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
        records: those that are what was written.
        ours: those of the code that runs now.
        damaged: how many are not what was written.
        fault: what else is wrong with it, in words.
        is_newer: it is in the format of a newer twinpix, and left alone.
    """

    records: Records
    ours: Records
    damaged: int = 0
    fault: str = ""
    is_newer: bool = False


@dataclass(frozen=True)
class KeptFile:
    """A kind of file: each record says something of two pictures.

    Attributes:
        name: in the folder of the library.
        title: how its header begins, up to 40 bytes.
        record: little endian: `query` and `reference`, S16, contents as in the table `files`; `by`, S8, what found it;
            anything; `crc`, crc32 of the rest.
        found_by: what decides what is found beside the pictures, 8 bytes: code and packages.
    """

    name: str
    title: bytes
    record: np.dtype[Any]
    found_by: Callable[[], bytes]

    def header(self, version: int = FORMAT) -> bytes:
        """The first 48 bytes."""
        start = self.title.ljust(HEADER - 2 * SUM) + version.to_bytes(4, "little")
        return start + zlib.crc32(start).to_bytes(SUM, "little")

    def read(self, folder: Path) -> Stored:
        """What is in the file of a library; nothing where there is none.

        Raises:
            OSError: it can't be read.
        """
        try:
            data = (folder / self.name).read_bytes()
        except FileNotFoundError:
            data = b""
        if self._is_newer(data):
            return Stored(np.empty(0, self.record), np.empty(0, self.record), is_newer=True)
        records = np.frombuffer(data[HEADER:], self.record, max(0, len(data) - HEADER) // self.record.itemsize)
        sound = records["crc"] == self._sums(records)
        records = records[sound]
        ours = np.compress(records["by"] == np.bytes_(self.found_by()), records)
        return Stored(records, ours, int((~sound).sum()), self._fault(data))

    def made(self, **columns: NDArray[Any]) -> Records:
        """New records of these columns."""
        records = np.zeros(len(columns["query"]), self.record)
        for name, values in columns.items():
            records[name] = values
        records["by"] = self.found_by()
        records["crc"] = self._sums(records)
        return records

    def append(self, folder: Path, records: Records) -> None:
        """Add records, in place of one that was cut off. The caller holds the writer's lock.

        Not forced onto the disk: what a power cut leaves of them is told by its sum.

        Raises:
            OSError: the disk is full, or fails: what was in the file stays.
        """
        with open(folder / self.name, "a+b") as file:
            length = file.tell()
            file.seek(0)
            if self._is_newer(file.read(HEADER)):
                return
            whole = 0 if length < HEADER else length - (length - HEADER) % self.record.itemsize
            file.truncate(whole)
            file.write((b"" if whole else self.header()) + records.tobytes())

    def problems(self, folder: Path) -> Iterator[str]:
        """What is wrong with the file, in words, also while another process may be writing to it."""
        found = self.read(folder)
        if found.fault or found.damaged:
            time.sleep(AT_REST)
            found = self.read(folder)
        if found.fault:
            yield found.fault
        if found.damaged:
            yield f"{found.damaged} records are not what was written: they count for nothing, and are found out again"

    def repair(self, folder: Path) -> Path | None:
        """Keep the sound records, and set the damaged file aside. The caller holds the writer's lock.

        Returns:
            Where the damaged file is now; None: nothing was wrong.
        """
        found = self.read(folder)
        if not (found.fault or found.damaged):
            return None
        aside = folder / f"{self.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09}"
        new = self._written(folder, found.records)
        os.replace(folder / self.name, aside)
        replace_synced(new, folder / self.name)
        sync_folder(folder)
        return aside

    def compact(self, folder: Path, contents: NDArray[np.bytes_]) -> None:
        """Keep one of each record of the code that runs now, of these contents. The caller holds the writer's lock."""
        found = self.read(folder)
        if found.is_newer or not (found.records.size or found.damaged or found.fault):
            return
        kept = found.ours
        kept = kept[np.isin(kept["query"], contents) & np.isin(kept["reference"], contents)]
        as_bytes = np.frombuffer(kept.tobytes(), f"S{self.record.itemsize}")
        kept = kept[np.sort(np.unique(as_bytes, return_index=True)[1])]
        replace_synced(self._written(folder, kept), folder / self.name)

    def _written(self, folder: Path, records: Records) -> Path:
        new = folder / f"{self.name}.new"
        new.write_bytes(self.header() + records.tobytes())
        return new

    def _sums(self, records: Records) -> NDArray[np.uint32]:
        data, size = memoryview(records.tobytes()), self.record.itemsize
        sums = (zlib.crc32(data[at : at + size - SUM]) for at in range(0, len(data), size))
        return np.fromiter(sums, "<u4", len(records))

    def _is_newer(self, data: bytes) -> bool:
        version = int.from_bytes(data[HEADER - 2 * SUM : HEADER - SUM], "little")
        return version > FORMAT and data[:HEADER] == self.header(version)

    def _fault(self, data: bytes) -> str:
        if data and data[:HEADER] != self.header()[: len(data)]:
            return "its header is not what was written; what follows is read all the same"
        if data and (len(data) < HEADER or (len(data) - HEADER) % self.record.itemsize):
            return "its last record is not complete: a kill or a full disk while it was written"
        return ""


def record_of(*said: tuple[str, str]) -> np.dtype[Any]:
    """The type of records that hold these fields."""
    return np.dtype([("query", "S16"), ("reference", "S16"), ("by", "S8"), *said, ("crc", "<u4")])
