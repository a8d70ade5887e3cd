"""What the presets contain, and that every edit has dice of its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from twinpix.train import batched, batched_ops, views
from twinpix.train.data import Pictures
from twinpix.train.stream import ViewPairs
from twinpix.train.views import (
    HELD_OUT,
    Picture,
    card_edits,
    compose,
    hard_edits,
    make_variation,
    make_views,
    mild_edits,
    varying_edits,
)

PX = 48
# albumentations' edits of the families that are kept out of training
KEPT_OUT = {
    "perspective": {"Perspective", "GridDistortion", "ElasticTransform", "ThinPlateSpline", "OpticalDistortion"},
    "pixelate": {"Downscale", "Superpixels", "PixelDropout"},
    "collage": {"Mosaic", "RandomGridShuffle", "GridDropout"},
    "posterize": {"Posterize", "Solarize", "Equalize"},
}


@pytest.fixture(scope="module")
def others(toy: Pictures) -> Picture:
    return toy.pixels.permute(0, 2, 3, 1).numpy()


def all_edits(edits: list[Any]) -> list[Any]:
    """The edits and those inside of them."""
    inside = [edit.transforms if isinstance(edit, A.BaseCompose) else [] for edit in edits]
    return [one for edit, parts in zip(edits, inside, strict=True) for one in (edit, *all_edits(parts))]


def names(edits: list[Any]) -> set[str]:
    return {type(edit).__name__ for edit in all_edits(edits)}


def test_card_is_exactly_the_three_edits() -> None:
    zoom, jitter, salt = card_edits(PX)
    assert [type(edit).__name__ for edit in (zoom, jitter, salt)] == [
        "RandomResizedCrop", "ColorJitter", "SaltAndPepper",
    ]  # fmt: skip
    assert zoom.size == (PX, PX)
    assert zoom.scale == pytest.approx((1 / 1.5**2, 1.0))
    assert zoom.ratio == (1.0, 1.0)
    assert zoom.p == 1.0
    assert jitter.brightness == jitter.contrast == jitter.saturation == pytest.approx((0.4, 1.6))
    assert jitter.hue == pytest.approx((-0.3, 0.3))
    assert jitter.p == 0.9
    assert salt.amount == (0.005, 0.12)
    assert salt.p == 0.4


def test_card_zooms_up_to_150_percent_anywhere() -> None:
    ramp = np.tile(np.linspace(0, 255, 300).round().astype(np.uint8), (300, 1))
    picture = np.stack([ramp, ramp.T, ramp], 2)
    crop = compose(card_edits(60)[:1], np.random.default_rng(0))
    shown = np.stack([crop(image=picture)["image"] for _ in range(300)]).astype(float)
    across = (shown[:, :, -1, 0] - shown[:, :, 0, 0]).mean(1) / 255 * 60 / 59  # share of the width that is left
    assert 1 / 1.5 - 0.03 < across.min() < 1 / 1.5 + 0.03
    assert 0.95 < across.max() < 1.02
    assert shown[:, 0, 0, 0].max() > 60 and shown[:, 0, 0, 1].max() > 60  # crops reach the far corner


def test_salt_and_pepper_takes_up_to_12_percent() -> None:
    salt = compose(card_edits(PX)[2:], np.random.default_rng(0))
    grey = np.full((PX, PX, 3), 128, np.uint8)
    shares = np.array([(salt(image=grey)["image"][..., 0] != 128).mean() for _ in range(400)])
    assert (shares == 0).mean() == pytest.approx(0.6, abs=0.08)
    assert shares[shares > 0].min() < 0.03
    assert 0.1 < shares.max() <= 0.121


@pytest.mark.parametrize("preset, expected", [("card", 2), ("hard", 3)])
def test_presets_are_made_of_their_edits(
    preset: str, expected: int, others: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed: list[list[str]] = []

    def note(edits: list[Any], dice: np.random.Generator) -> A.Compose:
        composed.append([type(edit).__name__ for edit in edits])
        return compose(edits, dice)

    monkeypatch.setattr(views, "compose", note)
    make_views(preset, PX, others, 0)
    assert len(composed) == expected
    card = ["RandomResizedCrop", "ColorJitter", "SaltAndPepper"]
    assert (composed == [card, card]) == (preset == "card")
    assert composed[0] == card


def test_held_out_edits_are_in_no_preset(others: Picture) -> None:
    assert set(KEPT_OUT) == set(HELD_OUT)
    forbidden = set().union(*KEPT_OUT.values())
    used = names(card_edits(PX)) | names(mild_edits(PX)) | names(hard_edits(PX, others)) | names(varying_edits(PX))
    assert not used & forbidden
    assert {"RandomResizedCrop", "PasteOnto", "ImageCompression"} <= used  # the walk does see inside
    for name in forbidden:  # and the names are albumentations' own, or nothing would be tested
        assert hasattr(A, name), name


def test_held_out_edits_are_in_no_batched_view() -> None:
    known = {name.lower() for module in (batched, batched_ops) for name in dir(module)}
    assert not known & (set(HELD_OUT) | {name.lower() for names in KEPT_OUT.values() for name in names})


@pytest.mark.parametrize("preset", ["hard", "card"])
def test_seed_fixes_the_views(preset: str, others: Picture) -> None:
    def run(seed: int) -> NDArray[np.uint8]:
        first, second = make_views(preset, PX, others, seed)
        return np.stack([view(picture) for picture in others[:12] for view in (first, second)])

    assert np.array_equal(run(3), run(3))
    assert not np.array_equal(run(3), run(4))


@pytest.mark.parametrize("preset", ["hard", "card"])
def test_form_of_views(preset: str, others: Picture) -> None:
    tall = np.ascontiguousarray(np.tile(others[0], (2, 1, 1)))
    for picture in (*others[:10], tall):
        before = picture.copy()
        for view in make_views(preset, 40, others, 0):
            shown = view(picture)
            assert shown.shape == (40, 40, 3)
            assert shown.dtype == np.uint8
        assert np.array_equal(picture, before)  # the stored picture stays as it is


def test_card_makes_no_variations(others: Picture) -> None:
    vary = make_variation("card", PX, 0)
    assert all(np.array_equal(vary(picture), picture) for picture in others[:20])


def test_variations_are_new_pictures_and_repeatable(others: Picture) -> None:
    px, some, before = others.shape[1], others[:40], others.copy()
    makers = [make_variation("hard", px, seed) for seed in (0, 0, 1)]
    first, again, other = (np.stack([vary(picture) for picture in some]) for vary in makers)
    assert all(varied.shape == (px, px, 3) and varied.dtype == np.uint8 for varied in first)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    changed = [not np.array_equal(picture, varied) for picture, varied in zip(some, first, strict=True)]
    assert 0.5 < np.mean(changed) < 1  # 80 % are mirrored, turned or cut
    assert np.array_equal(others, before)  # the stored pictures stay as they are


def test_both_views_are_of_one_variation(toy: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = (lambda picture: picture, lambda picture: picture)
    monkeypatch.setattr("twinpix.train.stream.make_views", lambda *_: plain)
    pairs = ViewPairs(toy, "hard", PX, 0)
    seen = [pairs[index][:2] for index in range(20)]
    assert all(torch.equal(first, second) for first, second in seen)
    assert any(not torch.equal(first, toy.pixels[index]) for index, (first, _) in enumerate(seen))


def test_two_views_of_a_picture_differ(others: Picture) -> None:
    first, second = make_views("card", PX, others, 0)
    assert not any(np.array_equal(first(picture), second(picture)) for picture in others[:20])


class Probe(A.ImageOnlyTransform):  # type: ignore[misc]
    """Notes whether it fires."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.fired = False

    def apply(self, img: Picture, **params: Any) -> Picture:
        self.fired = True
        return img


