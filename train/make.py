"""From a recipe and pictures to a finished model: train, export, calibrate, write down how it was made."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.encoder.network import CopyNet
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.encoder.preprocess import Preprocess
from twinpix.pipeline.calibrate import SMALLEST_SET, calibrate
from twinpix.train.data import Pictures, load_pictures, twins_among
from twinpix.train.export import export_onnx, load_weights, read_metadata, save_weights, write_metadata
from twinpix.train.loop import CHECKPOINT, Machine, Say, train
from twinpix.train.recipe import Recipe
from twinpix.train.rendered import render_pictures
from twinpix.train.validate import Validation, distinct, embed

RENDERED = 4000


def make_model(
    recipe: Recipe,
    data: Sequence[Path],
    held_back: Sequence[Path],
    name: str,
    models: Path,
    work: Path,
    machine: Machine,
    say: Say,
    init: Path | None = None,
) -> Path:
    """Train and write `NAME.onnx`, `NAME.safetensors` and `NAME.json` into `models`.

    Args:
        data: folders or .tar shards to train on; rendered pictures if empty.
        held_back: pictures for validation and calibration; a tenth of the data if empty.
        init: .safetensors to start from.

    Returns:
        The path of the .onnx file.

    Raises:
        InputError: the data can't be used, or there is too little of it to calibrate on.
    """
    pictures, other = load_sets(recipe, data, held_back)
    say(f"{len(pictures)} pictures to train on, {len(other)} held back, {pictures.skipped + other.skipped} unreadable")
    validation = Validation(other)
    weights = None if init is None else load_weights(init)
    net = train(recipe, pictures, validation, work, machine, say, weights)
    weigh_against(net, pictures, recipe)
    models.mkdir(parents=True, exist_ok=True)
    path = models / f"{name}.onnx"
    write_model(net, Preprocess(size=recipe.size), other, path, _source(held_back, data))
    facts = {
        "recipe": recipe.to_dict(),
        "trained_on": f"{len(pictures)} pictures of {_source(data, [])}",
        "validation_recall_at_false_match_rate_1e-4": validation.recall(net, recipe.size),
        "machine": f"{machine.device}, {platform.machine()}, torch {torch.__version__}",
        "made": time.strftime("%Y-%m-%d"),
    }
    write_facts(path, facts)
    (work / CHECKPOINT).unlink(missing_ok=True)  # the run is over: the same command starts a new one
    return path


def load_sets(recipe: Recipe, data: Sequence[Path], held_back: Sequence[Path]) -> tuple[Pictures, Pictures]:
    """Pictures to train on, and pictures for validation and calibration, without near twins between them."""
    if data:
        pictures = load_pictures(data, recipe.store_size)
    else:
        pictures = render_pictures(RENDERED, recipe.store_size, recipe.seed)
    if held_back:
        return pictures, _unseen(load_pictures(held_back, recipe.store_size), pictures)
    return _split(pictures, recipe.seed)


def _split(pictures: Pictures, seed: int) -> tuple[Pictures, Pictures]:
    # whole identities go to one side, so that no near twin of a training picture is held back
    groups = np.unique(pictures.identity.numpy())
    chosen = np.random.default_rng(seed).permutation(groups)[: max(SMALLEST_SET, len(groups) // 10)]
    if len(chosen) > len(groups) / 2:
        raise InputError(f"training needs at least {2 * SMALLEST_SET} different pictures, not {len(groups)}")
    back = np.isin(pictures.identity.numpy(), chosen)
    return _take(pictures, ~back), replace(_take(pictures, back), skipped=0)  # counted once


def _unseen(other: Pictures, pictures: Pictures) -> Pictures:
    # found out now, not after hours of training: whether enough of them are no near twins of training pictures
    unseen = _take(other, ~twins_among(other.pixels, pictures.pixels).numpy())
    if len(distinct(unseen.identity)) < SMALLEST_SET:
        raise InputError(
            f"calibration needs at least {SMALLEST_SET} different pictures that are not trained on, "
            f"not {len(distinct(unseen.identity))}"
        )
    return unseen


def _take(pictures: Pictures, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> Pictures:
    index = torch.from_numpy(np.flatnonzero(rows))
    names = tuple(pictures.names[i] for i in index.tolist())
    pixels = pictures.pixels[index].share_memory_()  # type: ignore[no-untyped-call]
    return replace(pictures, pixels=pixels, identity=pictures.identity[index], names=names)


def weigh_against(net: CopyNet, pictures: Pictures, recipe: Recipe) -> None:
    """Fill the network's background with embeddings of random training pictures (half precision)."""
    if recipe.background < 1:
        return
    draw = torch.Generator().manual_seed(recipe.seed)
    rows = torch.randperm(len(pictures), generator=draw)[: recipe.background].tolist()
    squeeze = Preprocess(size=recipe.size)
    squares = [Image.fromarray(pictures.pixels[i].permute(1, 2, 0).cpu().numpy()) for i in rows]
    vectors = embed(net, torch.from_numpy(np.stack([squeeze(square) for square in squares])))
    net.background.embeddings = vectors.half()


def write_model(net: CopyNet, preprocess: Preprocess, other: Pictures, path: Path, source: str) -> None:
    """Export, save the weights beside it, and calibrate the exported model on pictures not trained on."""
    export_onnx(net, preprocess, path)
    save_weights(net, path.with_suffix(".safetensors"))
    calibrate_model(path, preprocess, other, source)


def calibrate_model(path: Path, preprocess: Preprocess, other: Pictures, source: str) -> None:
    """Put a calibration curve, measured through ONNX Runtime, into the model file."""
    encoder = OnnxEncoder(path, threads=torch.get_num_threads())
    keep = distinct(other.identity)
    squares = other.pixels[keep].permute(0, 2, 3, 1).numpy()
    vectors = encoder.encode(np.stack([preprocess(Image.fromarray(square)) for square in squares]))
    facts = read_metadata(path)
    write_metadata(path, facts, preprocess, calibrate(vectors, source, list(squares)))


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """`NAME.json`: what is inside the model file, and how it was made."""
    inside = read_metadata(path)
    path.with_suffix(".json").write_text(json.dumps({**inside, **facts}, indent=1, sort_keys=True) + "\n")


def _source(paths: Sequence[Path], otherwise: Sequence[Path]) -> str:
    names = ", ".join(p.resolve().name for p in paths)
    if names:
        return names
    return "a tenth of " + ", ".join(p.resolve().name for p in otherwise) if otherwise else "rendered pictures"
