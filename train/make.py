"""From a recipe and pictures to a finished model: train, export, calibrate, write down how it was made."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from twinpix.encoder.errors import InputError
from twinpix.encoder.network import CopyNet
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.session import sha256_of
from twinpix.pipeline.calibration.calibrate import SMALLEST_SET, calibrate
from twinpix.pipeline.calibration.negatives import photo_sets
from twinpix.pipeline.calibration.picture_class import picture_class
from twinpix.train.data import Pictures, load_pictures, twins_among
from twinpix.train.export import export_onnx, load_weights, read_metadata, save_weights, write_metadata
from twinpix.train.loop import BACKGROUND, CHECKPOINT, Machine, Say, start, train
from twinpix.train.recipe import Recipe
from twinpix.train.rendered import render_pictures
from twinpix.train.validate import Validation, distinct, embed, in_words

RENDERED = 4000
# copies of 200 to 1,600 px lie .039 apart (median) for .036 with Pillow's usual 2, and 500 px take .3 ms less
REDUCING_GAP = 1.4
SEEN = 1024  # pictures whose activations set the ranges of int8


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
    weights: str = "int8",
    limit: int | None = None,
) -> Path:
    """Train and write `NAME.onnx`, `NAME.safetensors` and `NAME.json` into `models`.

    Args:
        data: folders or .tar shards to train on; rendered pictures if empty.
        held_back: pictures for validation and calibration; a tenth of the data if empty.
        init: .safetensors to start from. Start and outcome are then measured on the same held-back pictures, and
            the better of the two is written.
        weights: of the .onnx: `int8`, `fp16` or `fp32`, see `export_onnx`.
        limit: of pictures, see `load_sets`.

    Returns:
        The path of the .onnx file.

    Raises:
        InputError: the data or `init` can't be used, or there is too little data to calibrate on.
    """
    begun = None if init is None else load_weights(init)
    before = None if begun is None else start(recipe, torch.device("cpu"), begun).average  # unfit ones are told at once
    pictures, other = load_sets(recipe, data, held_back, limit)
    say(f"{len(pictures)} pictures to train on, {len(other)} held back, {pictures.skipped + other.skipped} unreadable")
    validation = Validation(other)
    net = train(recipe, pictures, validation, work, machine, say, begun)
    known = None if begun is None else begun.get(BACKGROUND)
    weigh_against(net, pictures, recipe, known)
    tuning: dict[str, Any] = {}
    if before is not None:
        if known is None:
            weigh_against(before, pictures, recipe)
        else:
            before.background.embeddings = known
        net, tuning = better(before, net, validation, other, recipe, say)
    models.mkdir(parents=True, exist_ok=True)
    path = models / f"{name}.onnx"
    preprocess = Preprocess(size=recipe.size, despeckle=True, reducing_gap=REDUCING_GAP)
    write_model(net, preprocess, (pictures, other), path, source_name(held_back, data), weights)
    facts = {
        "recipe": recipe.to_dict(),
        "trained_on": f"{len(pictures)} pictures of {source_name(data, [])}",
        "validation_recall_at_false_match_rate_1e-4": validation.recall(net, recipe.size),
        "machine": f"{machine.device}, {platform.machine()}, torch {torch.__version__}",
        "made": time.strftime("%Y-%m-%d"),
        **tuning,
    }
    write_facts(path, facts)
    finish(net, path.with_suffix(".safetensors"), work / CHECKPOINT)
    return path


def finish(net: nn.Module, path: Path, checkpoint: Path) -> None:
    """Put the weights in place, and end the run: the same command then starts a new one."""
    draft = path.with_suffix(".tmp")
    save_weights(net, draft)
    # in this order: where --init is the file that is replaced, a checkpoint would not know it again
    checkpoint.unlink(missing_ok=True)
    os.replace(draft, path)


def better(
    before: CopyNet, after: CopyNet, validation: Validation, other: Pictures, recipe: Recipe, say: Say
) -> tuple[CopyNet, dict[str, Any]]:
    """The one of two networks that finds more of the held-back copies, and what there is to say about both.

    Fine-tuning on few photos can make an encoder worse: then its start is kept, so that nothing worse is written.
    """
    scores = [measure(net.cpu(), validation, other, recipe.size) for net in (before, after)]
    for word, score in zip(("before", "after"), scores, strict=True):
        say(f"{word} fine-tuning: recall at FMR 1e-04 {in_words(score['recall'])}, threshold {score['threshold']:.3f}")
    first, last = (sum(score["recall"].values()) / len(score["recall"]) for score in scores)
    kept = "finished weights" if last >= first else "weights of --init"
    if last < first:
        say(f"fine-tuning made it worse on the held-back pictures (mean recall {first:.3f} -> {last:.3f}): the weights "
            "of --init are kept, newly calibrated; try more pictures or a lower --learning-rate")  # fmt: skip
    facts = {"before": scores[0], "after": scores[1], "kept": kept}
    return (after if last >= first else before), {"fine_tuning": facts}


def measure(net: CopyNet, validation: Validation, other: Pictures, px: int) -> dict[str, Any]:
    """Recall per kind of edit, and the calibrated L2 threshold of one pair, on pictures not trained on."""
    vectors = embed(net, torch.from_numpy(squeezed(other, distinct(other.identity), px)))
    threshold = calibrate(vectors.numpy(), "held back").pair_threshold
    return {"recall": validation.recall(net, px), "threshold": round(threshold, 4)}


def load_sets(
    recipe: Recipe, data: Sequence[Path], held_back: Sequence[Path], limit: int | None = None
) -> tuple[Pictures, Pictures]:
    """Pictures to train on, and pictures for validation and calibration, without near twins between them.

    Args:
        limit: of pictures to train on, those held back from `data` included.
    """
    if data:
        pictures = load_pictures(data, recipe.store_size, limit=limit)
    else:
        pictures = render_pictures(min(RENDERED, limit or RENDERED), recipe.store_size, recipe.seed)
    if held_back:
        return pictures, _unseen(load_pictures(held_back, recipe.store_size), pictures)
    return _split(pictures, recipe.seed)


def _split(pictures: Pictures, seed: int) -> tuple[Pictures, Pictures]:
    # whole identities go to one side, so that no near twin of a training picture is held back
    groups = np.unique(pictures.identity.numpy())
    chosen = np.random.default_rng(seed).permutation(groups)[: max(SMALLEST_SET, len(groups) // 10)]
    if len(chosen) > len(groups) / 2:
        raise InputError(
            f"training needs at least {2 * SMALLEST_SET} different pictures, not {len(groups)}: {SMALLEST_SET} are "
            "held back to calibrate on (--calibration FOLDER takes other ones for that)"
        )
    back = np.isin(pictures.identity.numpy(), chosen)
    return take(pictures, ~back), replace(take(pictures, back), skipped=0)  # counted once


def _unseen(other: Pictures, pictures: Pictures) -> Pictures:
    # found out now, not after hours of training: whether enough of them are no near twins of training pictures
    unseen = take(other, ~twins_among(other.pixels, pictures.pixels).numpy())
    if len(distinct(unseen.identity)) < SMALLEST_SET:
        raise InputError(
            f"calibration needs at least {SMALLEST_SET} different pictures that are not trained on, "
            f"not {len(distinct(unseen.identity))}"
        )
    return unseen


def take(pictures: Pictures, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> Pictures:
    """Those that bool (n,) `rows` chooses."""
    index = torch.from_numpy(np.flatnonzero(rows))
    names = tuple(pictures.names[i] for i in index.tolist())
    pixels = pictures.pixels[index].share_memory_()  # type: ignore[no-untyped-call]
    return replace(pictures, pixels=pixels, identity=pictures.identity[index], names=names)


def weigh_against(net: CopyNet, pictures: Pictures, recipe: Recipe, more: Tensor | None = None) -> None:
    """Fill the network's background with embeddings of random training pictures (half precision).

    Args:
        more: float16 (m, dim), taken as well where the pictures are too few: the background that fine-tuning found.
    """
    if recipe.background < 1:
        return
    squares = squeezed(pictures, random_rows(pictures, recipe.background, recipe.seed), recipe.size)
    net.background.embeddings = net.background.embeddings[:0]  # an earlier one would count twice
    vectors = embed(net, torch.from_numpy(squares)).half()
    net.background.embeddings = vectors if more is None else torch.cat([vectors, more])[: recipe.background]


def random_rows(pictures: Pictures, count: int, seed: int) -> Tensor:
    """Row numbers of `count` random pictures. int64 (count,)."""
    return torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))[:count]


def squeezed(pictures: Pictures, rows: Tensor, px: int) -> NDArray[np.uint8]:
    """Some pictures as the encoder takes them: uint8 (k, 3, px, px)."""
    squeeze = Preprocess(size=px)
    squares = (pictures.pixels[i].permute(1, 2, 0).cpu().numpy() for i in rows.tolist())
    return np.stack([squeeze(Image.fromarray(square)) for square in squares])


def write_model(
    net: nn.Module, preprocess: Preprocess, sets: tuple[Pictures, Pictures], path: Path, source: str, weights: str
) -> None:
    """Export, and calibrate the exported model.

    Args:
        sets: pictures that were trained on, and others.
    """
    pictures, other = sets
    export_onnx(net, preprocess, path, weights, seen_by(weights, pictures, preprocess.size))
    calibrate_model(path, preprocess, other, source)


def seen_by(weights: str, pictures: Pictures, px: int, seed: int = 0) -> NDArray[np.uint8] | None:
    """The pictures that `export_onnx` takes the ranges of int8 from; None for weights that need none."""
    return squeezed(pictures, random_rows(pictures, SEEN, seed), px) if weights == "int8" else None


def calibrate_model(path: Path, preprocess: Preprocess, other: Pictures, source: str) -> None:
    """Put a calibration curve, measured through ONNX Runtime, into the model file."""
    encoder = OnnxEncoder(path, threads=torch.get_num_threads())
    keep = distinct(other.identity)
    vectors = encoder.encode(squeezed(other, keep, preprocess.size))
    squares = list(other.pixels[keep].permute(0, 2, 3, 1).numpy())
    sets = photo_sets([str(Path(other.names[row]).parent) for row in keep.tolist()])
    labels = np.array([picture_class(Image.fromarray(square)) for square in squares])
    curve = calibrate(vectors, source, squares, sets, labels)
    write_metadata(path, read_metadata(path), preprocess, curve)


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """`NAME.json`: what is inside the model file, its SHA-256, and how it was made."""
    inside = {**read_metadata(path), "sha256": sha256_of(path)}
    path.with_suffix(".json").write_text(json.dumps({**inside, **facts}, indent=1, sort_keys=True) + "\n")


def source_name(paths: Sequence[Path], otherwise: Sequence[Path]) -> str:
    """What pictures of `paths`, or a tenth of those of `otherwise`, are called in a model file: no full path."""
    names = ", ".join(dict.fromkeys(p.resolve().name for p in paths))  # folders of several shards, once
    if names:
        return names
    return "a tenth of " + ", ".join(p.resolve().name for p in otherwise) if otherwise else "rendered pictures"
