"""`twinpix train`: pictures in, a calibrated .onnx encoder out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.pipeline.show import message

Paths = list[Path]
# options of several trainings
HeldBack = Annotated[
    Paths | None,
    typer.Option("--held-back", help="Other pictures, to measure on.", show_default="a tenth of the data"),
]
Models = Annotated[Path, typer.Option(help="Folder for the model; twinpix itself uses the one it was installed with.")]
Work = Annotated[Path, typer.Option(help="Folder for the checkpoint; a killed run goes on from it.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads of the network.", show_default="all cores")]
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
    limit: Annotated[
        int | None, typer.Option(min=400, help="Use at most this many pictures of the data.", show_default="all")
    ] = None,
    name: Annotated[str, typer.Option(help="Writes NAME.onnx, NAME.safetensors and NAME.json into --models.")] = "mine",
    models: Annotated[Path, typer.Option(help="Folder for the model.")] = Path("models"),
    work: Work = Path(".train"),
    preset: Annotated[Literal["hard", "card"], typer.Option(help="Which edits the views get.")] = "hard",
    loss: Annotated[Literal["infonce", "margin", "triplet"], typer.Option(help="Siamese loss.")] = "infonce",
    koleo: Annotated[
        float | None, typer.Option(help="Weight of the spreading term.", show_default="see recipe.py")
    ] = None,  # fmt: skip
    temperature: Annotated[
        float | None, typer.Option(min=1e-3, help="Of InfoNCE.", show_default="see recipe.py")
    ] = None,  # fmt: skip
    bank: Annotated[
        int | None, typer.Option(min=0, help="Earlier embeddings used as negatives.", show_default="see recipe.py")
    ] = None,  # fmt: skip
    background: Annotated[
        int | None, typer.Option(min=0, help="Pictures of the hub correction.", show_default="see recipe.py")
    ] = None,  # fmt: skip
    dim: Annotated[int, typer.Option(min=8, help="Values of an embedding.")] = 256,
    width: Annotated[float, typer.Option(min=0.1, max=4, help="Width of the network, as a share.")] = 1.0,
    depth: Annotated[float, typer.Option(min=0, max=4, help="Residual blocks, as a share.")] = 1.0,
    epochs: Annotated[
        float | None, typer.Option(min=0.01, help="Passes over the data.", show_default="see recipe.py")
    ] = None,  # fmt: skip
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
    init: Annotated[
        Path | None,
        typer.Option(help="A .safetensors file to fine-tune from: fewer epochs and smaller steps unless given."),
    ] = None,
    weights: Annotated[Literal["int8", "fp16", "fp32"], typer.Option(help="Large kernels of the .onnx.")] = "int8",
    baseline: Annotated[
        Literal["autoencoder"] | None,
        typer.Option(help="Train this instead, to compare with; no other knob but --epochs and --seed counts then."),
    ] = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that make views (CPU).")] = 2,
    threads: Threads = None,
    compile: Annotated[
        bool, typer.Option(help="Fuse the network first: needs a C++ compiler, takes a minute.")
    ] = False,
) -> int:
    """Train an encoder on your own pictures, export it to ONNX and calibrate it.

    Needs the extra `train`.
    """
    check_packages()
    where = pick_device(device, threads)
    from twinpix.train.loop import Machine
    from twinpix.train.make import make_model
    from twinpix.train.recipe import FINE_TUNING, Recipe, scaled

    data, validation = expanded(data), expanded(validation)
    if Path(name).name != name:
        raise InputError(f"--name {name}: a name without folders: --models names the folder")
    models, work, init = models.expanduser(), work.expanduser(), init and init.expanduser()
    if not data:
        message("no --data: training on rendered pictures. It shows that everything works; for a real model pass "
                "at least some thousand photos: twinpix train --data FOLDER (or make train DATA=FOLDER)")  # fmt: skip
    chosen = {"koleo": koleo, "temperature": temperature, "bank": bank, "background": background, "epochs": epochs,
              "minutes": minutes, "batch": batch, "learning_rate": learning_rate, "small_share": small_share,
              **_sizes(size)}  # fmt: skip
    given = _given(**chosen)
    if baseline == "autoencoder":
        made = _make_autoencoder(
            {**given, **_given(limit=limit, init=init)}, data, validation, name, models, seed, where
        )
    else:
        usual = {} if data or minutes is not None else {"epochs": RENDERED_EPOCHS}
        knobs = {**(FINE_TUNING if init else {}), **usual, **given}
        recipe = Recipe(preset=preset, loss=loss, seed=seed, architecture=scaled(dim, width, depth), **knobs)
        machine = Machine(where, workers, compile)
        made = make_model(recipe, data, validation, name, models, work, machine, say, init, weights, limit)
    message(f"wrote {made} (fingerprint and calibration inside); use it with --model {made}")
    return 0


def expanded(paths: Paths | None) -> Paths:
    """With ~ as the home folder: shells leave it as it is behind an equals sign."""
    return [path.expanduser() for path in paths or []]


def check_packages() -> None:
    """Raises MissingPackageError unless everything that training needs is installed."""
    try:
        import albumentations  # noqa: F401
        import onnx  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"training needs more packages ({error.name}): pip install 'twinpix[train]'"
        ) from None


def pick_device(device: str, threads: int | None) -> str:
    """`cpu` or `cuda`; sets the number of CPU threads, if given.

    Raises:
        InputError: there is no such device.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if where == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device is available: pass --device cpu")
    return where


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _make_autoencoder(
    given: dict[str, Any], data: Paths, validation: Paths, name: str, models: Path, seed: int, where: str
) -> Path:
    from twinpix.train.autoencoder import EPOCHS, make_autoencoder

    idle = [f"--{key.replace('_', '-')}" for key in given if key != "epochs"]
    if idle:
        raise InputError(f"--baseline autoencoder has a recipe of its own: leave out {', '.join(idle)}")
    epochs = max(1, round(given.get("epochs", EPOCHS)))
    return make_autoencoder(data, validation, name, models, epochs, seed, where, say)


def say(text: str) -> None:
    """A line of progress, with the time."""
    message(f"{time.strftime('%H:%M:%S')} {text}")


def _sizes(size: int | None) -> dict[str, int | None]:
    return {"size": size, "small_size": None if size is None else max(32, size * 3 // 4 // 16 * 16)}
