"""`twinpix train`: pictures in, a calibrated .onnx encoder out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline.show import message

Paths = list[Path]
RENDERED_EPOCHS = 8  # a few minutes: it shows that everything works, and makes no model to keep


def train(
    data: Annotated[
        Paths | None,
        typer.Option(
            "--data",
            help="Folders of images or .tar shards. Repeat for more; without it the program draws pictures itself.",
        ),
    ] = None,  # fmt: skip
    validation: Annotated[
        Paths | None,
        typer.Option(
            "--calibration",
            help="Other pictures, for validation and calibration: never trained on.",
            show_default="a tenth of the data",
        ),
    ] = None,  # fmt: skip
    name: Annotated[str, typer.Option(help="Writes NAME.onnx, NAME.safetensors and NAME.json into --models.")] = "mine",
    models: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("models"),
    work: Annotated[Path, typer.Option(help="Folder for the checkpoint; a killed run goes on from it.")] = Path(
        ".train"
    ),
    preset: Annotated[Literal["hard", "card"], typer.Option(help="Which edits the views get.")] = "hard",
    loss: Annotated[Literal["infonce", "margin", "triplet"], typer.Option(help="Siamese loss.")] = "infonce",
    koleo: Annotated[
        float | None, typer.Option(help="Weight of the spreading term.", show_default="see recipe.py")
    ] = None,  # fmt: skip
    epochs: Annotated[float | None, typer.Option(min=0.01, help="Passes over the data.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Wall-clock budget instead of epochs.")] = None,
    size: Annotated[int | None, typer.Option(min=32, help="px; the input size of the encoder.")] = None,
    batch: Annotated[int | None, typer.Option(min=2, help="Pairs per step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-6, help="Peak of the schedule.", show_default="see recipe.py")
    ] = None,
    small_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the run at smaller views.", show_default="see recipe.py"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of initial weights, order and edits.")] = 0,
    init: Annotated[Path | None, typer.Option(help="A .safetensors file to fine-tune from.")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that make views (CPU).")] = 2,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of the network.", show_default="all cores")
    ] = None,
    compile: Annotated[
        bool, typer.Option(help="Fuse the network first: needs a C++ compiler, takes a minute.")
    ] = False,
) -> int:
    """Train an encoder on your own pictures, export it to ONNX and calibrate it.

    Needs the extra `train`: pip install 'twinpix[train]'.
    """
    try:
        import albumentations  # noqa: F401
        import onnx  # noqa: F401
        import torch
    except ImportError as error:
        raise MissingPackageError(
            f"training needs more packages ({error.name}): pip install 'twinpix[train]'"
        ) from None
    from twinpix.train.loop import Machine
    from twinpix.train.make import make_model
    from twinpix.train.recipe import Recipe

    if not data and epochs is None and minutes is None:
        epochs = RENDERED_EPOCHS
    chosen = {"koleo": koleo, "epochs": epochs, "minutes": minutes, "batch": batch, "learning_rate": learning_rate,
              "small_share": small_share, **_sizes(size)}  # fmt: skip
    recipe = Recipe(preset=preset, loss=loss, seed=seed, **{k: v for k, v in chosen.items() if v is not None})  # type: ignore[arg-type]
    if threads is not None:
        torch.set_num_threads(threads)
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if where == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device is available: pass --device cpu")
    if not data:
        message("no --data: training on rendered pictures. It shows that everything works; for a real model pass "
                "at least some thousand photos: twinpix train --data FOLDER (or make train DATA=FOLDER)")  # fmt: skip
    made = make_model(
        recipe, data or [], validation or [], name, models, work, Machine(where, workers, compile), _say, init
    )
    message(f"wrote {made} (fingerprint and calibration inside); use it with --model {made}")
    return 0


def _say(text: str) -> None:
    message(f"{time.strftime('%H:%M:%S')} {text}")


def _sizes(size: int | None) -> dict[str, int | None]:
    return {"size": size, "small_size": None if size is None else max(32, size * 3 // 4 // 16 * 16)}
