"""Albums, and one small Ray for all tests that need it."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from twinpix.pipeline.scan.local import LocalEngine, local_engine
from twinpix.pipeline.scan.source import FRESH

Paint = Callable[..., Image.Image]
Pack = Callable[..., bytes]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalEngine]:
    """This process."""
    with local_engine(2) as engine:
        yield engine


@pytest.fixture(scope="session")
def members(paint: Paint, pack: Pack) -> dict[str, bytes]:
    """Files by name: six pictures, copies of three of them, a text, a damaged picture, an empty one."""
    files = {f"{k:03}.png": pack(paint(k, 200, 150, 40), "PNG") for k in range(6)}
    files |= {f"copy{k}.jpg": pack(paint(k, 200, 150, 40).resize((160, 120)), "JPEG", quality=85) for k in range(3)}
    files["same.png"] = files["000.png"]
    return {**files, "000.json": b'{"caption": "one"}', "bad.png": files["001.png"][:-300], "empty.jpg": b""}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Files as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    time.sleep(2 * FRESH)  # younger ones are read again by the next scan
    return folder


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    """The same as a shard."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    time.sleep(2 * FRESH)
    return path


def write_parquet(path: Path, files: Mapping[str, bytes], **options: Any) -> Path:
    """The same as rows."""
    import pyarrow
    import pyarrow.parquet

    images = [{"bytes": data, "path": name} for name, data in files.items()]
    pyarrow.parquet.write_table(pyarrow.table({"image": images, "label": list(files)}), path, **options)
    time.sleep(2 * FRESH)
    return path


def stage_files(folder: Path) -> dict[str, bytes]:
    """What a scan has written below a folder, but for `meta`, which says how long it took."""
    files = (path for path in sorted(folder.rglob("*.parquet")) if path.name != "meta.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def ray_running() -> Iterator[Any]:
    """A Ray of two CPUs, once for all tests."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    import ray

    from twinpix.pipeline.scan.ray_engine import EngineError, ray_engine

    with contextlib.ExitStack() as running:
        try:
            engine = running.enter_context(ray_engine(2))
        except EngineError:  # Ray gives its own server 30 s to start: a busy machine may need more, once
            ray.shutdown()
            engine = running.enter_context(ray_engine(2))
        yield engine
    assert not ray.is_initialized()
