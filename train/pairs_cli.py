"""`twinpix train-pairs`: the model that compares two pictures part by part, trained on your own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinpix.pipeline.show import message
from twinpix.train.cli import Device, HeldBack, Models, Threads, Work, check_packages, expanded, pick_device, say


def train_pairs(
    data: Annotated[list[Path], typer.Option("--data", help="Folders of images or .tar shards. Repeat for more.")],
    held_back: HeldBack = None,
    models: Models = Path("models"),
    work: Work = Path(".train"),
    init: Annotated[
        Path | None,
        typer.Option(help="A .safetensors file to start from: of pairs, or of an encoder.", show_default="random"),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Of training.", show_default="8.75")] = None,
    batch: Annotated[int, typer.Option(min=2, help="Pairs per step; 512 needs a GPU.")] = 512,
    seed: Annotated[int, typer.Option(help="Of initial weights, order and edits.")] = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> int:
    """Train the pair model of the coarse look, and export it to ONNX: parts, glance and pairs.onnx.

    Needs the extra `train`.
    """
    check_packages()
    where = pick_device(device, threads)
    import torch

    from twinpix.encoder.onnx import load_encoder
    from twinpix.encoder.pairs import GLANCE, PARTS
    from twinpix.train.export import load_weights
    from twinpix.train.make_pairs import make_pair_model
    from twinpix.train.pairs import PairRecipe

    recipe = PairRecipe(minutes=PairRecipe.minutes if minutes is None else minutes, batch=batch, seed=seed)
    start = {} if init is None else load_weights(init.expanduser())
    made = make_pair_model(
        recipe, expanded(data), expanded(held_back), models.expanduser(), work.expanduser(), torch.device(where),
        say, start, load_encoder(),
    )  # fmt: skip
    message(f"wrote {made}, and {PARTS} and {GLANCE} beside it")
    return 0
