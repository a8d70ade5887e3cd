"""Frames of animated images, in this process and in contained ones."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.encoder import film
from twinpix.encoder.contained import Decoders
from twinpix.encoder.errors import ImageError
from twinpix.encoder.film import FRAME_PX, FRAMES, decode_film, may_be_animated, read_film


def animation(path: Path, levels: list[int], size: int = 40, durations: int | list[int] = 50) -> Path:
    frames = [Image.new("RGB", (size, size), (level, level, level)) for level in levels]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, lossless=True)
    return path


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_frames_are_spread_over_time(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a.{suffix}", [0, 80, 160, 240])
    frames = read_film(path)
    assert frames is not None and frames.shape == (FRAMES, FRAME_PX, FRAME_PX, 3)
    assert np.abs(frames.mean((1, 2, 3)) - np.repeat([0, 80, 160, 240], 6)).max() < 3
    from_bytes = read_film(path.read_bytes())
    assert from_bytes is not None and np.array_equal(from_bytes, frames)


def test_a_long_frame_takes_its_time(tmp_path: Path) -> None:
    frames = read_film(animation(tmp_path / "a.gif", [0, 100, 200], durations=[600, 300, 300]))
    assert frames is not None and np.abs(frames.mean((1, 2, 3)) - np.repeat([0, 0, 100, 200], 6)).max() < 3


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "jpg", "tiff", "bmp"])
def test_a_still_image_has_no_film(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"still.{suffix}"
    Image.new("RGB", (30, 20), "teal").save(path)
    assert read_film(path) is None
    assert may_be_animated(path) == (suffix == "gif"), "only GIF does not say so in its header"


def test_pages_of_a_tiff_are_frames(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.tiff", [0, 80, 160, 240])
    assert may_be_animated(path) and may_be_animated(path.read_bytes())
    frames = read_film(path)
    assert frames is not None
    assert np.abs(frames.mean((1, 2, 3)) - np.repeat([0, 80, 160, 240], 6)).max() < 3


@pytest.mark.parametrize("big", [False, True])
def test_smaller_copies_in_a_tiff_are_no_pages(tmp_path: Path, big: bool) -> None:
    pages = [Image.new("RGB", (40, 40), "teal"), Image.new("RGB", (20, 20), "teal"), Image.new("RGB", (10, 10), "teal")]
    for number, page in enumerate(pages[1:]):
        page.encoderinfo = {"tiffinfo": {254: 1 + 4 * number}}
    path = tmp_path / "pyramid.tiff"
    pages[0].save(path, save_all=True, append_images=pages[1:], big_tiff=big)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 3
    assert not may_be_animated(path)
    assert read_film(path) is None
    pages[0].save(path, save_all=True, append_images=[*pages[1:], Image.new("RGB", (40, 40), "red")], big_tiff=big)
    frames = read_film(path)
    assert may_be_animated(path) and frames is not None
    assert {tuple(frame[0, 0].tolist()) for frame in frames} == {(0, 128, 128), (255, 0, 0)}


def test_damaged_directories_end_quickly(tmp_path: Path) -> None:
    data = animation(tmp_path / "a.tiff", [0, 80, 160]).read_bytes()
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    place = first + 2 + 12 * count
    looping = data[:place] + first.to_bytes(4, "little") + data[place + 4 :]
    assert may_be_animated(looping)  # it is read on, by who says what is wrong with it
    assert not may_be_animated(data[:place] + b"\xff" * 4 + data[place + 4 :])
    assert not may_be_animated(data[: first + 5])
    assert not may_be_animated(b"II*\x00" + b"\xff" * 60) and not may_be_animated(b"II+\x00" + b"\xff" * 60)


def test_what_is_no_file_has_none(tmp_path: Path) -> None:
    assert read_film(Image.new("RGB", (9, 9))) is None
    assert read_film(np.zeros((9, 9, 3), np.uint8)) is None
    assert not may_be_animated(tmp_path / "gone.gif") and not may_be_animated(b"") and not may_be_animated(b"RIFF")


def test_contained_processes_decode_the_same(tmp_path: Path) -> None:
    path, decoders = animation(tmp_path / "a.webp", [0, 80, 160, 240]), Decoders()
    try:
        assert np.array_equal(np.asarray(decoders.film(str(path))), np.asarray(decode_film(str(path))))
        with pytest.raises(ImageError):
            decoders.film(str(tmp_path / "gone.gif"))
    finally:
        decoders.close()


def test_only_so_many_frames_and_pixels_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = animation(tmp_path / "long.gif", [k % 200 for k in range(60)])
    monkeypatch.setattr(film, "MOST_FRAMES", 10)
    assert np.asarray(decode_film(str(path)))[-1].mean() < 12
    monkeypatch.setattr(film, "MOST_PIXELS", 40 * 40 * 3)
    assert np.asarray(decode_film(str(path)))[-1].mean() < 4


def test_a_bomb_of_ten_thousand_frames_costs_little() -> None:
    frames = [Image.fromarray(np.full((9, 9), k * 37 % 251, np.uint8)) for k in range(300)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=20)
    start, body = buffer.getvalue().split(b"!\xf9", 1)
    bomb = start + b"!\xf9" + body[:-1] * 40 + b";"
    assert bomb.count(b"!\xf9") > 10_000
    begun = time.process_time()
    assert decode_film(bomb).size == (FRAME_PX, FRAMES * FRAME_PX)
    assert time.process_time() - begun < 3


def test_a_page_that_nobody_can_see_may_show_anything(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.tiff", [0, 80])
    assert read_film(path) is not None
    data = bytearray(path.read_bytes())
    compression = b"\x03\x01\x03\x00\x01\x00\x00\x00"
    second = data.rindex(compression)
    assert second != data.index(compression)
    data[second + 8 : second + 10] = (12345).to_bytes(2, "little")
    with pytest.raises(ImageError):
        read_film(bytes(data))


def test_an_animated_png_says_so_behind_many_texts(tmp_path: Path) -> None:
    data = animation(tmp_path / "a.png", [0, 80, 160]).read_bytes()
    text = b"\0\0\0\3tEXta\0b\0\0\0\0"
    assert may_be_animated(data[:33] + 100 * text + data[33:])


def test_a_damaged_animation_is_seen_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = animation(tmp_path / "a.gif", [0, 80, 160, 240]).read_bytes()
    part = whole[: len(whole) * 3 // 4]
    assert np.asarray(decode_film(part)).shape[1] == FRAME_PX
    with pytest.raises(ImageError):
        decode_film(b"GIF89a" + bytes(20))
    with pytest.raises(ImageError, match="megapixels"):
        buffer = io.BytesIO()
        Image.new("1", (9000, 9000)).save(buffer, "GIF")
        decode_film(buffer.getvalue())
