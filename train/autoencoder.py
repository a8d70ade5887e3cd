"""A baseline: a small convolutional autoencoder, whose code is the embedding. Nothing tells it what a copy is."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from twinpix.encoder.preprocess import Preprocess
from twinpix.train.data import Pictures
from twinpix.train.export import save_weights
from twinpix.train.loop import Say
from twinpix.train.make import load_sets, source_name, squeezed, write_facts, write_model
from twinpix.train.recipe import Recipe

SIZE = 32  # px
EPOCHS, BATCH, LEARNING_RATE = 20, 64, 1e-3


class Autoencoder(nn.Module):
    """32x32x3 -> 256 values -> 32x32x3.

    Encoder: 3x3 convolutions to 4, 8, 16 channels with leaky ReLU, two max-pools and an average-pool. Decoder: its
    mirror image, with a sigmoid. The embedding is the code, centred on the training pictures' mean and scaled to L2
    norm 1: as everywhere here, distances then lie between 0 and 2.
    """

    centre: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.LeakyReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, padding=1), nn.LeakyReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.LeakyReLU(), nn.AvgPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (16, 4, 4)),
            nn.ConvTranspose2d(16, 8, 2, 2), nn.LeakyReLU(),
            nn.ConvTranspose2d(8, 4, 2, 2), nn.LeakyReLU(),
            nn.ConvTranspose2d(4, 3, 2, 2),
        )  # fmt: skip
        self.register_buffer("centre", torch.zeros(256))

    def forward(self, rgb: Tensor) -> Tensor:
        """`rgb`: float32 (n, 3, 32, 32), levels 0..255. Returns float32 (n, 256), L2 norm 1."""
        return nn.functional.normalize(self.encoder(rgb / 255) - self.centre)

    def rebuilt(self, rgb: Tensor) -> Tensor:
        """The picture that the code describes: float32 (n, 3, 32, 32), levels 0..255, of the same."""
        return 255 * torch.sigmoid(self.decoder(self.encoder(rgb / 255)))

    def loss(self, rgb: Tensor) -> Tensor:
        """Cross-entropy of the rebuilt levels (as shares of 255) in nats a value, scalar."""
        levels = rgb / 255
        return nn.functional.binary_cross_entropy_with_logits(self.decoder(self.encoder(levels)), levels)


def train_autoencoder(pixels: Tensor, epochs: int, seed: int, device: torch.device, say: Say) -> Autoencoder:
    """Adam on the pictures as they are, without edits.

    Args:
        pixels: uint8 (n, 3, 32, 32).

    Returns:
        In eval mode, on the CPU.
    """
    torch.manual_seed(seed)
    net, pixels = Autoencoder().to(device), pixels.to(device)
    optimizer = torch.optim.Adam(net.parameters(), LEARNING_RATE)
    draw = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(pixels), generator=draw).to(device), BATCH):
            loss = net.loss(pixels[rows].float())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        say(f"epoch {epoch + 1} of {epochs}: cross-entropy {total / len(pixels):.4f}")
    with torch.inference_mode():
        codes = torch.cat([net.encoder(block.float() / 255) for block in torch.split(pixels, 1024)])
    net.centre.copy_(codes.mean(0))
    return net.cpu().eval()


def make_autoencoder(
    data: Sequence[Path], held_back: Sequence[Path], name: str, models: Path, epochs: int, seed: int, device: str,
    say: Say,
) -> Path:  # fmt: skip
    """Train and write `NAME.onnx` (the encoder half), `NAME.safetensors` and `NAME.json` into `models`.

    Arguments and errors as in `twinpix.train.make.make_model`.
    """
    recipe = Recipe(size=SIZE, small_size=SIZE, seed=seed)
    pictures, other = load_sets(recipe, data, held_back)
    say(f"{len(pictures)} pictures to train on, {len(other)} held back, {pictures.skipped + other.skipped} unreadable")
    net = train_autoencoder(_small(pictures), epochs, seed, torch.device(device), say)
    models.mkdir(parents=True, exist_ok=True)
    path = models / f"{name}.onnx"
    write_model(net, Preprocess(size=SIZE), (pictures, other), path, source_name(held_back, data), "fp16")
    save_weights(net, path.with_suffix(".safetensors"))
    facts = {
        "recipe": {"baseline": "autoencoder", "epochs": epochs, "batch": BATCH, "seed": seed},
        "trained_on": f"{len(pictures)} pictures of {source_name(data, [])}",
        "machine": f"{device}, {platform.machine()}, torch {torch.__version__}",
        "made": time.strftime("%Y-%m-%d"),
    }  # fmt: skip
    write_facts(path, facts)
    return path


def _small(pictures: Pictures) -> Tensor:
    return torch.from_numpy(squeezed(pictures, torch.arange(len(pictures)), SIZE))
