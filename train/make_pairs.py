"""From pictures to a finished pair model: embed, join copies, train, measure, export, write down how it was made."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twinpix.encoder.onnx import OnnxEncoder
from twinpix.encoder.pair_network import PairNet
from twinpix.encoder.pairs import GLANCE, PAIRS, PARTS, PREPROCESS, PairModel
from twinpix.encoder.session import sha256_of
from twinpix.pipeline.index import Pairs
from twinpix.pipeline.limits import limits
from twinpix.pipeline.second_look.look_again import look_again
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.train.data import Pictures
from twinpix.train.export import ParityError, blended, graph_of, save_weights, to_int8, write_graph
from twinpix.train.loop import Say
from twinpix.train.make import SEEN, load_sets, random_rows, source_name, squeezed, take
from twinpix.train.pairs import CROWDS, PAIRS_CHECKPOINT, Crowd, PairRecipe, pair_recall, train_pairs
from twinpix.train.recipe import Recipe

COPIES = 8  # neighbours of a picture that are looked at; copies of one picture are few, and nearest
INT8_GAP = 0.5  # of log-odds, on average; the shipped model's lie 0.16 apart
MEASURED, MEASURED_AT = 1000, -2.0  # pictures held back; log-odds


def make_pair_model(
    recipe: PairRecipe,
    data: Sequence[Path],
    held_back: Sequence[Path],
    models: Path,
    work: Path,
    device: torch.device,
    say: Say,
    init: dict[str, Tensor],
    encoder: OnnxEncoder,
) -> Path:
    """Train and write `parts.onnx`, `glance.onnx`, `pairs.onnx`, `pairs.safetensors` and a .json beside each .onnx.

    Args:
        data: folders or .tar shards to train on.
        held_back: pictures to measure on; a tenth of the data if empty.
        init: weights to start from, see `start_pairs`.
        encoder: by whose embeddings pictures look alike.

    Returns:
        The path of `pairs.onnx`.

    Raises:
        InputError: the data or the checkpoint can't be used.
    """
    pictures, other = load_sets(Recipe(size=PREPROCESS.size), data, held_back)
    say(f"{len(pictures)} pictures to train on, {len(other)} held back, {pictures.skipped + other.skipped} unreadable")
    crowd = gather(pictures, encoder, say)
    net = train_pairs(recipe, crowd, work, device, say, init).cpu().eval()
    rest = gather(take(other, np.arange(len(other)) < MEASURED), encoder, say)
    found = pair_recall(net, rest, MEASURED_AT)
    say(f"held back: {found['copies_kept']:.1%} of copies and {found['look_alikes_kept']:.1%} of look-alikes pass")
    models.mkdir(parents=True, exist_ok=True)
    export_pairs(net, models, squeezed(pictures, random_rows(pictures, SEEN, recipe.seed), PREPROCESS.size))
    facts = {
        "recipe": recipe.to_dict(), "trained_on": f"{len(pictures)} pictures of {source_name(data, [])}",
        "machine": f"{device.type}, {platform.machine()}, torch {torch.__version__}", "made": time.strftime("%Y-%m-%d"),
        "measured_on": f"{len(rest.pictures)} pictures of {source_name(held_back, data)}",
        **{name: round(share, 4) for name, share in found.items()},
    }  # fmt: skip
    write_pair_facts(models, facts)
    save_weights(net, (models / PAIRS).with_suffix(".safetensors"))
    (work / PAIRS_CHECKPOINT).unlink(missing_ok=True)
    return models / PAIRS


def gather(pictures: Pictures, encoder: OnnxEncoder, say: Say) -> Crowd:
    """The pictures with their nearest neighbours; neighbours that a second look does not refute get one identity."""
    vectors = torch.from_numpy(encoder.encode(squeezed(pictures, torch.arange(len(pictures)), encoder.preprocess.size)))
    blocks = (block @ vectors.T for block in torch.split(vectors, 1024))
    near = torch.cat([block.topk(min(max(CROWDS), len(vectors)), 1).indices for block in blocks])
    pairs = _candidates(
        vectors.numpy(), near[:, : COPIES + 1].numpy(), limits(encoder, len(vectors), None, None).candidate
    )
    say(f"a second look at {len(pairs[0])} look-alikes: copies must not count as different pictures")
    outcomes = look_again([picture.permute(1, 2, 0).numpy() for picture in pictures.pixels], pairs)
    identity = pictures.identity.clone()
    for i, j, outcome in zip(*(end.tolist() for end in pairs[:2]), outcomes, strict=True):
        if outcome is not Outcome.REFUTED:
            identity[identity == identity[j]] = identity[i].clone()
    return Crowd(replace(pictures, identity=identity), vectors, near)


def _candidates(vectors: NDArray[np.float32], near: NDArray[np.int64], within: float) -> Pairs:
    rows, others = np.repeat(np.arange(len(near)), near.shape[1]), near.ravel()
    i, j = np.unique(np.sort(np.stack([rows, others])[:, rows != others], axis=0), axis=1)
    distance = np.linalg.norm(vectors[i] - vectors[j], axis=1).astype(np.float32)
    return i[distance <= within], j[distance <= within], distance[distance <= within]


class _Described(nn.Module):
    def __init__(self, net: PairNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net.describe(images.float()).half()


class _Compared(nn.Module):
    def __init__(self, net: PairNet, how: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.how = net, how

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.how(first.float(), second.float())


def export_pairs(net: PairNet, folder: Path, seen: NDArray[np.uint8]) -> None:
    """Write `parts.onnx`, large kernels in int8, and `glance.onnx` and `pairs.onnx`, float32.

    Args:
        net: on the CPU, in eval mode.
        seen: uint8 (n, 3, 96, 96), prepared training pictures, which int8 takes its ranges from.

    Raises:
        ParityError: log-odds differ from torch's by more than `INT8_GAP` on average.
    """
    pictures = torch.zeros(2, 3, PREPROCESS.size, PREPROCESS.size, dtype=torch.uint8)
    maps = _Described(net)(pictures)
    sides = {"first": maps, "second": maps.clone()}
    with TemporaryDirectory(dir=folder) as place:  # an earlier model stays until this one is known to be right
        draft = Path(place)
        for name, module, examples, output in (
            (PARTS, _Described(net), {"images": pictures}, "parts"),
            (GLANCE, _Compared(net, net.glance), sides, "logits"),
            (PAIRS, _Compared(net, net.compare), sides, "logits"),
        ):
            write_graph(graph_of(module, examples, output), draft / name)
        to_int8(draft / PARTS, seen)
        _check_parity(net, PairModel(draft), blended(seen))
        for name in (PARTS, GLANCE, PAIRS):
            (folder / name).with_suffix(".json").unlink(missing_ok=True)  # it describes another file
            os.replace(draft / name, folder / name)


@torch.inference_mode()
def _check_parity(net: PairNet, model: PairModel, pictures: NDArray[np.uint8]) -> None:
    maps, parts = net.describe(torch.from_numpy(pictures).float()), model.parts(pictures)
    for how, as_exported in ((net.glance, model.glance), (net.compare, model.logits)):
        gap = float(np.abs(how(maps[:-1], maps[1:]).numpy() - as_exported(parts[:-1], parts[1:])).mean())
        if not gap <= INT8_GAP:
            raise ParityError(f"torch's and ONNX Runtime's log-odds differ by {gap:.2g} (at most {INT8_GAP:g} allowed)")


def write_pair_facts(folder: Path, facts: dict[str, Any]) -> None:
    """`parts.json`, `glance.json` and `pairs.json`: the SHA-256 of each model file, and how they were made."""
    for name, more in ((PARTS, {}), (GLANCE, {}), (PAIRS, facts)):
        text = json.dumps({"sha256": sha256_of(folder / name), **more}, indent=1, sort_keys=True)
        (folder / name).with_suffix(".json").write_text(text + "\n")
