"""`twinpix simulate`: what a scan of a million to a billion images would take, from a few thousand of them."""

from __future__ import annotations

import json as jsonlib
import os
from pathlib import Path
from typing import Annotated

import typer

from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline import options
from twinpix.pipeline.report import Embeddings
from twinpix.pipeline.simulate.setting import CHOSEN
from twinpix.pipeline.simulate.simulate import CHECKED, EMBED_MS, Wanted
from twinpix.pipeline.target import check_place, write_text

FEWEST, MOST = 1000, 10**10  # images


def simulate(
    source: Annotated[
        Path,
        typer.Argument(metavar="DIR|FILE.npz", help="Pictures like those to come, or embeddings of encode-images."),
    ],
    images: Annotated[str, typer.Option(help="Numbers of images.")] = "1e6,1e7,1e8,1e9",
    check: Annotated[
        str, typer.Option(help="For such numbers also run everything, and compare.", show_default="none")
    ] = "",
    within: Annotated[
        float | None, typer.Option(help="L2 distance of a pair.", show_default="calibrated, by the number of images")
    ] = None,
    cells: Annotated[
        int | None, typer.Option(min=2, max=400_000, help="K-means cells.", show_default="4 sqrt(N)")
    ] = None,
    nearest: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="Cells that each vector is put into.", show_default="as a scan chooses"),
    ] = None,
    copies: Annotated[float, typer.Option(help="Share of images that are a copy of another one.")] = 0.1,
    crowd: Annotated[float, typer.Option(help="Share of images that all show one picture, say a blank page.")] = 1e-4,
    embed_ms: Annotated[
        float | None,
        typer.Option(help="CPU to embed an image.", show_default=f"measured on DIR; of a file, {EMBED_MS:g}"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws other vectors.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Also write the numbers to this file.")] = None,
    model: options.Model = None,
) -> int:
    """Say what a scan of very many images would take: cells, hot cells, pairs, bytes, memory, core-hours.

    Vectors are drawn in the likeness of DIR's embeddings. The scan's own code puts a sample of them into as many cells
    as there would be, and joins some cells, filled as full as they would be; the rest is extrapolated.
    """
    from twinpix.pipeline.save import import_pyarrow
    from twinpix.pipeline.simulate import show
    from twinpix.pipeline.simulate.simulate import run

    counts, checked = numbers(images, "--images", MOST), numbers(check, "--check", CHECKED) if check else []
    for value, name, most in ((copies, "--copies", 0.5), (crowd, "--crowd", 0.1)):
        if not 0 <= value <= most:
            raise InputError(f"{name} is a share of the images, from 0 to {most:g}: not {value:g}")
    if within is not None and not 0 < within <= 2:
        raise InputError(f"--within is an L2 distance above 0, up to 2: not {within:g}")
    if embed_ms is not None and not embed_ms > 0:
        raise InputError(f"--embed-ms is a time above 0: not {embed_ms:g}")
    if json is not None:  # not after minutes of measuring
        check_place(json)
    import_pyarrow()
    embeddings, encoder, measured = _embeddings(source, model, within)
    wanted = Wanted(counts, checked, within, cells, nearest or CHOSEN, copies, crowd, embed_ms or measured, seed)
    simulation = run(embeddings.vectors, encoder, wanted, show.progress)
    show.simulation(simulation, source.name)
    if json is not None:
        write_text(json, jsonlib.dumps(show.to_dict(simulation, source.name), indent=1, allow_nan=False) + "\n")
    return 0


def numbers(text: str, option: str, most: int) -> list[int]:
    """`1e6,20000` -> [20000, 1000000], ascending.

    Raises:
        InputError: one is no whole number in the bounds.
    """
    found = set[int]()
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = -1.0
        if not FEWEST <= value <= most or value != int(value):
            raise InputError(
                f"{option} takes numbers from {FEWEST:,} to {most:,}, such as 1e5,1e6: not {part.strip()!r}"
            )
        found.add(int(value))
    return sorted(found)


def _embeddings(source: Path, model: Path | None, within: float | None) -> tuple[Embeddings, Encoder | None, float]:
    # and who made them, where that has to be known, and ms of CPU that one took
    from twinpix.encoder.onnx import load_encoder
    from twinpix.pipeline.load import load_embeddings
    from twinpix.pipeline.stream import encode_images

    if not source.is_dir():
        embeddings = load_embeddings(source)
        if within is not None:
            return embeddings, None, EMBED_MS
        encoder = load_encoder(model)
        embeddings.check_same_encoder(encoder.fingerprint)
        return embeddings, encoder, EMBED_MS
    encoder = load_encoder(model)
    before = sum(os.times()[:4])  # decoders are processes of their own
    embeddings = encode_images(source, encoder=encoder)
    seconds = sum(os.times()[:4]) - before
    return embeddings, encoder, 1000 * seconds / max(1, len(embeddings.vectors))
