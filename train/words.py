"""Training the word model: drawn words on parts of pictures, and what lies on pictures and is no word."""

from __future__ import annotations

import copy
import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from twinpix.encoder.session import import_onnxruntime, sha256_of
from twinpix.encoder.word_network import WordArchitecture, WordNet
from twinpix.encoder.words import SIDE, WORDS
from twinpix.train.data import Pictures
from twinpix.train.export import FromBytes, ParityError, graph_of, save_weights, write_graph
from twinpix.train.loop import Say, origin_of, rate_at, update_average
from twinpix.train.make import load_sets, source_name
from twinpix.train.recipe import Recipe
from twinpix.train.run import Run, run_for
from twinpix.train.written import PX, UNKNOWN, Written

WORDS_CHECKPOINT = "words.pt"
MEASURED = 512  # crops of pictures held back
PARITY = 1e-3  # of the log-odds of any cell


@dataclass(frozen=True)
class WordRecipe:
    """Knobs of a run; the defaults are those of the shipped model.

    Attributes:
        minutes: wall-clock budget, interruptions not counted.
        batch: crops a step.
        learning_rate, weight_decay: of AdamW.
        average: decay of the weight average (EMA) per step; the average is what is exported.
        seed: fixes initial weights, words, and edits.
    """

    minutes: float = 25.0
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    average: float = 0.998
    seed: int = 0
    architecture: WordArchitecture = field(default_factory=WordArchitecture)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


def make_word_model(
    recipe: WordRecipe,
    data: Sequence[Path],
    held_back: Sequence[Path],
    models: Path,
    work: Path,
    device: torch.device,
    workers: int,
    say: Say,
) -> Path:
    """Train and write `words.onnx`, `words.safetensors` and `words.json`.

    Args:
        data: folders or .tar shards of pictures, best without words on them: what stands there counts as no word.
        held_back: pictures to measure on; a tenth of the data if empty.
        workers: processes that draw.

    Returns:
        The path of `words.onnx`.

    Raises:
        InputError: the data or the checkpoint can't be used.
        ParityError: the exported model does not compute what the trained one does.
    """
    pictures, other = load_sets(Recipe(size=PX), data, held_back)
    say(f"{len(pictures)} pictures to train on, {len(other)} held back, {pictures.skipped + other.skipped} unreadable")
    net = train_words(recipe, pictures, work, device, workers, say).cpu().eval()
    found = word_recall(net, other)
    say(f"held back: {found['found']:.1%} of cells with words are found, {found['falsely']:.2%} of those without")
    models.mkdir(parents=True, exist_ok=True)
    export_words(net, models / WORDS)
    facts = {
        "sha256": sha256_of(models / WORDS), "recipe": recipe.to_dict(),
        "trained_on": f"{len(pictures)} pictures of {source_name(data, [])}",
        "machine": f"{device.type}, {platform.machine()}, torch {torch.__version__}", "made": time.strftime("%Y-%m-%d"),
        "measured_on": f"{MEASURED} crops of {len(other)} pictures of {source_name(held_back, data)}",
        **{name: round(share, 4) for name, share in found.items()},
    }  # fmt: skip
    (models / WORDS).with_suffix(".json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    save_weights(net, (models / WORDS).with_suffix(".safetensors"))
    (work / WORDS_CHECKPOINT).unlink(missing_ok=True)
    return models / WORDS


def start_words(recipe: WordRecipe, device: torch.device) -> Run[WordNet]:
    """A fresh state."""
    torch.manual_seed(recipe.seed)
    net = WordNet(recipe.architecture).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return Run(net, copy.deepcopy(net).eval(), optimizer)


def train_words(
    recipe: WordRecipe, pictures: Pictures, work: Path, device: torch.device, workers: int, say: Say
) -> WordNet:
    """Train until the time is up; returns the averaged network in eval mode.

    Args:
        work: folder of `words.pt`; a run found there goes on where it was killed.
        workers: processes that draw; 0 draws in this one.
        say: gets one line of progress at a time.

    Raises:
        InputError: see `read_checkpoint`.
    """
    state, origin = start_words(recipe, device), origin_of(recipe.to_dict(), pictures, None)

    def batches(done: int) -> Iterator[tuple[Tensor, Tensor]]:
        return _crops(recipe, pictures, recipe.seed + 7919 * done, workers)

    def step(batch: tuple[Tensor, Tensor], share: float) -> str:
        luma, labels = (part.to(device) for part in batch)
        return f"{float(_step(state, recipe, luma, labels, share)):.4f}"

    return run_for(recipe.minutes, state, work / WORDS_CHECKPOINT, origin, device, batches, step, say)


def _crops(recipe: WordRecipe, pictures: Pictures, seed: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    # endless batches: uint8 (n, 128, 128) and (n, 16, 16)
    yield from DataLoader(
        Written(pictures, seed), recipe.batch, num_workers=workers, prefetch_factor=4 if workers else None
    )


def _step(state: Run[WordNet], recipe: WordRecipe, luma: Tensor, labels: Tensor, share: float) -> Tensor:
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * rate_at(share)
    with torch.autocast(luma.device.type, torch.bfloat16):
        logits = state.net(luma.float())
    known = labels != UNKNOWN
    loss = F.binary_cross_entropy_with_logits(logits.float()[known], labels[known].float())
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    update_average(state.average, state.net, min(recipe.average, (1 + state.step) / (10 + state.step)))
    return loss.detach()


@torch.inference_mode()
def word_recall(net: WordNet, pictures: Pictures, seed: int = 1) -> dict[str, float]:
    """How the network does on words on pictures not trained on (on the CPU).

    Returns:
        found: share of the cells with words that it finds.
        falsely: share of the cells without that it takes for words.
    """
    luma, labels = next(_crops(WordRecipe(batch=MEASURED), pictures, seed, 0))
    logits = torch.cat([net(block.float()) for block in torch.split(luma, 64)])
    return {"found": _above(logits[labels == 1]), "falsely": _above(logits[labels == 0])}


def _above(logits: Tensor) -> float:
    return float((logits > 0).float().mean())


def export_words(net: WordNet, path: Path) -> None:
    """Write the graph: uint8 (n, 384, 384) -> float32 (n, 48, 48).

    Raises:
        ParityError: ONNX Runtime's log-odds differ from torch's by more than `PARITY` anywhere.
    """
    luma = torch.randint(0, 256, (2, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    draft = path.with_suffix(".draft")  # an earlier model stays until this one is known to be right
    write_graph(graph_of(FromBytes(net), {"luma": luma}, "logits"), draft)
    session = import_onnxruntime().InferenceSession(draft, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        gap = float(np.abs(net(luma.float()).numpy() - session.run(None, {"luma": luma.numpy()})[0]).max())
    if not gap <= PARITY:
        draft.unlink()
        raise ParityError(f"torch's and ONNX Runtime's log-odds differ by {gap:.2g} (at most {PARITY:g} allowed)")
    path.with_suffix(".json").unlink(missing_ok=True)  # it describes another file
    draft.replace(path)
