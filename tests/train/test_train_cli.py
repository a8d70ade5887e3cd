"""`twinpix train` as people run it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import twinpix
from twinpix.encoder.network import Architecture
from twinpix.pipeline.cli import app
from twinpix.pipeline.limits import WIDER
from twinpix.train import make
from twinpix.train.data import Pictures
from twinpix.train.recipe import Recipe
from twinpix.train.rendered import render_pictures

QUICK = ("--size", "32", "--workers", "0", "--threads", "1", "--device", "cpu")
SMALL = ("--width", "0.5", "--depth", "0.25")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def image(pictures: Pictures, i: int) -> Image.Image:
    return Image.fromarray(pictures.pixels[i].permute(1, 2, 0).numpy())


@pytest.fixture(scope="module")
def drawn() -> Pictures:
    return render_pictures(420, 48, seed=3)


@pytest.fixture(scope="module")
def photos(drawn: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i in range(410):
        image(drawn, i).save(folder / f"{i:03}.png")
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    root = tmp_path_factory.mktemp("trained")
    places = ("--models", root / "models", "--work", root / "work")
    knobs = ("--epochs", "5", "--batch", "16", "--learning-rate", "0.001", "--small-share", "0.5", *SMALL)
    return root, run("train", "--data", photos, *places, "--name", "own", *knobs, *QUICK)


def test_train_end_to_end(trained: tuple[Path, Result]) -> None:
    root, result = trained
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    written = sorted(path.name for path in (root / "models").iterdir())
    assert written == ["own.json", "own.onnx", "own.safetensors"]
    assert not (root / "work" / "checkpoint.pt").exists()  # done: the same command starts anew
    assert re.search(r"\d\d:\d\d:\d\d 210 pictures to train on, 200 held back, 0 unreadable\n", result.stderr)
    assert len(re.findall(r"epoch \d+: recall at FMR 1e-04", result.stderr)) == 5
    assert f"wrote {root / 'models' / 'own.onnx'}" in result.stderr
    assert "Traceback" not in result.stderr


def test_model_finds_a_planted_duplicate(trained: tuple[Path, Result], drawn: Pictures, tmp_path: Path) -> None:
    model = trained[0] / "models" / "own.onnx"
    for i in range(411, 417):  # not among the pictures it was trained on
        image(drawn, i).save(tmp_path / f"{i}.png")
    image(drawn, 413).save(tmp_path / "copy.jpg", quality=85)
    encoder = twinpix.load_encoder(model)
    assert encoder(tmp_path / "411.png").shape == (256,)
    result = run("find-duplicates", tmp_path, "--model", model, "--threshold", "0.25", "--json", "--fail-on-duplicates")
    assert result.exit_code == 1, result.stderr
    report = json.loads(result.stdout)
    (group,) = report["groups"]
    assert sorted(Path(file).name for file in group["files"]) == ["413.png", "copy.jpg"]
    assert report["fingerprint"] == encoder.fingerprint
    assert run("is-duplicate", tmp_path / "413.png", tmp_path / "copy.jpg", "--model", model,
               "--threshold", "0.25").exit_code == 0  # fmt: skip
    assert run("is-duplicate", tmp_path / "413.png", tmp_path / "414.png", "--model", model,
               "--threshold", "0.25").exit_code == 1  # fmt: skip


def test_default_threshold_comes_from_the_calibration(trained: tuple[Path, Result], photos: Path) -> None:
    model = trained[0] / "models" / "own.onnx"
    result = run("is-duplicate", photos / "000.png", photos / "000.png", "--model", model, "--json")
    assert result.exit_code == 0, result.stderr
    outcome = json.loads(result.stdout)
    assert outcome["l2_distance"] == 0
    curve = twinpix.load_encoder(model).calibration
    assert outcome["threshold"] == pytest.approx(min(2, WIDER * curve.candidate_threshold(2)))
    assert outcome["unverified_threshold"] == pytest.approx(curve.pair_threshold)
    assert curve.second_look is not None and curve.second_look.pairs > 0


def test_fine_tuning_from_the_result(trained: tuple[Path, Result], photos: Path, tmp_path: Path) -> None:
    weights = trained[0] / "models" / "own.safetensors"
    places = ("--models", tmp_path / "models", "--work", tmp_path / "work")
    result = run(
        "train", "--data", photos, *places, "--init", weights, "--epochs", "0.5", "--batch", "32", *SMALL, *QUICK
    )
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "models" / "mine.onnx").exists()
    first, tuned = (twinpix.load_encoder(p) for p in (weights.with_suffix(".onnx"), tmp_path / "models" / "mine.onnx"))
    facts = json.loads((tmp_path / "models" / "mine.json").read_text())
    before, after = (facts["fine_tuning"][key] for key in ("before", "after"))
    assert set(before["recall"]) == set(after["recall"]) == {"zoom", "jitter", "salt", "card", "hard"}
    assert 0 < before["threshold"] < 2 and 0 < after["threshold"] < 2
    for word, score in (("before", before), ("after", after)):
        line = f"{word} fine-tuning: recall at FMR 1e-04 zoom {score['recall']['zoom']:.3f} "
        assert line in result.stderr and f"threshold {score['threshold']:.3f}" in result.stderr
    kept = before if facts["fine_tuning"]["kept"] == "weights of --init" else after
    assert (first.fingerprint != tuned.fingerprint) == (kept is after)
    written = facts["validation_recall_at_false_match_rate_1e-4"]
    assert written == kept["recall"]
    assert ("made it worse" in result.stderr) == (kept is before)


def test_baseline_autoencoder(photos: Path, drawn: Pictures, tmp_path: Path) -> None:
    options = ("--epochs", "2", "--name", "plain", "--models", tmp_path, "--threads", "1", "--device", "cpu")
    result = run("train", "--baseline", "autoencoder", "--data", photos, *options)
    assert result.exit_code == 0, result.stderr
    assert "epoch 2 of 2: cross-entropy" in result.stderr
    encoder = twinpix.load_encoder(tmp_path / "plain.onnx")
    assert encoder.dim == 256 and encoder.is_calibrated
    assert encoder.calibration.source == f"a tenth of {photos.name}" and encoder.calibration.pictures == 200
    assert encoder(image(drawn, 5)).shape == (256,)
    assert json.loads((tmp_path / "plain.json").read_text())["recipe"]["baseline"] == "autoencoder"


@pytest.mark.parametrize("option", [
    ("--koleo", "2"), ("--size", "64"), ("--learning-rate", "0.1"), ("--init", "x"), ("--limit", "500"),
])  # fmt: skip
def test_baseline_refuses_knobs_it_does_not_have(option: tuple[str, str]) -> None:
    result = run("train", "--baseline", "autoencoder", "--data", "x", "--device", "cpu", *option)
    assert f"leave out {option[0]}" in one_line_error(result)


def one_line_error(result: Result) -> str:
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.stderr.endswith(line + "\n")
    return line


def test_too_few_pictures(drawn: Pictures, tmp_path: Path) -> None:
    for i in range(20):
        image(drawn, i).save(tmp_path / f"{i}.png")
    result = run("train", "--data", tmp_path, "--models", tmp_path / "m", "--work", tmp_path / "w", *QUICK)
    assert "needs at least 400 different pictures, not 20" in one_line_error(result)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "m").exists() and not (tmp_path / "w").exists()


@pytest.mark.parametrize("options, says", [
    (["--data", "nowhere"], "nowhere: no such folder"),
    (["--data", "broken.tar"], "broken.tar: not a readable .tar shard"),
    (["--data", "photos", "--calibration", "photos"], "not trained on, not 0"),
    (["--data", "photos", "--init", "broken.tar"], "broken.tar: not a readable .safetensors file"),
    (["--data", "photos", "--init", "other.safetensors"], "--init: the weights are of a network of another shape"),
    (["--data", "photos", "--work", "old"], "checkpoint.pt is of another recipe, data or --init"),
])  # fmt: skip
def test_mistakes_are_one_line(
    options: list[str], says: str, photos: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import torch
    from safetensors.torch import save_file

    monkeypatch.chdir(tmp_path)
    Path("photos").symlink_to(photos)
    Path("broken.tar").write_bytes(b"no shard" * 100)
    Path("old").mkdir()
    torch.save({"origin": "another run"}, "old/checkpoint.pt")
    save_file({"x": torch.zeros(1)}, "other.safetensors")
    assert says in one_line_error(run("train", *options, "--epochs", "1", *QUICK))
    assert not Path("models").exists()


@pytest.mark.parametrize("option, value", [
    ("--epochs", "0"), ("--minutes", "-1"), ("--batch", "1"), ("--size", "16"), ("--threads", "0"), ("--workers", "-1"),
    ("--loss", "softmax"), ("--preset", "soft"), ("--device", "tpu"),
])  # fmt: skip
def test_impossible_values_are_refused(option: str, value: str) -> None:
    result = run("train", option, value)
    assert result.exit_code == 2
    assert option in result.stderr and "Traceback" not in result.stderr


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Calls of `make_model`, which does nothing."""
    calls: list[tuple[object, ...]] = []

    def note(*arguments: object) -> Path:
        calls.append(arguments)
        return Path("models/mine.onnx")

    monkeypatch.setattr(make, "make_model", note)
    return calls