def test_gates_of_edits_are_independent() -> None:
    apart, inside = [Probe() for _ in range(4)], [Probe(), Probe()]
    row = compose([*apart, A.OneOf(inside, p=0.5)], np.random.default_rng(0))
    dot = np.zeros((4, 4, 3), np.uint8)
    draws = []
    for _ in range(800):
        for probe in (*apart, *inside):
            probe.fired = False
        row(image=dot)
        draws.append([*(p.fired for p in apart), any(p.fired for p in inside)])
    gates = np.array(draws, float)
    assert np.abs(gates.mean(0) - 0.5).max() < 0.08
    correlation = np.corrcoef(gates.T) - np.eye(5)
    assert np.abs(correlation).max() < 0.15  # four deviations


def test_one_seed_for_all_would_fire_them_together() -> None:
    # what `compose` is there for; should albumentations mend it, `compose` can go
    row = A.Compose([Probe(), Probe()], seed=0)
    dot, together = np.zeros((4, 4, 3), np.uint8), 0
    for _ in range(50):
        for probe in row.transforms:
            probe.fired = False
        row(image=dot)
        together += row.transforms[0].fired == row.transforms[1].fired
    assert together == 50


def test_every_edit_of_the_hard_preset_has_its_own_dice(others: Picture) -> None:
    edits = all_edits(compose(hard_edits(PX, others), np.random.default_rng(0)).transforms)
    states = {edit.py_random.getstate() for edit in edits}
    fields = {edit.random_generator.bit_generator.state["state"]["state"] for edit in edits}
    assert len(edits) > 20
    assert len(states) == len(fields) == len(edits)


@pytest.mark.parametrize("side", [0, 1])
def test_kinds_of_view_come_in_their_shares(side: int, others: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {id_: kind for kind, id_ in (("card", 2), ("mild", 3), ("hard", 4))}

    def tagged(edits: list[Any], dice: np.random.Generator) -> Any:
        kind = "hard" if len(edits) > 6 else "card" if len(edits) == 3 else "mild"
        return lambda image: {"image": next(i for i, k in kinds.items() if k == kind)}

    monkeypatch.setattr(views, "compose", tagged)
    view = make_views("hard", PX, others, 0)[side]
    seen = Counter(kinds[int(view(others[0]))] for _ in range(3000))
    shares = (views.FIRST, views.SECOND)[side]
    assert set(seen) == set(shares)
    for kind, share in shares.items():
        assert seen[kind] / 3000 == pytest.approx(share, abs=0.04)


def test_batched_views_use_the_same_shares(others: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: Counter[str] = Counter()

    def counted(kind: str) -> Any:
        def view(x: torch.Tensor, studio: batched.Studio) -> torch.Tensor:
            drawn[kind] += len(x)
            return x[..., :8, :8]

        return view

    for kind in batched.KINDS:
        monkeypatch.setitem(batched.KINDS, kind, counted(kind))
    pixels = torch.zeros(4000, 3, 8, 8, dtype=torch.uint8)
    many = Pictures(pixels, torch.arange(4000), tuple(map(str, range(4000))), 0)
    next(batched.batched_batches(many, "hard", 8, 4000, 0, torch.device("cpu")))
    for kind in ("card", "mild", "hard"):
        expected = views.FIRST.get(kind, 0) + views.SECOND.get(kind, 0)
        assert drawn[kind] / 4000 == pytest.approx(expected, abs=0.05)
