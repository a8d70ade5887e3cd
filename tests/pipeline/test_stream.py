"""Embedding folders: every file has one outcome, in a fixed order, with bounded memory."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import twinpix
from twinpix.encoder.errors import ImageError, InputError, ModelError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.stream import CHUNK, Chunk, encode_images, in_runs, list_files, stream, vector_of
from twinpix.pipeline.threads import cores

Paint = Callable[..., Image.Image]


def fake(hook: Callable[[Path], None] = lambda path: None) -> OnnxEncoder:
    """An encoder whose vectors are the number in the file's name; names with `x` are unreadable."""

    def prepare(path: Path) -> np.ndarray[Any, Any]:
        hook(path)
        if "x" in path.name:
            raise ImageError("corrupt", f"{path}: damaged")
        return np.full((3, 2, 2), int(path.stem), np.uint8)

    def encode(pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return pictures[:, 0, 0, :1].astype(np.float32)

    stub = SimpleNamespace(prepare=prepare, encode=encode, preprocess=SimpleNamespace(size=2), dim=1, fingerprint="f")
    return cast(OnnxEncoder, stub)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK + 3])
def test_outcomes_come_in_order(workers: int, n: int) -> None:
    paths = [Path(f"{i}x" if i % 5 == 3 else str(i)) for i in range(n)]
    chunks = list(stream(fake(), paths, workers))
    assert [p for c in chunks for p in c.paths] == [p for p in paths if "x" not in p.name]
    assert [s.path for c in chunks for s in c.skipped] == [p for p in paths if "x" in p.name]
    for chunk in chunks:
        assert chunk.vectors[:, 0].tolist() == [float(p.stem) for p in chunk.paths]


def test_a_picture_that_the_model_gives_no_numbers_for_is_skipped() -> None:
    encoder, paths = fake(), [Path(str(i)) for i in range(1, 40)]
    real = encoder.encode
    encoder.encode = lambda pictures: np.where((v := real(pictures)) == 7, np.inf, v)  # type: ignore[method-assign]
    chunks = list(stream(encoder, paths, 1))
    with pytest.raises(ImageError, match="NaN or infinity"):
        vector_of(encoder, Path("7"))
    assert [p for c in chunks for p in c.paths] == [p for p in paths if p.name != "7"]
    assert all(chunk.vectors[:, 0].tolist() == [float(p.stem) for p in chunk.paths] for chunk in chunks)
    assert [(s.path.name, s.reason) for c in chunks for s in c.skipped] == [("7", "no_embedding")]
    assert vector_of(encoder, Path("8")).tolist() == [8]


def test_vectors_of_another_length_than_the_encoder_says_are_refused() -> None:
    encoder = fake()
    encoder.dim = 2
    with pytest.raises(ModelError, match=r"encoder f: its vectors are \(1, 1\), and should be \(1, 2\)"):
        list(stream(encoder, [Path("1")], 1))


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_all_workers_have_something_to_do(workers: int) -> None:
    for n in (1, 10, 16 * CHUNK, 1000):
        files = [Path(str(i)) for i in range(n)]
        runs = list(in_runs(files, workers, CHUNK))
        assert [path for run in runs for path in run] == files
        assert len(runs) >= min(n, 2 * workers) and max(map(len, runs)) <= CHUNK
        assert len(runs) <= n / CHUNK + 2 * workers * CHUNK  # and few of them are short
        assert len(runs[-1]) == 1


def test_an_embedding_does_not_depend_on_its_batch(encoder: OnnxEncoder, paint: Callable[..., Image.Image]) -> None:
    pictures = np.stack([encoder.prepare(paint(seed, 96, 96)) for seed in range(7)])
    alone = np.concatenate([encoder.encode(pictures[i : i + 1]) for i in range(7)])
    assert np.array_equal(encoder.encode(pictures), alone)


def test_at_most_two_chunks_per_worker_are_ahead_of_the_reader() -> None:
    started: list[Path] = []
    lock = threading.Lock()

    def note(path: Path) -> None:
        with lock:
            started.append(path)

    reader = stream(fake(note), [Path(str(i % 200)) for i in range(100 * CHUNK)], workers=2)
    for taken in range(1, 20):
        next(reader)
        assert len(started) <= (taken + 4) * CHUNK


def test_leaving_early_stops_the_work() -> None:
    started: list[Path] = []
    reader = stream(fake(started.append), [Path(str(i % 200)) for i in range(100 * CHUNK)], workers=1)
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert len(started) <= 4 * CHUNK
    assert not [t for t in threading.enumerate() if t.name.startswith("twinpix")]