def test_without_data_it_says_what_to_pass(asked: list[tuple[object, ...]]) -> None:
    result = run("train", *QUICK)
    assert result.exit_code == 0
    assert "--data FOLDER" in result.stderr and "make train DATA=FOLDER" in result.stderr
    assert "rendered" in result.stderr
    assert asked[0][1:3] == ([], [])


def test_with_data_it_says_no_such_thing(asked: list[tuple[object, ...]]) -> None:
    result = run("train", "--data", "a", "--data", "b.tar", "--calibration", "c", *QUICK)
    assert "rendered" not in result.stderr
    assert asked[0][1:3] == ([Path("a"), Path("b.tar")], [Path("c")])


def test_options_reach_the_recipe(asked: list[tuple[object, ...]]) -> None:
    options = {"--preset": "card", "--loss": "triplet", "--koleo": "0", "--minutes": "3", "--size": "128",
               "--batch": "7", "--seed": "9", "--learning-rate": "0.002", "--small-share": "0.25",
               "--temperature": "0.1", "--bank": "100", "--background": "0", "--dim": "128", "--width": "0.5",
               "--depth": "2"}  # fmt: skip
    run("train", *(part for pair in options.items() for part in pair), "--device", "cpu", "--threads", "1")
    run("train", "--device", "cpu", "--threads", "1")
    expected = Recipe(preset="card", loss="triplet", koleo=0.0, minutes=3.0, size=128, small_size=96, batch=7, seed=9)
    network = Architecture(12, (16, 32, 64, 128), (2, 2, 2, 1), (0, 2, 2, 4), 128, 3)
    expected = replace(expected, temperature=0.1, bank=100, background=0, architecture=network)
    assert asked[0][0] == replace(expected, learning_rate=0.002, small_share=0.25)
    assert asked[1][0] == replace(Recipe(), epochs=8)  # rendered pictures make no model to keep


