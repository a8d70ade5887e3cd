"""The batched edits against albumentations, which defines what each one means.

Tolerances are in levels (0..255). albumentations rounds or cuts to whole levels after every edit and the batched
edits do not, hence 1 to 1.5 levels where nothing else differs; larger ones say why.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from albumentations.augmentations.blur import functional as blurs
from albumentations.augmentations.crops import functional as crops
from albumentations.augmentations.dropout import functional as dropouts
from albumentations.augmentations.geometric import functional as geometry
from albumentations.augmentations.pixel import functional as pixel
from torch import Tensor

from twinpix.train import batched
from twinpix.train import batched_ops as ops
from twinpix.train.data import Pictures
from twinpix.train.views import card_edits, hard_edits, mild_edits, varying_edits

CPU = torch.device("cpu")
PX = 64
WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def smooth_picture(seed: int, px: int = PX) -> np.ndarray:
    """uint8 (px, px, 3) with colour, edges and no symmetry."""
    noise = np.random.default_rng(seed).normal(size=(px, px, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), px / 16)
    picture = np.clip(128 + soft / soft.std() * 55, 0, 255).astype(np.uint8)
    cv2.rectangle(picture, (px // 8, px // 6), (px // 3, px // 2), (230, 40, 20), -1)
    return picture  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [smooth_picture(seed) for seed in range(3)]


def to_batch(pictures: list[np.ndarray]) -> Tensor:
    return torch.stack([torch.from_numpy(p.copy()).permute(2, 0, 1).float() for p in pictures])


def gap(batch: Tensor, expected: list[np.ndarray]) -> np.ndarray:
    """|difference| in levels, (n, h, w, 3)."""
    return np.abs(batch.permute(0, 2, 3, 1).numpy() - np.stack(expected).astype(np.float64))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "op, reference, values, most",
    [
        (ops.brightness, pixel.adjust_brightness_torchvision, (0.4, 1.1, 1.6), 1.0),
        (ops.contrast, pixel.adjust_contrast_torchvision, (0.4, 1.1, 1.6), 1.5),
        (ops.saturation, pixel.adjust_saturation_torchvision, (0.4, 1.1, 1.6), 1.5),
        (ops.gamma, pixel.gamma_transform, (0.45, 1.0, 2.2), 1.01),
    ],
)
def test_tone_edits_equal_albumentations(
    pictures: list[np.ndarray], op: Any, reference: Any, values: tuple[float, ...], most: float
) -> None:
    expected = [reference(p, v) for p, v in zip(pictures, values, strict=True)]
    assert gap(op(to_batch(pictures), torch.tensor(values)), expected).max() <= most


def test_hue_equals_albumentations(pictures: list[np.ndarray]) -> None:
    # albumentations keeps hue in steps of 2 degrees and saturation in 8 bits: at most 9 levels, 1.5 on average
    turns = (-0.3, 0.1, 0.3)
    expected = [pixel.adjust_hue_torchvision(p, t) for p, t in zip(pictures, turns, strict=True)]
    difference = gap(ops.hue(to_batch(pictures), torch.tensor(turns)), expected)
    assert difference.max() <= 9
    assert difference.mean() <= 1.5


def test_no_turn_of_hue_changes_nothing(pictures: list[np.ndarray]) -> None:
    x = to_batch(pictures)
    assert torch.allclose(ops.hue(x, torch.tensor([0.0, 1.0, -1.0])), x, atol=1e-2)


def test_grey_equals_albumentations(pictures: list[np.ndarray]) -> None:
    expected = [pixel.to_gray(p, 3, "weighted_average") for p in pictures]
    assert gap(ops.grey(to_batch(pictures)), expected).max() <= 1


def test_gaussian_blur_equals_albumentations(pictures: list[np.ndarray]) -> None:
    sigmas = (0.4, 1.3, 2.2)
    kernels = [blurs.create_gaussian_kernel_1d(s, 0) for s in sigmas]
    expected = [pixel.separable_convolve(p, kernel=k) for p, k in zip(pictures, kernels, strict=True)]
    assert gap(ops.gaussian_blur(to_batch(pictures), torch.tensor(sigmas)), expected).max() <= 1


class FixedShift:
    """Stands in for the random state that `create_motion_kernel` asks for its shifts."""

    def __init__(self, x: float, y: float) -> None:
        self.values = [x, y]

    def uniform(self, low: float, high: float) -> float:
        return self.values.pop(0)


def test_motion_kernels_equal_albumentations() -> None:
    dice = np.random.default_rng(0)
    for _ in range(60):
        size, degrees = int(dice.choice([3, 5, 7])), float(dice.uniform(0, 360))
        direction, x, y = (float(v) for v in dice.uniform(-1, 1, 3))
        kernel = blurs.create_motion_kernel(size, degrees, direction, True, FixedShift(x, y))
        expected = np.pad(kernel / kernel.sum(), (7 - size) // 2)
        found = ops.motion_kernels(*(torch.tensor([v]) for v in (size, degrees, direction)), torch.tensor([[x, y]]))  # type: ignore[call-arg,arg-type]
        assert np.allclose(found[0].numpy(), expected, atol=1e-6)


def test_convolve_equals_albumentations(pictures: list[np.ndarray]) -> None:
    kernels = ops.motion_kernels(torch.tensor([3, 5, 7]), torch.tensor([10.0, 80.0, 130.0]), torch.zeros(3),
                                 torch.full((3, 2), 0.3))  # fmt: skip
    expected = [pixel.convolve(p, kernel=k.numpy()) for p, k in zip(pictures, kernels, strict=True)]
    assert gap(ops.convolve(to_batch(pictures), kernels), expected).max() <= 1


def test_salt_and_pepper_shares_and_levels(pictures: list[np.ndarray]) -> None:
    amount, salt = torch.tensor([0.12, 0.05, 0.0]), torch.tensor([0.4, 0.6, 0.5])
    dice = batched.Dice(0, CPU).even(3, 1, PX, PX)
    noisy = ops.salt_and_pepper(to_batch(pictures), amount, salt, dice)
    rows = zip(dice, amount, salt, strict=True)
    masks = [((d < a * s)[0].numpy(), ((d < a) & (d >= a * s))[0].numpy()) for d, a, s in rows]
    expected = [pixel.apply_salt_and_pepper(p, *m) for p, m in zip(pictures, masks, strict=True)]
    assert gap(noisy, expected).max() == 0
    for i in range(3):  # the masks hold what was asked for, within four binomial deviations
        for mask, share in zip(masks[i], (amount[i] * salt[i], amount[i] * (1 - salt[i])), strict=True):
            assert abs(mask.mean() - float(share)) <= 4 * (float(share) / PX**2) ** 0.5


def test_gaussian_noise_equals_albumentations(pictures: list[np.ndarray]) -> None:
    sigma, normal = torch.tensor([5.0, 20.0, 41.0]), batched.Dice(0, CPU).normal(3, 3, PX, PX)
    noise = (normal * sigma.view(3, 1, 1, 1)).permute(0, 2, 3, 1).numpy()
    expected = [pixel.add_noise(p, n) for p, n in zip(pictures, noise, strict=True)]
    assert gap(ops.gaussian_noise(to_batch(pictures), sigma, normal), expected).max() <= 1


def test_jpeg_equals_albumentations(pictures: list[np.ndarray]) -> None:
    # albumentations hands RGB to OpenCV's BGR encoder; a real JPEG has them in order, so they are swapped here
    for quality in (10, 30, 50, 80, 95):
        expected = [pixel.image_compression(p[..., ::-1].copy(), quality, ".jpg")[..., ::-1] for p in pictures]
        found = ops.jpeg(to_batch(pictures), torch.full((3,), float(quality)))
        # the codec's integer cosine transform rounds otherwise: now and then a coefficient falls to the other side
        assert gap(found, expected).mean() <= 0.8
        assert np.quantile(gap(found, expected), 0.9) <= 2
        harm, asked = gap(found, pictures).mean(), gap(to_batch(expected), pictures).mean()
        assert harm == pytest.approx(asked, rel=0.05, abs=0.2)


def test_jpeg_takes_any_size(pictures: list[np.ndarray]) -> None:
    assert ops.jpeg(to_batch(pictures)[..., :50, :37], torch.full((3,), 40.0)).shape == (3, 3, 50, 37)


def test_crop_and_resize_equal_albumentations() -> None:
    # 192 px -> 64 px and a crop of half of it: INTER_AREA takes means over boxes, `warp` means of 3 x 3 samples
    picture = smooth_picture(5, 192)
    for left, top, side in ((0, 0, 192), (30, 60, 96), (96, 10, 96)):
        box = (left, top, left + side, top + side)
        expected = geometry.resize(crops.crop(picture, *box), (PX, PX), cv2.INTER_AREA)
        crop = torch.tensor([[left, top, side, side]]) / 192
        found = ops.warp(to_batch([picture]), WHOLE, ops.crop_map(crop), PX, 3)
        assert gap(found, [expected]).mean() <= 0.6


def test_crop_to_other_aspect_ratio_equals_albumentations() -> None:
    picture = smooth_picture(6, 192)
    expected = geometry.resize(crops.crop(picture, 20, 50, 140, 122), (96, 96), cv2.INTER_LINEAR)
    crop = torch.tensor([[20, 50, 120, 72]]) / 192
    difference = gap(ops.warp(to_batch([picture]), WHOLE, ops.crop_map(crop), 96), [expected])
    assert difference.mean() <= 1.5  # two means of samples against one sample: edges are a little softer


def test_flip_equals_albumentations(pictures: list[np.ndarray]) -> None:
    flip = torch.tensor([True, False, True])
    found = ops.warp(to_batch(pictures), WHOLE.expand(3, 4), ops.flip_map(flip), PX, 1)
    expected = [geometry.hflip(p) if f else p for p, f in zip(pictures, flip, strict=True)]
    assert gap(found, expected).max() <= 0.01


@pytest.mark.parametrize("turns, mirror, element", [
    (0, False, "e"), (1, False, "r90"), (2, False, "r180"), (3, False, "r270"),
    (0, True, "h"), (2, True, "v"), (1, True, "hvt"), (3, True, "t"),
])  # fmt: skip
def test_quarter_turns_and_mirrors_are_the_group_d4(
    pictures: list[np.ndarray], turns: int, mirror: bool, element: str
) -> None:
    zero = torch.zeros(1)
    source = ops.chain(ops.rotation_map(zero + 90 * turns, zero, zero), ops.flip_map(torch.tensor([mirror])))
    found = ops.warp(to_batch(pictures[:1]), WHOLE, source, PX, 1)
    assert gap(found, [geometry.d4(pictures[0], element)]).max() <= 0.05


@pytest.mark.parametrize("degrees, shear", [(20.0, (0.0, 0.0)), (-75.0, (0.0, 0.0)), (12.0, (6.0, -8.0))])
def test_rotation_and_shear_equal_albumentations(
    pictures: list[np.ndarray], degrees: float, shear: tuple[float, float]
) -> None:
    matrix = geometry.create_affine_transformation_matrix(
        {"x": 0, "y": 0}, {"x": shear[0], "y": shear[1]}, {"x": 1, "y": 1}, degrees, geometry.center((PX, PX))
    )
    warped = [geometry.warp_affine(p, matrix, cv2.INTER_LINEAR, 0, cv2.BORDER_CONSTANT, (PX, PX)) for p in pictures]
    source = ops.rotation_map(*(torch.tensor([v]) for v in (degrees, *shear)))
    found = ops.warp(to_batch(pictures), WHOLE.expand(3, 4), source.expand(3, 2, 3), PX, 1)
    # the picture's outer edge is cut hard here and faded over a pixel there; OpenCV has 1/32 px steps
    assert np.quantile(gap(found, warped), 0.95) <= 4
    assert gap(found, warped).mean() <= 1.5


def test_shrink_and_shift_equal_albumentations(pictures: list[np.ndarray]) -> None:
    scale, shift = (0.75, 0.9), (9, -5)
    matrix = geometry.create_affine_transformation_matrix(
        {"x": shift[0], "y": shift[1]}, {"x": 0, "y": 0}, {"x": scale[0], "y": scale[1]}, 0, geometry.center((PX, PX))
    )
    fill = (255, 255, 255)
    warped = [geometry.warp_affine(p, matrix, cv2.INTER_LINEAR, fill, cv2.BORDER_CONSTANT, (PX, PX)) for p in pictures]
    middle = 0.5 + torch.tensor(shift) / PX
    box = torch.cat([middle - torch.tensor(scale) / 2, middle + torch.tensor(scale) / 2]).expand(3, 4)
    identity = ops.crop_map(WHOLE.expand(3, 4))
    view = ops.warp(to_batch(pictures), box, identity, PX, 1)
    found = ops.blend(torch.tensor(255.0), view, ops.coverage(box, PX))
    assert gap(found, warped).mean() <= 1.0
    outside = ops.coverage(box, PX)[0, 0].numpy() == 0
    assert outside.any()
    assert (found.permute(0, 2, 3, 1).numpy()[:, outside] == 255).all()


def test_erase_equals_albumentations(pictures: list[np.ndarray]) -> None:
    holes = np.array([[4, 6, 20, 30], [40, 40, 50, 60]])
    expected = [dropouts.cutout(p, holes, 0, np.random.default_rng(0)) for p in pictures]
    boxes = torch.cat([torch.from_numpy(holes) / PX, torch.zeros(1, 4)]).float().expand(3, 3, 4)
    assert gap(ops.erase(to_batch(pictures), boxes), expected).max() == 0


def test_paste_equals_resize_into_a_box(pictures: list[np.ndarray]) -> None:
    front, box = smooth_picture(9), torch.tensor([[8, 16, 40, 48]]) / PX
    expected = pictures[0].copy()
    expected[16:48, 8:40] = cv2.resize(front, (32, 32), interpolation=cv2.INTER_AREA)
    assert gap(ops.paste(to_batch(pictures[:1]), to_batch([front]), box, 2), [expected]).max() <= 1


def test_caption_equals_put_text(pictures: list[np.ndarray]) -> None:
    line = ("Hello twin", (-3, 40), 2, 0.7)
    expected = cv2.putText(pictures[0].copy(), *line, (255, 0, 90), 1, cv2.LINE_AA)
    shape = torch.from_numpy(ops.caption_shape(PX, *line, 1))[None]
    found = ops.caption(to_batch(pictures[:1]), shape, torch.tensor([[255.0, 0.0, 90.0]]))
    assert shape.float().mean() > 3
    assert gap(found, [expected]).max() <= 3  # OpenCV blends in whole steps


def test_edits_do_not_mix_pictures(pictures: list[np.ndarray]) -> None:
    x = to_batch(pictures)
    alone = ops.jpeg(x[1:2], torch.tensor([30.0]))
    assert torch.allclose(ops.jpeg(x, torch.tensor([90.0, 30.0, 5.0]))[1:2], alone, atol=1.01)
    alone = ops.contrast(x[1:2], torch.tensor([1.5]))
    assert torch.allclose(ops.contrast(x, torch.tensor([0.5, 1.5, 1.0]))[1:2], alone)


def test_random_crops_stay_inside_and_in_range() -> None:
    crop = batched.random_crop(4000, (0.18, 0.8), (0.6, 1.67), batched.Dice(0, CPU))
    area, ratio = crop[:, 2] * crop[:, 3], crop[:, 2] / crop[:, 3]
    assert crop.min() >= 0
    assert (crop[:, :2] + crop[:, 2:]).max() <= 1 + 1e-6
    assert 0.18 <= area.min() < 0.2 and 0.75 < area.max() <= 0.8 + 1e-6
    assert 0.6 - 1e-6 <= ratio.min() < 0.65 and 1.55 < ratio.max() <= 1.67 + 1e-6


def test_like_webp_does_as_much_harm(pictures: list[np.ndarray]) -> None:
    photos = [smooth_picture(seed, 96) for seed in range(4)]
    for quality in (20, 40, 70):
        asked = gap(to_batch([pixel.image_compression(p, quality, ".webp") for p in photos]), photos).mean()
        found = ops.jpeg(to_batch(photos), batched.like_webp(torch.full((4,), float(quality))))
        assert 0.5 * asked <= gap(found, photos).mean() <= 2 * asked


def stored(n: int, px: int = 96) -> Pictures:
    pixels = torch.stack([torch.from_numpy(smooth_picture(s, px)).permute(2, 0, 1) for s in range(n)])
    return Pictures(pixels, torch.arange(n) + 100, tuple(map(str, range(n))), 0)


@pytest.mark.parametrize("preset", ["hard", "card"])
def test_batches_keep_the_contract(preset: str) -> None:
    some = stored(21)
    batches = list(batched.batched_batches(some, preset, 48, 8, 3, CPU))
    assert len(batches) == 2  # the last five are left out
    for batch in batches:
        for view in (batch.first, batch.second):
            assert view.shape == (8, 3, 48, 48) and view.dtype == torch.uint8
        assert batch.identity.dtype == torch.int64
        assert not torch.equal(batch.first, batch.second)
    seen = torch.cat([b.identity for b in batches])
    assert len(seen.unique()) == 16  # type: ignore[no-untyped-call]
    assert set(seen.tolist()) <= set(some.identity.tolist())
    assert torch.equal(some.pixels, stored(21).pixels)  # the pictures themselves stay as they are


def test_same_seed_same_batches_other_seed_others() -> None:
    some = stored(16)
    first, again, other = (next(batched.batched_batches(some, "hard", 48, 16, s, CPU)) for s in (1, 1, 2))
    assert torch.equal(first.identity, again.identity) and torch.equal(first.second, again.second)
    assert not torch.equal(first.identity, other.identity)
    assert not torch.equal(first.second, other.second)


def test_views_show_their_own_picture() -> None:
    pixels = torch.zeros(6, 3, 48, 48, dtype=torch.uint8)
    pixels[3:, 1] = 250  # black ones and green ones
    some = Pictures(pixels, torch.tensor([0, 0, 0, 1, 1, 1]), tuple("abcdef"), 0)
    batch = next(batched.batched_batches(some, "card", 32, 6, 0, CPU))
    bright = batch.first.float().amax(1).flatten(1).median(1).values > 60
    assert torch.equal(bright.long(), batch.identity)


def test_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="choose from hard, card"):
        next(batched.batched_batches(stored(4), "soft", 48, 2, 0, CPU))


@pytest.mark.parametrize("kind", ["hard", "card", "mild"])
def test_views_are_as_strong_as_those_of_albumentations(kind: str) -> None:
    # 512 views each way: mean level, contrast and detail, and how far views lie from the plain picture
    some = stored(64)
    pictures = some.pixels.permute(0, 2, 3, 1).numpy()
    edits = {"hard": hard_edits(48, pictures), "card": card_edits(48), "mild": mild_edits(48)}[kind]
    asked = torch.stack([torch.from_numpy(v) for v in edit_apart(edits, np.tile(pictures, (8, 1, 1, 1)))])
    many = some.pixels.repeat(8, 1, 1, 1)
    found = batched.make_view(many, {kind: 1.0}, batched.open_studio(some.pixels, 48, 0, CPU))
    plain = torch.nn.functional.interpolate(many.float(), (48, 48), mode="area")
    expected = summary(asked.permute(0, 3, 1, 2), plain)
    for name, value in summary(found, plain).items():
        assert value == pytest.approx(expected[name], rel=0.12), name


def test_variations_are_as_strong_as_those_of_albumentations() -> None:
    some = stored(64)
    many = some.pixels.repeat(8, 1, 1, 1)
    asked = torch.stack([torch.from_numpy(v) for v in edit_apart(varying_edits(96), many.permute(0, 2, 3, 1).numpy())])
    found = batched.vary(many, batched.open_studio(some.pixels, 48, 0, CPU))
    assert found.shape == many.shape and found.dtype == torch.uint8
    expected = summary(asked.permute(0, 3, 1, 2), many.float())
    for name, value in summary(found, many.float()).items():
        assert value == pytest.approx(expected[name], rel=0.12), name


def test_both_views_are_of_one_variation(monkeypatch: pytest.MonkeyPatch) -> None:
    some = stored(16)
    monkeypatch.setattr(batched, "make_view", lambda pictures, mixture, studio: pictures)
    for preset, varies in (("hard", True), ("card", False)):
        batch = next(batched.batched_batches(some, preset, 48, 16, 0, CPU))
        assert torch.equal(batch.first, batch.second)
        assert torch.equal(batch.first, some.pixels[batch.identity - 100]) != varies


def test_views_of_several_batches_are_made_in_one_go_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [batched.made_at_once(batch, "cuda") for batch in (128, 1000, 8192, 9000)] == [8192, 8000, 8192, 9000]
    assert batched.made_at_once(128, "cpu") == 128
    asked: list[int] = []

    def view(pictures: Tensor, mixture: dict[str, float], studio: object) -> Tensor:
        asked.append(len(pictures))
        return pictures

    some = stored(21)
    monkeypatch.setattr(batched, "made_at_once", lambda batch, device: 2 * batch)
    monkeypatch.setattr(batched, "make_view", view)
    batches = list(batched.batched_batches(some, "card", 48, 4, 0, CPU))
    assert asked == [8, 8, 8, 8, 4, 4]
    assert [len(batch.identity) for batch in batches] == [4] * 5
    for batch in batches:
        assert torch.equal(batch.first, some.pixels[batch.identity - 100])


def test_a_gpu_takes_some_passes_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [batched.passes(n, "cuda") for n in (2, 18_097, 2**18, 10**7)] == [2**19, 58, 4, 1]
    assert batched.passes(100, "cpu") == 1
    monkeypatch.setattr(batched, "passes", lambda pictures, device: 3)
    batches = list(batched.batched_batches(stored(21), "card", 48, 8, 3, CPU))
    assert [len(batch.identity) for batch in batches] == [8] * 6
    orders = [
        tuple(torch.cat([one.identity, two.identity]).tolist())
        for one, two in zip(batches[::2], batches[1::2], strict=True)
    ]
    assert len(set(orders)) == 3  # each pass has its own
    assert all(len(set(order)) == 16 for order in orders)  # and no picture twice


def test_the_next_is_made_while_one_is_used() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for i in range(4):
            made.append(i)
            if i == 1:
                second.set()
            yield i

    coming = batched.ahead(items())
    assert next(coming) == 0
    assert second.wait(10)  # nobody has asked for it
    assert [*coming] == [1, 2, 3] and made == [0, 1, 2, 3]


def test_what_fails_ahead_is_told() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise RuntimeError("out of memory")

    coming = batched.ahead(items())
    assert next(coming) == 1
    with pytest.raises(RuntimeError, match="out of memory"):
        next(coming)


def edit_apart(edits: list[A.BasicTransform], pictures: np.ndarray) -> list[np.ndarray]:
    """Every edit with a seed of its own: one `Compose(seed=...)` seeds all alike, and they then fire together."""
    own = [A.Compose([edit], seed=97 * i + 5) for i, edit in enumerate(edits)]
    views = []
    for picture in pictures:
        for edit in own:
            picture = edit(image=picture)["image"]
        views.append(picture)
    return views


def summary(views: Tensor, plain: Tensor) -> dict[str, float]:
    x = views.float()
    return {
        "level": float(x.mean()),
        "contrast": float(x.flatten(1).std(1).mean()),
        "detail": float((x[..., 1:] - x[..., :-1]).abs().mean()),
        "distance": float((x - plain).abs().mean()),
    }
