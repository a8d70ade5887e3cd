"""Training the pair model on a tiny network: that it learns, goes on after a kill, and exports what it learned."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from twinpix.encoder.errors import InputError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.encoder.pair_network import ComparisonArchitecture, PairArchitecture, PairNet
from twinpix.encoder.pairs import PairModel
from twinpix.pipeline.cli import app
from twinpix.pipeline.second_look.outcome import Outcome
from twinpix.train import make_pairs, pairs, run
from twinpix.train.data import Pictures
from twinpix.train.export import ParityError, load_weights
from twinpix.train.make import squeezed
from twinpix.train.make_pairs import export_pairs, gather
from twinpix.train.pairs import Crowd, PairRecipe, negatives, pair_recall, pair_views, start_pairs, train_pairs
from twinpix.train.rendered import render_pictures

CPU = torch.device("cpu")
SMALL = PairArchitecture(
    4, (4, 6, 8), (2, 2, 1), (0, 0, 0), ComparisonArchitecture(2, 4, 4, 8), ComparisonArchitecture(1, 4, 4, 8)
)
FILES = ["glance.onnx", "pairs.onnx", "parts.onnx"]
QUICK = PairRecipe(minutes=0.05, batch=8, hard=2, easy=1, architecture=SMALL)


def silent(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    """24 rendered pictures; embeddings are random, so that any two look alike."""
    pictures = render_pictures(24, 96, seed=2)
    vectors = torch.nn.functional.normalize(torch.randn(24, 8, generator=torch.Generator().manual_seed(0)))
    return Crowd(pictures, vectors, (vectors @ vectors.T).topk(8, 1).indices)


def test_a_run_learns_to_tell_copies_from_others(crowd: Crowd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    seconds = itertools.count()  # a second a step: as much is learned on a slow machine
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    recipe = replace(QUICK, minutes=200 / 60, learning_rate=5e-3, trunk_rate=5e-3, average=0.9)
    before = pair_recall(start_pairs(recipe, CPU, {}).average, crowd, 0.0)
    net = train_pairs(recipe, crowd, tmp_path, CPU, said.append, {})
    after = pair_recall(net, crowd, 0.0)
    assert not net.training
    assert after["copies_kept"] - after["look_alikes_kept"] > before["copies_kept"] - before["look_alikes_kept"] + 0.3
    assert said and "loss" in said[0]


def test_a_killed_run_goes_on_and_another_one_is_told(crowd: Crowd, tmp_path: Path) -> None:
    train_pairs(QUICK, crowd, tmp_path, CPU, silent, {})
    said: list[str] = []
    net = train_pairs(QUICK, crowd, tmp_path, CPU, said.append, {})  # its time is up: nothing more is learned
    assert said == [f"going on from {tmp_path / 'pairs.pt'}: 0.1 min done"]
    again = train_pairs(QUICK, crowd, tmp_path, CPU, silent, {})
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    with pytest.raises(InputError, match="of another recipe, data or --init"):
        train_pairs(replace(QUICK, seed=1), crowd, tmp_path, CPU, silent, {})
    (tmp_path / "pairs.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        train_pairs(QUICK, crowd, tmp_path, CPU, silent, {})
    with pytest.raises(InputError, match="at least two pictures"):
        one = replace(crowd.pictures, names=crowd.pictures.names[:1])
        train_pairs(QUICK, replace(crowd, pictures=one), tmp_path / "new", CPU, silent, {})


def test_weights_of_the_same_name_and_shape_are_taken_over() -> None:
    init = {"stem.0.weight": torch.ones(4, 3, 3, 3), "closely.head.0.weight": torch.ones(1, 1), "other": torch.ones(1)}
    net = start_pairs(QUICK, CPU, init).net
    assert torch.equal(net.state_dict()["stem.0.weight"], init["stem.0.weight"])
    assert net.closely.head[0].weight.shape == (8, 16)


def test_negatives_are_the_nearest_and_some_others_never_a_copy(crowd: Crowd) -> None:
    identity = torch.arange(24)
    identity[1] = 0  # two pictures of one
    some = replace(crowd, pictures=replace(crowd.pictures, identity=identity))
    rows = torch.tensor([0, 1, 5, 6, 7, 0])
    others, known = negatives(rows, some, 2, 1)
    assert others.shape == known.shape == (6, 3) and known.all()
    assert (identity[rows][:, None] != identity[rows[others]]).all()
    likeness = crowd.vectors[rows] @ crowd.vectors[rows].T
    likeness[identity[rows][:, None] == identity[rows][None]] = -2
    assert torch.equal(others[:, 0], likeness.argmax(1))
    _, known = negatives(torch.tensor([0, 1, 5]), some, 2, 1)
    assert known.tolist() == [[True, False, True], [True, False, True], [True, True, True]]


def test_batches_are_crowds_of_neighbours(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "CROWDS", (4,))
    for rows, first, second in itertools.islice(pair_views(QUICK, crowd, 0), 3):
        assert first.shape == second.shape == (8, 3, 96, 96) and first.dtype == torch.uint8
        assert torch.equal(rows[:4], crowd.near[rows[0], :4]) and torch.equal(rows[4:], crowd.near[rows[4], :4])
        assert (first != second).any()


def test_pictures_that_a_second_look_does_not_refute_are_one(encoder: OnnxEncoder) -> None:
    drawn = render_pictures(8, 144, seed=4)
    zoomed = drawn.pixels[:1, :, 36:108, 36:108].repeat_interleave(2, 2).repeat_interleave(2, 3)
    pixels = torch.cat([drawn.pixels, zoomed])
    said: list[str] = []
    found = gather(Pictures(pixels, torch.arange(9), tuple("abcdefghi"), 0), encoder, said.append)
    assert found.near.shape == (9, 9) and torch.equal(found.near[:, 0], torch.arange(9))
    assert found.pictures.identity[8] == found.pictures.identity[0]
    assert len(set(found.pictures.identity.tolist())) == 8
    assert said[0].startswith("a second look at ")


def test_what_is_exported_computes_the_same(crowd: Crowd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net, seen = PairNet(SMALL).eval(), squeezed(crowd.pictures, torch.arange(24), 96)
    with torch.no_grad():
        for part in ("closely", "at_a_glance"):  # untrained, it would say the same of all pairs
            net.state_dict()[f"{part}.head.2.weight"].mul_(2000)
    export_pairs(net, tmp_path, seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    model, maps = PairModel(tmp_path), net.describe(torch.from_numpy(seen).float()).detach()
    parts = model.parts(seen)
    np.testing.assert_allclose(parts, maps.numpy(), atol=2e-3)
    for how, exported in ((net.compare, model.logits), (net.glance, model.glance)):
        logits = how(maps[:-1], maps[1:]).detach().numpy()
        np.testing.assert_allclose(exported(parts[:-1], parts[1:]), logits, atol=0.05)
        assert logits.std() > 0.1
    monkeypatch.setattr(make_pairs, "INT8_GAP", -1.0)
    before = (tmp_path / "pairs.onnx").read_bytes()
    with pytest.raises(ParityError, match="log-odds differ"):
        export_pairs(net, tmp_path, seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES, "no draft is left"
    assert (tmp_path / "pairs.onnx").read_bytes() == before


def test_train_pairs_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = render_pictures(410, 48, seed=3)
    for i in range(410):
        place = tmp_path / ("held" if i < 205 else "photos")
        place.mkdir(exist_ok=True)
        Image.fromarray(drawn.pixels[i].permute(1, 2, 0).numpy()).save(place / f"{i:03}.png")
    # of drawings so small all look alike; the looks themselves are tested above
    monkeypatch.setattr(make_pairs, "look_again", lambda squares, found: (Outcome.REFUTED,) * len(found[0]))
    models = tmp_path / "models"
    arguments = ["train-pairs", "--data", tmp_path / "photos", "--held-back", tmp_path / "held", "--models", models,
                 "--work", tmp_path / "work", "--minutes", "0.02", "--batch", "4", "--device", "cpu"]  # fmt: skip
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.stderr
    assert "205 pictures to train on, 205 held back, 0 unreadable" in done.stderr
    assert f"wrote {models / 'pairs.onnx'}, and parts.onnx and glance.onnx beside it" in done.stderr
    names = sorted(path.name for path in models.iterdir())
    assert names == sorted([*FILES, "glance.json", "pairs.json", "pairs.safetensors", "parts.json"])
    facts = json.loads((models / "pairs.json").read_text())
    assert facts["trained_on"] == "205 pictures of photos" and facts["measured_on"] == "205 pictures of held"
    assert 0 <= facts["copies_kept"] <= 1 and str(tmp_path) not in json.dumps(facts)
    assert not (tmp_path / "work" / "pairs.pt").exists()
    PairModel(models)
    assert load_weights(models / "pairs.safetensors")["locals.weight"].shape == (112, 128, 1, 1)
