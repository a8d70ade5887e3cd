"""`twinpix train-words`: the model that tells where words are on a picture, trained on your own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinpix.pipeline.show import message
from twinpix.train.cli import Device, HeldBack, Models, Threads, Work, check_packages, expanded, pick_device, say


def train_words(
    data: Annotated[
        list[Path],
        typer.Option("--data", help="Folders of images or .tar shards, best without words on them. Repeat for more."),
    ],
    held_back: HeldBack = None,
    models: Models = Path("models"),
    work: Work = Path(".train"),
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Of training.", show_default="25")] = None,
    batch: Annotated[int, typer.Option(min=2, help="Crops per step.")] = 64,
    seed: Annotated[int, typer.Option(help="Of initial weights, words and edits.")] = 0,
    device: Device = "auto",
    threads: Threads = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw words.")] = 1,
) -> int:
    """Train the word model, by which a second look tells memes with other words apart, and export it to ONNX.

    Needs the extra `train`.
    """
    check_packages()
    where = pick_device(device, threads)
    import torch

    from twinpix.train.words import WordRecipe, make_word_model

    recipe = WordRecipe(minutes=WordRecipe.minutes if minutes is None else minutes, batch=batch, seed=seed)
    made = make_word_model(
        recipe, expanded(data), expanded(held_back), models.expanduser(), work.expanduser(), torch.device(where),
        workers, say,
    )  # fmt: skip
    message(f"wrote {made}")
    return 0
