"""One image against many."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import twinpix
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.explore.search import Neighbours, search, search_embeddings
from twinpix.pipeline.load import load_embeddings

Paint = Callable[..., Image.Image]
Command = Callable[..., Any]


@pytest.fixture
def many(tmp_path: Path, paint: Paint) -> Path:
    """Forty unrelated pictures in two folders."""
    for seed in range(40):
        folder = tmp_path / "many" / ("even" if seed % 2 == 0 else "odd")
        folder.mkdir(parents=True, exist_ok=True)
        paint(seed).save(folder / f"{seed}.png")
    return tmp_path / "many"


@pytest.fixture
def copy(tmp_path: Path, paint: Paint) -> Path:
    """Number 7 of them, smaller and recompressed."""
    paint(7).resize((160, 120)).save(tmp_path / "copy.jpg", quality=70)
    return tmp_path / "copy.jpg"


def names(found: Neighbours) -> list[str]:
    return [neighbour.path.name for neighbour in found.nearest]


def test_the_copy_comes_first_and_order_is_by_distance(many: Path, copy: Path, encoder: OnnxEncoder) -> None:
    found = search(copy, many, k=5)
    distances = [neighbour.l2_distance for neighbour in found.nearest]
    assert names(found)[0] == "7.png" and len(distances) == 5 and distances == sorted(distances)
    assert distances[0] == pytest.approx(np.linalg.norm(encoder(copy) - encoder(many / "odd" / "7.png")), abs=1e-6)
    assert [n.is_duplicate for n in found.nearest] == [True, False, False, False, False]
    assert (found.images, found.left_out, found.query) == (40, None, copy)
    assert found.threshold == encoder.calibration.pair_threshold


def test_it_agrees_with_sorting_all_distances(many: Path, copy: Path, encoder: OnnxEncoder) -> None:
    embeddings = twinpix.encode_images(many)
    distances = np.linalg.norm(embeddings.vectors - encoder(copy), axis=1)
    expected = [embeddings.paths[i] for i in np.argsort(distances)[:20]]
    assert [n.path for n in search(copy, many, k=20, workers=3).nearest] == expected
    assert [n.path for n in search_embeddings(copy, embeddings, k=20).nearest] == expected


def test_the_query_itself_is_left_out_but_not_its_copies(many: Path) -> None:
    query = many / "odd" / "7.png"
    (many / "again.png").write_bytes(query.read_bytes())
    found = search(query, many, k=3)
    assert names(found)[0] == "again.png" and found.nearest[0].l2_distance == 0
    assert (found.images, found.left_out) == (40, query)
    stored = search_embeddings(query, twinpix.encode_images(many), k=3)
    assert (names(stored), stored.images, stored.left_out) == (names(found), 40, query)
    (many.parent / "link.png").symlink_to(query)
    assert search(many.parent / "link.png", many, k=3).left_out == query


def test_k_beyond_all_and_nothing_to_search(many: Path, copy: Path, tmp_path: Path) -> None:
    assert len(search(copy, many, k=1000).nearest) == 40
    (tmp_path / "empty").mkdir()
    nothing = search(copy, tmp_path / "empty")
    assert (nothing.nearest, nothing.images, nothing.skipped) == ((), 0, ())


def test_filter_and_skipped_files(many: Path, copy: Path) -> None:
    (many / "even" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = search(copy, many, k=100, where="folder=even")
    assert {path.parent.name for path in (n.path for n in found.nearest)} == {"even"} and found.images == 20
    assert [entry.path.name for entry in found.skipped] == ["broken.png"]
    assert search_embeddings(copy, twinpix.encode_images(many), k=100, where="folder=even").images == 20


def test_images_in_memory_and_thresholds(many: Path, paint: Paint) -> None:
    found = search(paint(7), many, k=1, threshold=0.001)
    assert found.query == "<image 320x240>" and found.threshold == 0.001
    assert found.nearest[0].is_duplicate and found.nearest[0].l2_distance < 1e-3


@pytest.mark.parametrize("wrong", [{"k": 0}, {"threshold": 3.0}, {"where": "colour=red"}])
def test_wrong_arguments(many: Path, copy: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(twinpix.InputError):
        search(copy, many, **wrong)


def test_no_folder_no_query_no_stranger(many: Path, copy: Path, tmp_path: Path, encoder: OnnxEncoder) -> None:
    with pytest.raises(twinpix.InputError, match="at least one folder"):
        search(copy)
    with pytest.raises(twinpix.ImageError, match="no such file"):
        search(tmp_path / "gone.png", many)
    strange = twinpix.Embeddings((), np.empty((0, encoder.dim), np.float32), "another")
    with pytest.raises(twinpix.FingerprintError):
        search_embeddings(copy, strange)


def test_files_that_hold_no_embeddings(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", paths=np.array(["a"]), embeddings=np.zeros((2, 4)), fingerprint=np.array("f"))
    np.savez(tmp_path / "less.npz", paths=np.array(["a"]))
    np.savez(tmp_path / "pickled.npz", paths=np.array([{}], object), embeddings=np.zeros((1, 4)), fingerprint="f")
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "empty.npz").touch()
    with pytest.raises(twinpix.InputError, match=r"other.npz: its embeddings are damaged"):
        twinpix.load_embeddings(tmp_path / "other.npz")
    for name in ("less", "pickled", "text", "empty"):
        with pytest.raises(twinpix.InputError, match=f"{name}.npz: not a .npz file that encode-images wrote"):
            load_embeddings(tmp_path / f"{name}.npz")
    with pytest.raises(twinpix.InputError, match="no such file"):
        load_embeddings(tmp_path / "gone.npz")


# -- the command


def test_lines(command: Command, many: Path, copy: Path) -> None:
    done = command("twinpix", "search", copy, "many", "-k", "3", cwd=many.parent)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 3
    assert lines[0].split()[1:] == ["duplicate", "many/odd/7.png"] and "duplicate" not in lines[1]
    assert "3 nearest of 40 images" in done.stderr and "0..2" in done.stderr
    own = command("twinpix", "search", many / "odd" / "7.png", many)
    assert "left out, being the query itself" in own.stderr


def test_json_and_exit_codes(command: Command, many: Path, copy: Path) -> None:
    (many / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = command("twinpix", "search", copy, many, "-k", "2", "--json", "--where", "format=png")
    found = json.loads(done.stdout)
    assert (done.returncode, found["schema"], found["images"], len(found["nearest"])) == (3, 1, 40, 2)
    assert found["nearest"][0]["path"].endswith("7.png") and found["nearest"][0]["duplicate"] is True
    assert [row["reason"] for row in found["skipped"]] == ["corrupt"]


def test_saved_embeddings(command: Command, many: Path, copy: Path) -> None:
    target = many.parent / "out.npz"
    assert command("encode-images", many, "-o", target).returncode == 0
    fresh = command("twinpix", "search", copy, many, "--json")
    stored = command("twinpix", "search", copy, "--embeddings", target, "--json")
    assert (stored.returncode, json.loads(stored.stdout)) == (0, json.loads(fresh.stdout))


def test_nothing_to_search_is_an_error(command: Command, many: Path, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    target = tmp_path / "out.npz"
    assert command("encode-images", many / "odd", "-o", target).returncode == 0
    for args, words in (
        ((tmp_path / "empty",), "no image there"),
        ((many, "--where", "width>9999"), "--where 'width>9999' accepts none of the images there (40)"),
        (("--embeddings", target, "--where", "width>9999"), "--where 'width>9999' accepts none of its images"),
    ):
        done = command("twinpix", "search", copy, *args, "--json")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), args
        assert words in done.stderr
    lonely = command("twinpix", "search", copy, copy)
    assert lonely.returncode == 0 and "being the query itself" in lonely.stderr


def test_errors_are_one_line(command: Command, many: Path, copy: Path) -> None:
    for args in (
        (copy,), (copy, many, "--embeddings", "x.npz"), (copy, many / "gone"), (many / "gone.png", many),
        (copy, many, "--where", "colour=red"), (copy, "--embeddings", "gone.npz"), (copy, many, "--model", copy),
    ):  # fmt: skip
        done = command("twinpix", "search", *args)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), args
        assert done.stderr.startswith("error: ")
