"""From pictures to a finished model: who is trained on, who is held back, what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import twinpix
from twinpix.encoder.errors import InputError
from twinpix.encoder.network import CopyNet
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.session import sha256_of
from twinpix.pipeline.calibration.calibrate import calibrate
from twinpix.train import make
from twinpix.train.data import Pictures, twins_among
from twinpix.train.export import load_weights, read_metadata, save_weights
from twinpix.train.loop import BACKGROUND, Machine, start
from twinpix.train.make import load_sets, make_model
from twinpix.train.recipe import Recipe
from twinpix.train.rendered import render_pictures
from twinpix.train.validate import Validation, distinct, embed

HERE = Machine("cpu", workers=0)


@pytest.fixture(scope="module")
def many() -> Pictures:
    """450 different pictures of 48 px, and copies of the first 20 of them as their near twins."""
    drawn = render_pictures(450, 48, seed=2)
    pixels = torch.cat([drawn.pixels, drawn.pixels[:20]]).share_memory_()  # type: ignore[no-untyped-call]
    identity = torch.cat([drawn.identity, torch.arange(20)])
    return Pictures(pixels, identity, drawn.names + tuple(f"copy/{i}" for i in range(20)), 3)


def save(pictures: Pictures, rows: range, folder: Path) -> Path:
    folder.mkdir()
    for i in rows:
        Image.fromarray(pictures.pixels[i].permute(1, 2, 0).numpy()).save(folder / f"{i:04}.png")
    return folder


def of(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Let every source be these pictures; notes (px, number of sources)."""
    asked: list[tuple[int, int]] = []

    def load(sources: list[Path], px: int, limit: int | None = None) -> Pictures:
        asked.append((px, len(sources)))
        return pictures

    monkeypatch.setattr(make, "load_pictures", load)
    return asked


