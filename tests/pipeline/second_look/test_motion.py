"""Nothing moves in a copy; in a second shot, near things move against far ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from twinpix.pipeline.bench.edits import jitter, perspective, zoom
from twinpix.pipeline.second_look.agreement import agree
from twinpix.pipeline.second_look.align import Alignment, alignments, superpose
from twinpix.pipeline.second_look.judge import STILL, TILTED_STILL
from twinpix.pipeline.second_look.look import look
from twinpix.pipeline.second_look.motion import measure, refine
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.pipeline.second_look.verify import verify


def scene(seed: int, width: int = 480, height: int = 360) -> Image.Image:
    """Blobs and stripes of all sizes."""
    dice = np.random.default_rng(seed)
    layers = [Image.fromarray(dice.integers(0, 256, (height // s, width // s, 3), dtype=np.uint8)) for s in (8, 24, 60)]
    planes = [np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC), float) for layer in layers]
    return Image.fromarray(np.mean(planes, 0).astype(np.uint8))


def second_shot(seed: int, parallax: int) -> Image.Image:
    """The same scene, its lower half (nearer) shifted by `parallax` px."""
    levels = np.asarray(scene(seed)).copy()
    half = len(levels) // 2
    levels[half:] = np.roll(levels[half:], parallax, axis=1)
    return Image.fromarray(levels)


def first_alignment(query: Image.Image, reference: Image.Image) -> Alignment:
    return next(alignments(look(query), look(reference)))


@pytest.mark.parametrize("seed", range(3))
def test_nothing_moves_in_a_copy(seed: int) -> None:
    picture = scene(seed)
    for edit in (zoom(1.3), jitter(0.3)):
        sides = look(picture), look(edit(picture, np.random.default_rng(seed)))
        alignment = next(alignments(*sides))
        # a turned hue moves edges of the luma, but not of the brightest and the darkest channel
        assert refine(*sides, alignment, agree(superpose(*sides, alignment)).tone)[1] < STILL / 2
        assert verify(*sides) is Outcome.CONFIRMED


@pytest.mark.parametrize("seed", range(3))
def test_a_perspective_is_followed(seed: int) -> None:
    picture = scene(seed)
    copy = perspective(0.12)(picture, np.random.default_rng(seed))
    tilted = [a for a in alignments(look(picture), look(copy)) if a.is_tilted]
    assert refine(look(picture), look(copy), tilted[0])[1] < TILTED_STILL


@pytest.mark.parametrize("parallax", [3, 5])
def test_parallax_moves(parallax: int) -> None:
    query, reference = look(scene(1)), look(second_shot(1, parallax))
    _, motion = refine(query, reference, first_alignment(scene(1), second_shot(1, parallax)))
    assert motion > STILL
    assert verify(query, reference) is Outcome.REFUTED
    assert verify(reference, query) is Outcome.REFUTED


@pytest.mark.parametrize(("across", "down"), [(1.5, 0.0), (0.0, -1.0), (-0.7, 0.4)])
@pytest.mark.parametrize("factor", [1.0, 1.25])
def test_a_wrong_alignment_is_put_right(across: float, down: float, factor: float) -> None:
    # moved by (across, down) px it is wrong; the refinement finds back
    picture = scene(2)
    copy = zoom(factor)(picture, np.random.default_rng(0))
    for query, reference in ((picture, copy), (copy, picture)):
        sides = look(query), look(reference)
        right, _ = refine(*sides, first_alignment(query, reference))
        off = np.array([[1, 0, across], [0, 1, down], [0, 0, 1]], float)
        wrong = replace(right, matrix=off @ right.matrix)
        assert np.abs(measure(superpose(*sides, wrong)).shift).mean() > 0.2
        again, motion = refine(*sides, wrong, rounds=3)
        assert motion < STILL / 2
        assert np.abs(again.matrix - right.matrix)[:2, 2].max() < 0.3


def test_pictures_without_corners_say_nothing() -> None:
    grey = look(Image.new("RGB", (200, 200), "grey"))
    assert refine(grey, grey, Alignment(np.eye(3), False, 10, 10))[1] == 0.0
