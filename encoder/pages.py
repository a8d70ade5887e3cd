"""Whether a TIFF file holds several pages: its directories are read, no pixel is decoded."""

from __future__ import annotations

from typing import IO, Literal

MOST = 64  # directories that are read; previews and reduced copies of one page take a few
MOST_ENTRIES = 1 << 12  # of a directory
NEW_SUBFILE_TYPE, REDUCED, MASK = 254, 1, 4  # TIFF 6.0, section 8: bits of the tag's value

Order = Literal["little", "big"]


def is_page(subfile_type: int) -> bool:
    """Whether a picture is a page of its own, and no smaller copy, preview or mask of another.

    Args:
        subfile_type: value of the tag `NEW_SUBFILE_TYPE`; 0 where there is none.
    """
    return not subfile_type & (REDUCED | MASK)


def has_several_pages(file: IO[bytes]) -> bool:
    """Whether more than one of its pictures is a page: see `is_page`.

    Args:
        file: of any kind, at its beginning. What is no TIFF, or damaged, holds none.
    """
    header = file.read(16)
    order: Order = "little" if header[:2] == b"II" else "big"
    version = int.from_bytes(header[2:4], order)
    if header[:2] not in (b"II", b"MM") or version not in (42, 43):
        return False
    wide = version == 43  # BigTIFF
    place = int.from_bytes(header[8:16] if wide else header[4:8], order)
    pages = 0
    for _ in range(MOST):
        if not place or pages > 1:
            break
        subfile_type, place = _directory(file, place, order, wide)
        pages += subfile_type is not None and is_page(subfile_type)
    return pages > 1


def _directory(file: IO[bytes], place: int, order: Order, wide: bool) -> tuple[int | None, int]:
    # the subfile type of one directory, None of a damaged one, and where the next one is; 0: there is none
    counted, entry, offset = (8, 20, 8) if wide else (2, 12, 4)
    file.seek(place)
    count = int.from_bytes(file.read(counted), order)
    entries = file.read(entry * min(count, MOST_ENTRIES))
    if not 0 < count <= MOST_ENTRIES or len(entries) < entry * count:
        return None, 0
    following = int.from_bytes(file.read(offset), order)
    for start in range(0, len(entries), entry):
        if int.from_bytes(entries[start : start + 2], order) == NEW_SUBFILE_TYPE:
            value = entries[start + entry - offset : start + entry]
            return int.from_bytes(value[:4], order), following
    return 0, following