def test_an_encoder_that_breaks_is_not_hidden() -> None:
    def break_down(path: Path) -> None:
        raise RuntimeError("no more memory")

    with pytest.raises(RuntimeError):
        list(stream(fake(break_down), [Path("1")]))


def test_embeddings(encoder: OnnxEncoder, album: Path) -> None:
    found = encode_images(album, encoder=encoder)
    assert [str(p.relative_to(album.resolve())) for p in found.paths] == [
        "a.png", "a.webp", "b.png", "sub/a copy.png", "sub/c.png"
    ]  # fmt: skip
    assert found.vectors.shape == (5, encoder.dim)
    assert found.vectors.dtype == np.float32
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert found.fingerprint == encoder.fingerprint
    assert [(s.path.name, s.reason) for s in found.skipped] == [("notes.txt", "not_an_image")]
    assert all(path.is_absolute() for path in found.paths)


def test_same_vectors_alone_in_a_folder_or_with_other_workers(
    encoder: OnnxEncoder, tmp_path: Path, paint: Paint
) -> None:
    for i in range(CHUNK + 5):
        paint(i, 64, 64).save(tmp_path / f"{i:02}.png")
    found = encode_images(tmp_path, encoder=encoder)
    again = encode_images(tmp_path, encoder=encoder, workers=1)
    assert np.array_equal(found.vectors, again.vectors)
    for path, vector in zip(found.paths, found.vectors, strict=True):
        assert np.array_equal(encoder(path), vector)


def test_every_regular_file_has_one_outcome(encoder: OnnxEncoder, tmp_path: Path, paint: Paint) -> None:
    good = paint(0, 64, 64)
    good.save(tmp_path / "good.png")
    good.save(tmp_path / ".hidden.png")
    data = (tmp_path / "good.png").read_bytes()
    for name, content in {
        "empty.jpg": b"", "cut.png": data[:-300], "text.jpg": b"hello", "wrong.jpg": data, "psd": b"8BPS", ".no": b""
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    for raw in (b"\xff.png", b"new\nline.png"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + raw)).write_bytes(data)
    (tmp_path / "link.png").symlink_to(tmp_path / "good.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = encode_images(tmp_path, encoder=encoder)
    reasons = Counter(s.reason for s in found.skipped)
    assert reasons == {"empty_file": 2, "corrupt": 1, "not_an_image": 1, "unsupported_format": 1}
    outcomes = [*found.paths, *(s.path for s in found.skipped)]
    assert len(found.paths) == 5
    assert sorted(map(str, outcomes)) == sorted(
        str(p) for p in tmp_path.resolve().iterdir() if p.is_file() and not p.is_symlink()
    )


def test_a_file_that_vanishes_is_skipped(encoder: OnnxEncoder, album: Path) -> None:
    files, _ = list_files([album])
    (album / "a.png").unlink()
    skipped = [s for chunk in stream(encoder, files) for s in chunk.skipped]
    assert [(s.path.name, s.reason) for s in skipped] == [("a.png", "vanished"), ("notes.txt", "not_an_image")]


def test_an_unlistable_folder_is_skipped(encoder: OnnxEncoder, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = encode_images(album, encoder=encoder)
    assert len(found.paths) == 3
    assert [(s.path.name, s.reason) for s in found.skipped] == [
        ("sub", "permission_denied"), ("notes.txt", "not_an_image")
    ]  # fmt: skip


def test_progress_counts_every_file(encoder: OnnxEncoder, album: Path) -> None:
    seen: list[tuple[Chunk, int]] = []
    encode_images(album, encoder=encoder, progress=lambda chunk, total: seen.append((chunk, total)))
    assert sum(len(c.paths) + len(c.skipped) for c, _ in seen) == 6
    assert {total for _, total in seen} == {6}


def test_single_files_and_empty_folders(encoder: OnnxEncoder, album: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert len(encode_images(album / "a.png", encoder=encoder).paths) == 1
    nothing = twinpix.encode_images(tmp_path / "empty", encoder=encoder)
    assert (nothing.paths, nothing.vectors.shape, nothing.skipped) == ((), (0, encoder.dim), ())


def test_missing_folder(encoder: OnnxEncoder, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        encode_images(tmp_path / "nothing", encoder=encoder)


def test_cores() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
