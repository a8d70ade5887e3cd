"""`twinpix scale`: what finding all pairs costs from 10,000 to 1,000,000 images, and what it finds."""

from __future__ import annotations

import json as jsonlib
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from twinpix.encoder.errors import InputError
from twinpix.pipeline.bench.drawn_vectors import Drawn, Floats, draw_vectors, share_within
from twinpix.pipeline.index.policy import kind_for
from twinpix.pipeline.second_look.look_again import CROWD
from twinpix.pipeline.target import check_place, write_text

WITHIN = 0.6  # L2
EXACT_TOO = 100_000  # vectors: beyond, a bare search takes an hour
LOOK_ALIKE = 0.8  # L2, at which drawn vectors are compared with real ones
EDITED = 100  # pictures
CHECKED = 100_000  # vectors, compared with all


def scale(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Pictures: vectors are drawn to lie as theirs do.")],
    sizes: Annotated[str, typer.Option(help="Numbers of vectors.")] = "10000,100000,1000000",
    within: Annotated[float, typer.Option(help="L2 distance of a pair.")] = WITHIN,
    index: Annotated[
        str | None, typer.Option(help="exact, ivf, ivf-sq8 or ivf-rabitq.", show_default="by size")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the numbers to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with plots to this file.")] = None,
    model: Annotated[Path | None, typer.Option(help="A .onnx encoder.", show_default="the shipped one")] = None,
) -> int:
    """Measure time, peak memory and recall of finding all pairs of a library's vectors.

    Vectors are drawn in the likeness of DIR's embeddings, with one copy for every nine, as far away as real edits of
    those pictures are. They are put into a library of their own, in a temporary folder, and each size is a process of
    its own that reads them from there. Then 100,000 of them are compared with all: which share of the pairs that they
    are in was found? Up to 100,000, a bare range search of FAISS over the same vectors is timed, too.
    """
    counts = [_count(size) for size in sizes.split(",")]
    if not 0 < within <= CROWD:
        raise InputError(f"--within lies between 0 and {CROWD}, where near pairs do: not {within:g}")
    kind_for(0, index)
    for target in (json, html):  # not after minutes of measuring
        if target is not None:
            check_place(target)
    if html is not None:
        from twinpix.pipeline.bench.plots import require_matplotlib

        require_matplotlib()
    embeddings, edits = _embeddings(folder, model)
    rows = []
    for count in counts:
        rows.append(_measure(draw_vectors(count, embeddings, edits[_length(edits) <= within]), within, index))
        print(line(rows[-1]), flush=True)
    alike = draw_vectors(10_000, embeddings, edits).vectors[:9_000]  # without the copies
    shares = {"pictures": share_within(embeddings, LOOK_ALIKE), "drawn": share_within(alike, LOOK_ALIKE)}
    numbers = {"schema": 1, "folder": folder.name, "pictures": len(embeddings), "within": within, "sizes": rows,
               "pairs_within_0.8": shares}  # fmt: skip
    print(
        f"pairs within {LOOK_ALIKE}: {shares['pictures']:.1e} of the pictures', {shares['drawn']:.1e} of the drawn ones"
    )
    if json is not None:
        write_text(json, jsonlib.dumps(numbers, indent=1) + "\n")
    if html is not None:
        from twinpix.pipeline.bench.scale_page import scale_page

        write_text(html, scale_page(numbers))
    return 0


def line(row: dict[str, Any]) -> str:
    """A size in words."""
    bare = f"; bare FAISS {row['bare_seconds']:.1f} s, ratio {row['ratio']:.2f}" if row["bare_seconds"] else ""
    used = row["index"]
    said = "" if used["cells"] == 0 else f" (it says {used['recall']:.1%}, {used['probes']} of {used['cells']} cells)"
    return (
        f"{row['vectors']:>9,} vectors: {used['name']}, read {row['read_seconds']:.1f} s, pairs {row['seconds']:.1f} s "
        f"({row['cpu_seconds']:.0f} s of CPU); {row['pairs']:,} pairs, "
        f"{row['recall']:.3%} of {row['planted']:,} planted{said}; {row['checked_recall']:.3%} of the "
        f"{row['checked_pairs']:,} that {row['checked']:,} vectors, compared with all, are in; "
        f"peak {row['peak_mb'] or math.nan:.0f} MB{bare}"
    )


def _count(size: str) -> int:
    if not size.strip().isdigit() or int(size) < 100:
        raise InputError(f"--sizes are numbers of vectors, 100 or more, such as 10000,100000: not {size!r}")
    return int(size)


def _embeddings(folder: Path, model: Path | None) -> tuple[Floats, Floats]:
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.bench.edits import edit_one, protocol
    from twinpix.pipeline.bench.folder import choose_pictures
    from twinpix.pipeline.bench.split import Split
    from twinpix.pipeline.stream import encode_images

    encoder, pictures = load_encoder(model), choose_pictures(folder, 2 * EDITED, EDITED, Split.ALL)
    chosen = [pictures.originals[row] for row in pictures.queries.tolist()]
    plain = encoder.encode(np.stack([encoder.prepare(one) for one in chosen]))
    edited = [
        encoder.encode(np.stack([encoder.prepare(edit_one(one, edit.apply, k)) for k, one in enumerate(chosen)]))
        - plain
        for edit in protocol(pictures.pasted)
    ]
    return encode_images(folder, encoder=encoder).vectors, np.concatenate(edited)


def _length(vectors: Floats) -> Floats:
    return np.asarray(np.linalg.norm(vectors, axis=1), np.float32)


def _measure(drawn: Drawn, within: float, index: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="twinpix-scale-") as temporary:
        from twinpix.pipeline.bench.scale_run import fill

        folder = Path(temporary)
        count = len(drawn.vectors)
        fill(folder, drawn.vectors)
        distance = _length(drawn.vectors[drawn.planted[:, 0]] - drawn.vectors[drawn.planted[:, 1]])
        np.save(folder / "planted.npy", drawn.planted[distance <= within])
        np.save(folder / "vectors.npy", drawn.vectors)
        if count > EXACT_TOO:
            drawn.vectors.resize(0, refcheck=False)  # the other processes need the memory
        said = _run("scale_run", folder, str(within), index or "")
        checked = _run("scale_check", folder, str(within), str(CHECKED))
    bare = _bare_seconds(drawn.vectors, within) if count <= EXACT_TOO else None
    row = {"vectors": count, **said, **checked, "bare_seconds": bare}
    return {**row, "ratio": None if bare is None else row["seconds"] / bare}


def _run(module: str, *arguments: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-m", f"twinpix.pipeline.bench.{module}", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"measuring failed: {module} ended with status {done.returncode}")
    said: dict[str, Any] = jsonlib.loads(done.stdout)
    return said


def _bare_seconds(vectors: Floats, within: float) -> float:
    from twinpix.pipeline.index import import_faiss

    flat = import_faiss().IndexFlatL2(vectors.shape[1])
    begun = time.perf_counter()
    flat.add(vectors)
    flat.range_search(vectors, within**2)
    return time.perf_counter() - begun
