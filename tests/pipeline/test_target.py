"""What a command writes beside the pictures: it overwrites none of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from twinpix.encoder.errors import InputError
from twinpix.pipeline.cli import app
from twinpix.pipeline.target import check_place, write_text


@pytest.mark.parametrize(
    "command",
    [
        "simulate {folder} --images 1e4 --json {picture}",
        "bench {folder} --methods ahash --json {picture}",
        "bench {folder} --methods ahash --html {picture}",
        "scale {folder} --sizes 1000 --json {picture}",
        "scale {folder} --sizes 1000 --html {picture}",
        "experiments --metric ahash --json {picture}",
        "ablate --output {picture} --data {folder}",
    ],
)
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png"])
def test_no_picture_is_overwritten(name: str, command: str, tmp_path: Path) -> None:
    picture = tmp_path / name
    Image.new("RGB", (80, 60), "teal").save(picture, "PNG")
    before = picture.read_bytes()
    done = CliRunner().invoke(app, command.format(folder=tmp_path, picture=picture).split())
    assert done.exit_code == 2 and "is not overwritten" in done.output
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("art.psd", b"8BPS\0\1", "picture"),
        ("image", b"\xff\x4f\xff\x51 JPEG 2000", "picture"),
        ("IMG.CR3", b"\0\0\0\x18ftypcrx \0\0\0\1", "picture"),
        ("IMG.nef", b"unknown to us", "picture"),
        ("photo", b"\0\0\0\x18ftypheic\0\0\0\0", "picture"),
        ("IMG.mov", b"\0\0\0\x14ftypqt  \0\0\0\0", "video"),
        ("clip", b"\0\0\0\x18ftypmp42\0\0\0\0", "video"),
        ("clip.txt", b"\x1aE\xdf\xa3 matroska", "video"),
        ("old.avi", b"", "video"),
    ],
)
def test_no_picture_that_is_not_decoded_and_no_video_is_overwritten(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    check_place(tmp_path / name)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"a {kind} is there by that name, and is not overwritten"):
        check_place(tmp_path / name)


def test_other_files_are_overwritten(tmp_path: Path) -> None:
    for content in (b"", b'{"ftyp": 1}', b"the wide world", b"\xff\xfe text"):
        (tmp_path / "a.json").write_bytes(content)
        check_place(tmp_path / "a.json")


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    for place, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "a.json", "does not exist"),
        (tmp_path / ("n" * 251 + ".json"), "too long a name"),
    ):
        with pytest.raises(InputError, match=said):
            check_place(place)
    check_place(tmp_path / "a.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_or_a_device_is_no_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for place in (tmp_path / "pipe.json", Path("/dev/null")):
        with pytest.raises(InputError, match="is no regular file"):
            check_place(place)


def test_many_threads_may_write_one_file_and_names_may_be_long(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 250 + ".json")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: write_text(target, str(k) * 5000), [1, 2, 3, 4] * 10))
    assert set(target.read_text()) in ({"1"}, {"2"}, {"3"}, {"4"}) and len(target.read_text()) == 5000
    assert list(tmp_path.iterdir()) == [target]
