"""The file beside the library with the outcomes of second looks: a header, and records that are only ever appended.

Nothing depends on it. A record that is not what was written counts for nothing, and its pair is looked at again.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpix.pipeline.library.add import decoder
from twinpix.pipeline.library.place import LOOKS
from twinpix.pipeline.library.store import sync_folder
from twinpix.pipeline.replace import replace_synced
from twinpix.pipeline.second_look.features import import_cv2
from twinpix.pipeline.second_look.remembered import LOOKS_VERSION, OUTCOMES

# contents as in the table `files`, in the order in which they were looked at; by what code; what it found, after what
# tests (`second_look.remembered`); crc32 of the rest. Little endian, 48 bytes
RECORD = np.dtype(
    [("query", "S16"), ("reference", "S16"), ("by", "S8"), ("outcome", "u1"), ("tests", "u1"), ("spare", "<u2"),
     ("crc", "<u4")]
)  # fmt: skip
SIZE, SUMMED = RECORD.itemsize, RECORD.itemsize - 4
FORMAT = 1
AT_REST = 0.1  # s; a file that is being written changes meanwhile

Records = NDArray[np.void]


@dataclass(frozen=True)
class Stored:
    """What the file holds.

    Attributes:
        records: those that are what was written, of `RECORD`.
        damaged: how many others there are.
        fault: what else is wrong with it, in words.
        is_newer: it is in the format of a newer twinpix, and left alone.
    """

    records: Records
    damaged: int = 0
    fault: str = ""
    is_newer: bool = False

    @property
    def ours(self) -> Records:
        """Those of the code that looks now."""
        ours = (self.records["by"] == np.bytes_(looked_by())) & (self.records["outcome"] < len(OUTCOMES))
        return np.compress(ours, self.records)


@cache
def looked_by() -> bytes:
    """What decides an outcome beside the pictures, 8 bytes: the code that looks, and what decodes for it."""
    by = b"looks %d, %s, OpenCV %s" % (LOOKS_VERSION, decoder(), import_cv2().__version__.encode())
    return blake2b(by, digest_size=8).digest()


def header(version: int = FORMAT) -> bytes:
    """The first 48 bytes."""
    start = b"twinpix: outcomes of second looks".ljust(SUMMED - 4) + version.to_bytes(4, "little")
    return start + zlib.crc32(start).to_bytes(4, "little")


def read_looks(folder: Path) -> Stored:
    """What is in the file of a library; nothing where there is none.

    Raises:
        OSError: it can't be read.
    """
    try:
        data = (folder / LOOKS).read_bytes()
    except FileNotFoundError:
        data = b""
    if _is_newer(data):
        return Stored(np.empty(0, RECORD), is_newer=True)
    records = np.frombuffer(data[SIZE:], RECORD, max(0, len(data) // SIZE - 1))
    sound = records["crc"] == _sums(records)
    return Stored(records[sound], int((~sound).sum()), _fault(data))


def _sums(records: Records) -> NDArray[np.uint32]:
    data = memoryview(records.tobytes())
    return np.fromiter((zlib.crc32(data[at : at + SUMMED]) for at in range(0, len(data), SIZE)), "<u4", len(records))


def _is_newer(data: bytes) -> bool:
    version = int.from_bytes(data[SUMMED - 4 : SUMMED], "little")
    return version > FORMAT and data[:SIZE] == header(version)


def _fault(data: bytes) -> str:
    if data and data[:SIZE] != header()[: len(data)]:
        return "its header is not what was written; what follows is read all the same"
    return "its last record is not complete: a kill or a full disk while it was written" if len(data) % SIZE else ""


def made(
    queries: NDArray[np.bytes_], references: NDArray[np.bytes_], codes: NDArray[np.uint8], tests: NDArray[np.uint8]
) -> Records:
    """New records of these contents, k S16, and what was found."""
    records = np.zeros(len(codes), RECORD)
    records["query"], records["reference"], records["by"] = queries, references, looked_by()
    records["outcome"], records["tests"] = codes, tests
    records["crc"] = _sums(records)
    return records


def append(folder: Path, records: Records) -> None:
    """Add records, in place of one that was cut off. The caller holds the writer's lock.

    Not forced onto the disk: what a power cut leaves of them is told by its sum.

    Raises:
        OSError: the disk is full, or fails: what was in the file stays.
    """
    with open(folder / LOOKS, "a+b") as file:
        whole = file.tell() // SIZE * SIZE
        file.seek(0)
        if _is_newer(file.read(SIZE)):
            return
        file.truncate(whole)
        file.write((b"" if whole else header()) + records.tobytes())


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with the file, in words, also while another process may be writing to it."""
    found = read_looks(folder)
    if found.fault or found.damaged:
        time.sleep(AT_REST)
        found = read_looks(folder)
    if found.fault:
        yield found.fault
    if found.damaged:
        yield f"{found.damaged} outcomes are not what was written: they count for nothing, and are looked for again"


def repair_looks(folder: Path) -> Path | None:
    """Keep the sound records, and set the damaged file aside. The caller holds the writer's lock.

    Returns:
        Where the damaged file is now; None: nothing was wrong.
    """
    found = read_looks(folder)
    if not (found.fault or found.damaged):
        return None
    aside = folder / f"{LOOKS}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09}"
    new = _written(folder, found.records)
    os.replace(folder / LOOKS, aside)
    replace_synced(new, folder / LOOKS)
    sync_folder(folder)
    return aside


def compact_looks(folder: Path, contents: NDArray[np.bytes_]) -> None:
    """Keep one record of each outcome of the code that looks now, of these contents. The caller holds the lock."""
    found = read_looks(folder)
    if found.is_newer or not (found.records.size or found.damaged or found.fault):
        return
    kept = found.ours
    kept = kept[np.isin(kept["query"], contents) & np.isin(kept["reference"], contents)]
    kept = kept[np.sort(np.unique(np.frombuffer(kept.tobytes(), f"S{SIZE}"), return_index=True)[1])]
    replace_synced(_written(folder, kept), folder / LOOKS)


def _written(folder: Path, records: Records) -> Path:
    new = folder / f"{LOOKS}.new"
    new.write_bytes(header() + records.tobytes())
    return new
