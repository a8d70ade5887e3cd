"""The baseline: learns to rebuild pictures, and goes through the same export as the encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import twinpix
from twinpix.encoder.preprocess import Preprocess
from twinpix.train import autoencoder
from twinpix.train.autoencoder import Autoencoder, train_autoencoder
from twinpix.train.export import export_onnx
from twinpix.train.rendered import render_pictures

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return render_pictures(128, 32, seed=4).pixels


@pytest.fixture(scope="module")
def trained(pixels: Tensor) -> tuple[Autoencoder, list[str]]:
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoencoder, "LEARNING_RATE", 0.01)  # few pictures: few steps
        return train_autoencoder(pixels, 50, 0, CPU, lines.append), lines


def test_form() -> None:
    net = Autoencoder()
    rgb = 255 * torch.rand(3, 3, 32, 32)
    assert net.encoder(rgb).shape == (3, 256)
    assert net.rebuilt(rgb).shape == rgb.shape
    assert [m.out_channels for m in net.encoder if isinstance(m, torch.nn.Conv2d)] == [4, 8, 16]
    assert net(rgb).norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_loss_is_the_cross_entropy_of_levels() -> None:
    net = Autoencoder()
    rgb = torch.randint(0, 256, (2, 3, 32, 32)).float()
    share, wanted = net.rebuilt(rgb).double() / 255, rgb.double() / 255
    expected = -(wanted * share.log() + (1 - wanted) * (1 - share).log()).mean()
    assert net.loss(rgb).item() == pytest.approx(expected.item(), abs=1e-5)


def test_it_learns_to_rebuild(trained: tuple[Autoencoder, list[str]], pixels: Tensor) -> None:
    net, lines = trained
    entropies = [float(line.split()[-1]) for line in lines]
    assert len(lines) == 50 and entropies[-1] < entropies[0] - 0.05
    rgb = pixels.float()
    with torch.inference_mode():
        error = (net.rebuilt(rgb) - rgb).abs().mean()
    assert error < (rgb.mean((2, 3), keepdim=True) - rgb).abs().mean()  # better than each picture's mean colour
    assert not net.training


def test_codes_are_centred(trained: tuple[Autoencoder, list[str]], pixels: Tensor) -> None:
    net, _ = trained
    with torch.inference_mode():
        assert torch.allclose(net.encoder(pixels.float() / 255).mean(0), net.centre, atol=1e-4)
        assert net(pixels.float()).mean(0).norm() < 0.5


def test_seed_decides(pixels: Tensor) -> None:
    runs = [train_autoencoder(pixels[:64], 1, seed, CPU, lambda text: None) for seed in (0, 0, 1)]
    vectors = [net(pixels[:4].float()) for net in runs]
    assert torch.allclose(vectors[0], vectors[1], atol=1e-3) and not torch.allclose(vectors[0], vectors[2], atol=1e-2)


def test_exported_file_is_an_encoder(trained: tuple[Autoencoder, list[str]], pixels: Tensor, tmp_path: Path) -> None:
    net, _ = trained
    export_onnx(net, Preprocess(size=32), tmp_path / "plain.onnx")
    encoder = twinpix.load_encoder(tmp_path / "plain.onnx")
    assert (encoder.dim, encoder.preprocess.size, encoder.max_distance) == (256, 32, 2.0)
    with torch.inference_mode():
        expected = net(pixels[:7].float()).numpy()
    assert np.linalg.norm(encoder.encode(pixels[:7].numpy()) - expected, axis=1).max() < 1e-4
    flat = np.full((1, 3, 32, 32), 128, np.uint8)
    assert np.isfinite(encoder.encode(flat)).all()
