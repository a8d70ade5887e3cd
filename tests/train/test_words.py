"""Training the word model on a tiny network: that it learns, goes on after a kill, and exports what it learned."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from twinpix.encoder.errors import InputError
from twinpix.encoder.word_network import WordArchitecture, WordNet
from twinpix.encoder.words import WORDS, WordModel
from twinpix.pipeline.cli import app
from twinpix.train import run, words, written
from twinpix.train.data import Pictures
from twinpix.train.export import ParityError, load_weights
from twinpix.train.rendered import render_pictures
from twinpix.train.words import WordRecipe, export_words, start_words, train_words, word_recall
from twinpix.train.written import PX, UNKNOWN, Written, draw_crop

CPU = torch.device("cpu")
SMALL = WordArchitecture((4, 6, 8), (0, 0))
QUICK = WordRecipe(minutes=0.02, batch=4, architecture=SMALL)


def silent(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return render_pictures(24, 144, seed=2)


@pytest.fixture
def fake_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second a step: as much is learned on a slow machine."""
    seconds = itertools.count()
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: next(seconds)))


def test_crops_have_words_on_half_of_them_and_say_where(pictures: Pictures) -> None:
    dice = np.random.default_rng(5)
    drawn = [draw_crop(dice, pictures) for _ in range(80)]
    luma, labels = (np.stack(side) for side in zip(*drawn, strict=True))
    assert luma.shape == (80, PX, PX) and labels.shape == (80, 16, 16) and luma.dtype == labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, 1, UNKNOWN}
    assert 0.35 < (labels == 1).any((1, 2)).mean() < 0.75
    # letters have edges: where words are, luma varies more than elsewhere
    spread = luma.reshape(80, 16, 8, 16, 8).astype(float).std((2, 4))
    assert np.median(spread[labels == 1]) > 2 * np.median(spread[labels == 0])


def test_the_same_seed_draws_the_same(pictures: Pictures) -> None:
    first, again, other = (list(itertools.islice(iter(Written(pictures, seed)), 3)) for seed in (1, 1, 2))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a[0], b[0]) for a, b in zip(first, other, strict=True))


def test_other_packages_fonts_are_not_needed(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "_files", list)
    monkeypatch.setattr(written, "_outlines", list)
    dice = np.random.default_rng(5)
    assert sum((draw_crop(dice, pictures)[1] == 1).any() for _ in range(20)) > 5


def test_a_run_learns_to_find_words(pictures: Pictures, tmp_path: Path, fake_clock: None) -> None:
    said: list[str] = []
    recipe = replace(QUICK, minutes=150 / 60, batch=16, learning_rate=1e-2, average=0.9,
                     architecture=WordArchitecture((8, 12, 16), (0, 0)))  # fmt: skip
    net = train_words(recipe, pictures, tmp_path, CPU, 0, said.append)
    luma, labels = next(words._crops(replace(recipe, batch=100), pictures, 9, 0))
    with torch.inference_mode():
        logits = net(luma.float())
    assert not net.training
    assert logits[labels == 1].median() > logits[labels == 0].median() + 1
    assert said and "loss" in said[0]


def test_a_killed_run_goes_on_and_another_one_is_told(pictures: Pictures, tmp_path: Path, fake_clock: None) -> None:
    train_words(QUICK, pictures, tmp_path, CPU, 0, silent)
    said: list[str] = []
    net = train_words(QUICK, pictures, tmp_path, CPU, 0, said.append)  # its time is up: nothing more is learned
    assert said[0].startswith(f"going on from {tmp_path / 'words.pt'}: ")
    again = train_words(QUICK, pictures, tmp_path, CPU, 0, silent)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    with pytest.raises(InputError, match="of another recipe, data or --init"):
        train_words(replace(QUICK, seed=1), pictures, tmp_path, CPU, 0, silent)


def test_what_is_exported_computes_the_same(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = start_words(QUICK, CPU).average
    export_words(net, tmp_path / WORDS)
    luma = np.random.default_rng(0).integers(0, 256, (384, 384)).astype(np.uint8)
    with torch.inference_mode():
        expected = net(torch.from_numpy(luma)[None].float())[0].numpy()
    np.testing.assert_allclose(WordModel(tmp_path).where(luma), expected, atol=1e-3)
    before = (tmp_path / WORDS).read_bytes()
    monkeypatch.setattr(words, "PARITY", -1.0)
    with pytest.raises(ParityError, match="log-odds differ"):
        export_words(net, tmp_path / WORDS)
    assert [path.name for path in tmp_path.iterdir()] == [WORDS], "no draft is left"
    assert (tmp_path / WORDS).read_bytes() == before


def test_recall_is_a_share(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MEASURED", 40)
    found = word_recall(WordNet(SMALL).eval(), pictures)
    assert set(found) == {"found", "falsely"} and all(0 <= share <= 1 for share in found.values())


def _photos(folder: Path) -> Iterator[Path]:
    drawn = render_pictures(410, 48, seed=3)
    for i in range(410):
        place = folder / ("held" if i < 205 else "photos")
        place.mkdir(exist_ok=True)
        Image.fromarray(drawn.pixels[i].permute(1, 2, 0).numpy()).save(place / f"{i:03}.png")
        yield place


def test_train_words_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(_photos(tmp_path))
    monkeypatch.setattr(words, "MEASURED", 40)
    models = tmp_path / "models"
    arguments = ["train-words", "--data", tmp_path / "photos", "--held-back", tmp_path / "held", "--models", models,
                 "--work", tmp_path / "work", "--minutes", "0.02", "--batch", "4", "--device", "cpu", "--workers", "0",
                 ]  # fmt: skip
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.stderr
    assert "205 pictures to train on, 205 held back, 0 unreadable" in done.stderr
    assert f"wrote {models / WORDS}" in done.stderr
    assert sorted(path.name for path in models.iterdir()) == ["words.json", WORDS, "words.safetensors"]
    facts = json.loads((models / "words.json").read_text())
    assert (
        facts["trained_on"] == "205 pictures of photos" and facts["measured_on"] == "40 crops of 205 pictures of held"
    )
    assert 0 <= facts["found"] <= 1 and str(tmp_path) not in json.dumps(facts)
    assert not (tmp_path / "work" / "words.pt").exists()
    WordModel(models)
    assert load_weights(models / "words.safetensors")["head.weight"].shape == (1, 48, 1, 1)
