"""RELIABILITY bar 10: hostile names come back byte for byte from the library and from every export.

python tests/torture/library_names.py        NAMES=300 random ones besides the usual suspects; SEED=0
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from rig.pictures import PixelEncoder, setting

from twinpix.pipeline.library.library import Library
from twinpix.pipeline.load import load_embeddings
from twinpix.pipeline.save import save_embeddings
from twinpix.pipeline.show import safe
from twinpix.pipeline.stream import Chunk, encode_images

SUSPECTS = (
    b"\xff\xfe.png", b"\xed\xa0\x80.png", b"caf\xe9.png", b"new\nline.png", b"\r.png", b"\x1b[31mred.png", b"\x7f.png",
    "\u202egnp.exe".encode(), "\u2066x\u2069.png".encode(), b"<script>alert(1)</script>.png", b"&lt;.png", b"'\".png",
    b"=cmd|' !A0.png", b"+1.png", b"@SUM(1).png", b"-rf", b"--json", b" ", b"...", b"%00.png", b"%_.png", b"\\.png",
    b"a;b.png", b"$(x).png", b"`x`.png", b"*?.png", b"C:nul.png", "e\u0301.png".encode(), "\u00e9.png".encode(),
    "\U0001f600.png".encode(), b"x" * 255, b"tab\t.png", b"null,1,2.png", b"\xc2\x85.png", b"\xe2\x80\xa8.png",
)  # fmt: skip
SEPARATORS = {0, ord("/")}


def random_names(count: int, dice: np.random.Generator) -> list[bytes]:
    """Any bytes that a file can be called."""
    allowed = np.array([byte for byte in range(256) if byte not in SEPARATORS], np.uint8)
    return [dice.choice(allowed, int(dice.integers(1, 200))).tobytes() for _ in range(count)]


def names_in(export: Path) -> set[bytes]:
    """The names of an export, as bytes."""
    if export.suffix == ".npz":
        return {os.fsencode(path) for path in load_embeddings(export).paths}
    if export.suffix == ".jsonl":
        return {os.fsencode(json.loads(line)["path"]) for line in export.read_text().splitlines()}
    from pyarrow import parquet

    return set(parquet.read_table(export, page_checksum_verification=True)["path_bytes"].to_pylist())


def main() -> int:
    """Print the figures; 1 where a bar is missed."""
    count, dice, failed = setting("NAMES", 300), np.random.default_rng(setting("SEED", 0)), False
    with tempfile.TemporaryDirectory() as place:
        folder, library = Path(place) / "files", Library(Path(place) / "library", PixelEncoder())
        folder.mkdir()
        made, refused = set[bytes](), 0
        for name in (*SUSPECTS, *random_names(count, dice)):
            path = os.fsencode(folder) + b"/" + name
            try:
                with open(path, "wb") as file:
                    Image.fromarray(dice.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(file, "PNG")
                made.add(path)
            except OSError:  # this disk has no such names
                refused += 1
        added = library.add(folder)
        found = encode_images(folder, encoder=library.encoder)
        print(
            f"{len(made)} names ({refused} that this disk refuses), {added.images} images, {len(added.skipped)} skipped"
        )
        for ending in (".npz", ".jsonl", ".parquet"):
            export, plain = Path(place) / f"library{ending}", Path(place) / f"plain{ending}"
            library.export(export)
            chunk = Chunk(found.paths, found.vectors, ())
            save_embeddings(plain, [chunk], found.fingerprint, found.vectors.shape[1])
            lost = {name: len(made ^ names_in(path)) for name, path in (("library", export), ("encode-images", plain))}
            print(
                f"{ending}: " + ", ".join(f"{names} names of {name} not as they were" for name, names in lost.items())
            )
            failed |= any(lost.values())
        shown = "".join(safe(os.fsdecode(path)) for path in made)
        print(f"shown on a terminal: {sum(not c.isprintable() for c in shown)} characters that could act")
        failed |= not shown.isprintable() or library.remove(*map(os.fsdecode, made)) != len(made)
    print("MISSED" if failed else "met")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
