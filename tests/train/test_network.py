"""The network: what its first layer cancels, what it promises about its output, and that all of it learns."""

from __future__ import annotations

import colorsys

import pytest
import torch
from torch import Tensor, nn

from twinpix.encoder.network import LUMA, TONE_FLOOR, Architecture, Background, CopyNet, ToneChannels, content
from twinpix.train.data import Pictures

SMALL = Architecture(4, (4, 6, 8, 8), (2, 2, 2, 1), (0, 1, 1, 1), 16, 3)


@pytest.fixture
def photos(toy: Pictures) -> Tensor:
    return toy.pixels[:6].float()


def spread(rgb: Tensor) -> Tensor:
    """Deviation of luma of each picture, (n, 1, 1, 1)."""
    luma = (rgb * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return luma.flatten(1).std(1, correction=0).view(-1, 1, 1, 1)


def level(rgb: Tensor) -> Tensor:
    return (rgb * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True).mean((2, 3), keepdim=True)


def test_tones_are_brightest_luma_darkest(photos: Tensor) -> None:
    tones = ToneChannels()(photos)
    assert tones.shape == photos.shape
    luma = (photos * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1)
    levels = torch.stack([photos.amax(1), luma, photos.amin(1)], 1)
    assert torch.allclose(tones, (levels - level(photos)) / (spread(photos) + TONE_FLOOR), atol=1e-5)
    assert tones[:, 1].mean((1, 2)).abs().max() < 1e-5


@pytest.mark.parametrize("shift", [-90.0, 60.0])
def test_brightness_shift_changes_nothing(photos: Tensor, shift: float) -> None:
    tones = ToneChannels()
    assert torch.allclose(tones(photos + shift), tones(photos), atol=1e-5)


@pytest.mark.parametrize("factor", [0.4, 1.6])
def test_contrast_changes_only_the_weight_of_the_floor(photos: Tensor, factor: float) -> None:
    # (a d) / (a d + floor) in place of d / (d + floor): known, the same for every pixel, and nearly 1
    ratio = factor * (spread(photos) + TONE_FLOOR) / (factor * spread(photos) + TONE_FLOOR)
    tones = ToneChannels()
    assert torch.allclose(tones(factor * photos + 10), ratio * tones(photos), atol=1e-5)
    assert (ratio - 1).abs().max() < 0.5


@pytest.mark.parametrize("turn", [0.1, 1 / 3, 0.5, 0.8])
def test_hue_leaves_brightest_and_darkest_channel(photos: Tensor, turn: float) -> None:
    photos = photos[:, :, ::4, ::4]
    pixels = photos.permute(0, 2, 3, 1).reshape(-1, 3) / 255
    turned = []
    for red, green, blue in pixels.tolist():
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        turned.append(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))
    other = 255 * torch.tensor(turned).view(len(photos), *photos.shape[2:], 3).permute(0, 3, 1, 2)
    assert (other - photos).abs().max() > 50  # the colours did change
    tones = ToneChannels()
    for channel in (0, 2):  # undone up to each picture's own mean and deviation of luma
        before = tones(photos)[:, channel, None] * (spread(photos) + TONE_FLOOR) + level(photos)
        after = tones(other)[:, channel, None] * (spread(other) + TONE_FLOOR) + level(other)
        assert torch.allclose(before, after, atol=1e-2)


@pytest.mark.parametrize("level_", [0.0, 128.0, 255.0])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_flat_pictures_give_finite_embeddings(level_: float, mode: str) -> None:
    net = CopyNet(SMALL).train(mode == "train")
    embeddings = net(torch.full((4, 3, 32, 32), level_))
    assert embeddings.isfinite().all()
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(4), atol=1e-5)


def test_blank_pictures_differ_by_colour() -> None:
    net = CopyNet(SMALL).eval()
    colours = torch.tensor([[200.0, 30, 30], [200, 31, 29], [200, 90, 30], [255, 255, 255], [0, 0, 0]])
    grain = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    embeddings = net(colours.view(5, 3, 1, 1) + grain)
    distance = torch.cdist(embeddings, embeddings)
    assert distance[0, 1] < 0.2
    assert distance[torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)].sort().values[1] > 0.5  # every other pair


def test_colours_are_no_part_of_pictures_with_content(photos: Tensor) -> None:
    net = CopyNet(SMALL).eval()
    assert torch.equal(content(photos), torch.ones(6, 1))
    before = net(photos)
    net.colours.weights.zero_()
    assert torch.equal(net(photos), before)
    assert content(torch.full((1, 3, 32, 32), 7.0)).item() == 0


@pytest.mark.parametrize("px", [32, 48, 57])
def test_form_and_norm(px: int) -> None:
    net = CopyNet(SMALL).eval()
    x = torch.randint(0, 256, (5, 3, px, px), generator=torch.Generator().manual_seed(0)).float()
    embeddings = net(x)
    assert embeddings.shape == (5, 16)
    assert embeddings.dtype == torch.float32
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(5), atol=1e-5)


def test_bf16_run_keeps_float32_embeddings(photos: Tensor) -> None:
    net = CopyNet(SMALL).eval()
    with torch.autocast("cpu", torch.bfloat16):
        low = net(photos)
    assert low.dtype == torch.float32
    assert torch.allclose(low.norm(dim=1), torch.ones(6), atol=1e-4)
    assert (low * net(photos)).sum(1).min() > 0.98


def test_every_parameter_learns(photos: Tensor) -> None:
    torch.manual_seed(0)
    net = CopyNet(SMALL).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):  # a residual branch opens with the first step: its last norm starts at zero
        optimizer.zero_grad()
        aim = torch.randn(6, 16, generator=torch.Generator().manual_seed(1))
        (net(photos) * aim).sum().backward()
        optimizer.step()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_residual_blocks_start_as_the_identity() -> None:
    net = CopyNet(SMALL)
    block = net.stages[1][1]  # type: ignore[index]
    x = torch.rand(2, 6, 8, 8)
    assert torch.equal(block(x), x)


def test_pictures_of_a_batch_do_not_mix_when_running(photos: Tensor) -> None:
    net = CopyNet(SMALL).eval()
    together, alone = net(photos), torch.cat([net(photo[None]) for photo in photos])
    assert torch.allclose(together, alone, atol=1e-5)


def test_embedding_follows_the_picture_not_its_tone(photos: Tensor) -> None:
    net = CopyNet(SMALL).eval()
    assert torch.allclose(net(photos + 40), net(photos), atol=1e-4)


def test_architecture_decides_the_shape() -> None:
    net = CopyNet(Architecture(stem=6, channels=(4, 8), strides=(2, 1), blocks=(0, 2), dim=10, pooled=2))
    assert net.head.weight.shape == (10, 12)
    assert net(torch.rand(3, 3, 32, 32)).shape == (3, 10)
    with pytest.raises(ValueError):
        CopyNet(Architecture(channels=(4, 8), strides=(2,), blocks=(0, 2)))


def test_background_takes_off_what_look_alikes_share() -> None:
    known = nn.functional.normalize(torch.randn(50, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    background = Background(8)
    embedding = nn.functional.normalize(known[:3] + 0.1, dim=1)
    assert torch.equal(background(embedding), embedding)  # empty: nothing changes
    background.embeddings = known
    for before, after in zip(embedding, background(embedding), strict=True):
        weights = torch.exp(known @ before / 0.05)
        expected = before - 0.7 * (weights[:, None] * known).sum(0) / weights.sum()
        assert torch.allclose(after, expected / expected.norm(), atol=1e-5)
