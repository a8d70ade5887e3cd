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


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    for place, said in ((tmp_path, "is a folder"), (tmp_path / "none" / "a.json", "does not exist")):
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