def test_held_back_pictures_are_not_trained_on(many: Pictures, tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = of(many, monkeypatch)
    pictures, other = load_sets(tiny, [Path("a"), Path("b")], [])
    assert asked == [(48, 2)]  # half as large again as the network's input
    assert len(pictures) + len(other) == len(many)
    assert set(pictures.names) | set(other.names) == set(many.names)
    assert not set(pictures.names) & set(other.names)
    assert not set(pictures.identity.tolist()) & set(other.identity.tolist())  # near twins stay together
    assert not twins_among(other.pixels, pictures.pixels).any()
    assert len(other.identity.unique()) == 200  # type: ignore[no-untyped-call]  # what calibration needs
    for part in (pictures, other):  # rows stay together
        at = [many.names.index(name) for name in part.names]
        assert torch.equal(part.pixels, many.pixels[at]) and torch.equal(part.identity, many.identity[at])
        assert part.pixels.is_shared()  # type: ignore[no-untyped-call]


def test_a_tenth_is_held_back_of_larger_sets(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 3000
    of(Pictures(torch.zeros(n, 3, 4, 4, dtype=torch.uint8), torch.arange(n), tuple(map(str, range(n))), 0), monkeypatch)
    pictures, other = load_sets(tiny, [Path("a")], [])
    assert (len(pictures), len(other)) == (2700, 300)


def test_seed_decides_who_is_held_back(many: Pictures, tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    of(many, monkeypatch)
    names = [load_sets(replace(tiny, seed=seed), [Path("a")], [])[1].names for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("different, enough", [(399, False), (400, True)])
def test_too_few_pictures_are_refused_as_the_message_says(
    different: int, enough: bool, tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = different + 5
    identity = torch.arange(n).clamp(max=different - 1)  # the last six are one picture
    of(Pictures(torch.zeros(n, 3, 4, 4, dtype=torch.uint8), identity, tuple(map(str, range(n))), 0), monkeypatch)
    if enough:
        assert len(load_sets(tiny, [Path("a")], [])[0].identity.unique()) == 200  # type: ignore[no-untyped-call]
    else:
        with pytest.raises(InputError, match="at least 400 different pictures, not 399"):
            load_sets(tiny, [Path("a")], [])


def test_without_data_it_trains_on_rendered_pictures(tiny: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "RENDERED", 410)
    pictures, other = load_sets(tiny, [], [])
    assert (len(pictures), len(other)) == (210, 200)
    assert all(name.startswith("rendered/") for name in pictures.names)


def test_own_calibration_pictures_that_are_trained_on_are_left_out(
    many: Pictures, tiny: Recipe, tmp_path: Path
) -> None:
    data = save(many, range(200, 240), tmp_path / "data")
    back = save(many, range(215), tmp_path / "back")
    pictures, other = load_sets(tiny, [data], [back])
    assert len(pictures) == 40
    assert sorted(Path(name).stem for name in other.names) == [f"{i:04}" for i in range(200)]


def test_too_few_calibration_pictures_are_refused_before_training(
    many: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "train", lambda *_: pytest.fail("trained before looking at the calibration pictures"))
    data, back = save(many, range(60), tmp_path / "data"), save(many, range(50, 255), tmp_path / "back")
    with pytest.raises(InputError, match="at least 200 different pictures that are not trained on, not 195"):
        make_model(tiny, [data], [back], "m", tmp_path / "models", tmp_path / "work", HERE, print)
    assert not (tmp_path / "models").exists()


@pytest.fixture(scope="module")
def made(many: Pictures, tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    root = tmp_path_factory.mktemp("made")
    data = save(many, range(430), root / "photos")
    (data / "note.txt").write_text("no picture")
    lines: list[str] = []
    path = make_model(tiny, [data], [], "small", root / "new" / "models", root / "work", HERE, lines.append)
    return path, lines


def test_writes_the_three_files(made: tuple[Path, list[str]]) -> None:
    path, _ = made
    assert path.name == "small.onnx"
    assert sorted(p.name for p in path.parent.iterdir()) == ["small.json", "small.onnx", "small.safetensors"]


def test_says_how_many_pictures(made: tuple[Path, list[str]]) -> None:
    assert made[1][0] == "230 pictures to train on, 200 held back, 1 unreadable"
    assert made[1][-1].startswith("epoch 2: recall at FMR 1e-04 zoom ")


def test_json_tells_how_it_was_made(made: tuple[Path, list[str]], tiny: Recipe) -> None:
    facts = json.loads(made[0].with_suffix(".json").read_text())
    inside = read_metadata(made[0])
    assert {key: facts[key] for key in inside} == inside
    assert facts["recipe"] == json.loads(json.dumps(tiny.to_dict()))
    assert facts["trained_on"] == "230 pictures of photos"
    assert facts["calibration"]["source"] == "a tenth of photos"
    assert facts["calibration"]["pictures"] == 200
    assert set(facts["validation_recall_at_false_match_rate_1e-4"]) == {"zoom", "jitter", "salt", "card", "hard"}
    assert facts["machine"].startswith("cpu, ")
    assert str(made[0].parent.parent) not in made[0].with_suffix(".json").read_text()


def test_result_loads_and_is_calibrated(made: tuple[Path, list[str]], many: Pictures, tiny: Recipe) -> None:
    encoder = twinpix.load_encoder(made[0])
    assert encoder.dim == 16
    assert encoder.preprocess == Preprocess(size=32, despeckle=True, reducing_gap=make.REDUCING_GAP)
    assert 0 <= encoder.calibration.pair_threshold < 2
    weights = load_weights(made[0].with_suffix(".safetensors"))
    net = CopyNet(tiny.architecture).eval()
    net.load_state_dict(weights)
    pictures = np.stack([encoder.prepare(p.permute(1, 2, 0).numpy()) for p in many.pixels[:5]])
    with torch.inference_mode():
        expected = net(torch.from_numpy(pictures).float()).numpy()
    assert np.abs(encoder.encode(pictures) - expected).max() < 1e-4


def test_calibration_is_measured_on_pictures_held_back(
    many: Pictures, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Pictures] = []
    monkeypatch.setattr(make, "calibrate_model", lambda path, preprocess, other, source: seen.append(other))
    monkeypatch.setattr(make, "export_onnx", lambda net, preprocess, path, weights, seen: None)
    monkeypatch.setattr(make, "write_facts", lambda path, facts: None)
    of(many, monkeypatch)
    make_model(replace(tiny, epochs=1), [Path("a")], [], "m", tmp_path, tmp_path / "work", HERE, lambda text: None)
    _, other = load_sets(tiny, [Path("a")], [])
    assert seen[0].names == other.names


class Scores:
    """Validation whose recalls are known beforehand."""

    def __init__(self, *means: float) -> None:
        self.means = iter(means)

    def recall(self, net: CopyNet, px: int) -> dict[str, float]:
        mean = next(self.means)
        return {"zoom": mean - 0.1, "card": mean + 0.1}


@pytest.mark.parametrize("before, after, kept", [
    (0.5, 0.6, "finished weights"), (0.5, 0.5, "finished weights"), (0.5, 0.4, "weights of --init"),
])  # fmt: skip
def test_fine_tuning_never_ends_worse(before: float, after: float, kept: str, many: Pictures, tiny: Recipe) -> None:
    nets, lines = (CopyNet(tiny.architecture).eval(), CopyNet(tiny.architecture).eval()), list[str]()
    scores: Validation = Scores(before, after)  # type: ignore[assignment]
    net, facts = make.better(*nets, scores, many, tiny, lines.append)
    assert net is nets[kept == "finished weights"]
    assert facts["fine_tuning"]["kept"] == kept
    assert facts["fine_tuning"]["before"]["recall"] == {"zoom": before - 0.1, "card": before + 0.1}
    assert [line.split(":")[0] for line in lines[:2]] == ["before fine-tuning", "after fine-tuning"]
    worse = [line for line in lines if "made it worse" in line and "are kept" in line]
    assert len(worse) == (after < before)


def test_few_pictures_keep_the_background_they_found(many: Pictures, tiny: Recipe, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shipped = CopyNet(tiny.architecture).eval()
    make.weigh_against(shipped, many, replace(tiny, background=400))
    save_weights(shipped, tmp_path / "w.safetensors")
    known = load_weights(tmp_path / "w.safetensors")[BACKGROUND]
    assert torch.equal(known, shipped.background.embeddings) and known.dtype == torch.float16
    again = start(tiny, torch.device("cpu"), load_weights(tmp_path / "w.safetensors")).average
    assert len(again.background.embeddings) == 0  # training goes without
    few = make.take(many, np.arange(len(many)) < 30)
    make.weigh_against(again, few, replace(tiny, background=100), known)
    assert len(again.background.embeddings) == 100
    assert torch.equal(again.background.embeddings[30:], known[:70])
    make.weigh_against(again, many, replace(tiny, background=100), known)  # enough of its own
    assert torch.allclose(again.background.embeddings.float(), known[:100].float(), atol=2e-3)


def test_thresholds_are_those_of_the_same_pictures(many: Pictures, tiny: Recipe) -> None:
    torch.manual_seed(0)
    net = CopyNet(tiny.architecture).eval()
    measured = make.measure(net, Scores(0.5), many, 32)  # type: ignore[arg-type]
    keep = distinct(many.identity)
    vectors = embed(net, torch.from_numpy(make.squeezed(many, keep, 32))).numpy()
    assert measured["threshold"] == pytest.approx(calibrate(vectors, "x").pair_threshold, abs=1e-4)


def test_near_twins_are_calibrated_once(made: tuple[Path, list[str]], many: Pictures, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(made[0].read_bytes())
    make.calibrate_model(path, Preprocess(size=32), many, "all of them")
    curve = twinpix.load_encoder(path).calibration
    assert (curve.pictures, curve.source) == (450, "all of them")
    assert curve.distances[0] > 0.001  # the copies would lie at 0


@pytest.mark.parametrize("here", [".", "./", "../photos"])
def test_data_is_named_whatever_the_path(here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    assert make.source_name([Path(here)], []) == "photos"
    assert make.source_name([], [Path(here)]) == "a tenth of photos"
    assert make.source_name([], []) == "rendered pictures"


def test_weights_to_start_from_are_looked_at_before_the_data(
    made: tuple[Path, list[str]], tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "load_sets", lambda *_: pytest.fail("read the data first"))
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    wide = replace(tiny, architecture=replace(tiny.architecture, dim=24))
    for recipe, init, words in (
        (tiny, tmp_path / "missing.safetensors", "missing.safetensors: not a readable"),
        (tiny, tmp_path / "bad.safetensors", "bad.safetensors: not a readable"),
        (wide, made[0].with_suffix(".safetensors"), "of another shape"),
    ):
        with pytest.raises(InputError, match=words):
            make_model(recipe, [tmp_path], [], "m", tmp_path / "m", tmp_path / "w", HERE, print, init)


@pytest.mark.parametrize("cut_in", ["calibrate_model", "write_facts", "finish"])
def test_a_run_that_was_cut_while_writing_is_mended_by_the_same_command(
    cut_in: str, made: tuple[Path, list[str]], tiny: Recipe, many: Pictures, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    of(many, monkeypatch)
    start_from = tmp_path / "m.safetensors"  # fine-tuned in place: what it starts from is what it replaces
    start_from.write_bytes(made[0].with_suffix(".safetensors").read_bytes())
    before, lines = start_from.read_bytes(), list[str]()

    def run() -> Path:
        recipe = replace(tiny, epochs=1)
        return make_model(recipe, [Path("a")], [], "m", tmp_path, tmp_path / "w", HERE, lines.append, start_from)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(make, cut_in, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        run()
    assert start_from.read_bytes() == before
    path = run()
    assert any(line.startswith("going on from") for line in lines)
    assert sum(line.startswith("epoch 1:") for line in lines) == 1  # not trained anew
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.onnx", "m.safetensors", "w"]
    assert not list((tmp_path / "w").iterdir())
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["fingerprint"] == twinpix.load_encoder(path).fingerprint
    assert facts["sha256"] == sha256_of(path)