def test_fine_tuning_takes_small_steps_unless_told(asked: list[tuple[object, ...]]) -> None:
    always = ("train", "--data", "a", "--init", "b.safetensors", "--device", "cpu", "--threads", "1")
    run(*always)
    run(*always, "--learning-rate", "0.001", "--epochs", "50", "--weights", "fp32", "--limit", "500")
    gentle, told = asked[0][0], asked[1][0]
    assert isinstance(gentle, Recipe)
    assert gentle.learning_rate < Recipe().learning_rate / 2 and gentle.epochs < Recipe().epochs
    assert gentle.small_share == 0
    assert told == replace(gentle, learning_rate=0.001, epochs=50)
    given = Path("b.safetensors")
    assert [call[8:] for call in asked] == [(given, "int8", None), (given, "fp32", 500)]


def test_home_folder_is_found(asked: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run("train", "--data=~/Pictures", "--calibration=~/other", "--init=~/a.safetensors", "--device", "cpu")
    assert asked[0][1:3] == ([tmp_path / "Pictures"], [tmp_path / "other"])
    assert asked[0][8] == tmp_path / "a.safetensors"


@pytest.mark.parametrize("size", [32, 40, 64, 96, 160])
def test_run_never_starts_larger_than_it_ends(size: int, asked: list[tuple[object, ...]]) -> None:
    assert run("train", "--size", str(size), "--device", "cpu", "--threads", "1").exit_code == 0
    recipe = asked[0][0]
    assert isinstance(recipe, Recipe)
    assert 32 <= recipe.small_size <= recipe.size == size


def test_no_cuda_is_said(asked: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no CUDA device is available: pass --device cpu" in one_line_error(run("train", "--device", "cuda"))
    assert not asked
