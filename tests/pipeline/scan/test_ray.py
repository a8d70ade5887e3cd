"""Ray gives what this process gives, byte for byte, and a worker that is killed costs its task only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from twinpix.encoder.errors import InputError, MissingPackageError
from twinpix.encoder.onnx import OnnxEncoder
from twinpix.pipeline.scan.engine import Task
from twinpix.pipeline.scan.local import LocalEngine
from twinpix.pipeline.scan.scan import scan
from twinpix.pipeline.show import report_dict

from .conftest import stage_files, write_folder, write_parquet, write_tar

if TYPE_CHECKING:
    from twinpix.pipeline.scan.ray_engine import RayEngine

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.fixture(scope="module")
def engine(ray_running: RayEngine) -> Iterator[RayEngine]:
    """Functions of this module travel by value: workers can't import it."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield ray_running
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def kill_once(folder: str, target: str) -> None:
    """The worker dies over it the first time."""
    died = Path(folder) / f"{Path(target).name}.died"
    if not died.exists():
        died.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    Path(target).write_text("done")


def refuse(target: str) -> None:
    """A named error."""
    raise InputError(f"{Path(target).name} can't be used")


def test_the_same_bytes_as_this_process(
    engine: RayEngine, local: LocalEngine, tmp_path: Path, encoder: OnnxEncoder, members: dict[str, bytes]
) -> None:
    folder = write_folder(tmp_path / "photos", members)
    write_tar(folder / "shard.tar", {f"in-{name}": data for name, data in members.items()})
    write_parquet(folder / "rows.parquet", members)
    here = scan([str(folder)], local, str(tmp_path / "here"), encoder)
    there = scan([str(folder)], engine, str(tmp_path / "there"), encoder)
    assert there.report == here.report
    assert report_dict(there.report) == report_dict(here.report)
    assert len(here.report.groups[0].files) == 9  # a picture, its copy and its twin, three times
    assert stage_files(tmp_path / "there") == stage_files(tmp_path / "here")
    assert (there.totals.engine, there.totals.workers) == ("ray", 2)


@pytest.mark.parametrize("kind", ["embed", "run"])
def test_a_killed_worker_costs_its_task_only(engine: RayEngine, tmp_path: Path, kind: str) -> None:
    tasks = [Task(kill_once, (str(tmp_path),), str(tmp_path / f"{k}")) for k in range(3)]
    assert len(list(getattr(engine, kind)(tasks))) == 3
    assert len(list(tmp_path.glob("*.died"))) == 3
    assert [Path(task.target).read_text() for task in tasks] == ["done"] * 3


@pytest.mark.parametrize("kind", ["embed", "run"])
def test_what_a_task_raises_is_one_line(engine: RayEngine, tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError) as raised:
        list(getattr(engine, kind)([Task(refuse, (), str(tmp_path / "it"))]))
    assert str(raised.value) == "it can't be used"


def workers_of(driver: int) -> list[int]:
    """The processes below it that embed."""
    parents, found = {driver}, list[int]()
    for place in sorted(Path("/proc").glob("[0-9]*"), key=lambda place: int(place.name)):
        with contextlib.suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in parents:
                parents.add(int(place.name))
                found += [int(place.name)] * (b"MapWorker" in (place / "cmdline").read_bytes())
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")
def test_what_ray_says_of_a_dead_worker_is_no_part_of_the_json(tmp_path: Path, paint: Any) -> None:
    (tmp_path / "photos").mkdir()
    for k in range(600):
        paint(k // 2 * 2, 64, 48).save(tmp_path / "photos" / f"{k:03}.png", compress_level=0)
    words: list[str | Path]
    words = [
        Path(sys.executable).parent / "twinpix",
        "scan",
        tmp_path / "photos",
        "--no-verify",
        "--json",
        "--workers",
        "2",
    ]
    plain = subprocess.run([*words, "--work", tmp_path / "a"], capture_output=True, timeout=200, check=True)
    with subprocess.Popen(
        [*words, "--work", tmp_path / "b", "--engine", "ray"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        killed, until = list[int](), time.monotonic() + 100
        while not killed and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
            killed = workers_of(process.pid)[:1]
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        said, errors = process.communicate(timeout=200)
    assert killed and process.returncode == 0, errors.decode()
    assert said == plain.stdout and b"raylet" not in errors


def test_no_cluster_at_an_address_is_one_line() -> None:
    from twinpix.pipeline.scan import ray_engine

    with pytest.raises(ray_engine.EngineError, match="no Ray cluster answers"):
        ray_engine._check_there("127.0.0.1:9")
    for unasked in (None, "auto", "ray://host:10001"):
        ray_engine._check_there(unasked)


def test_where_ray_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from twinpix.pipeline.scan.ray_engine import import_ray

    hidden: dict[str, Any] = dict.fromkeys(("ray", "ray.data"))
    for name, module in hidden.items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(MissingPackageError, match=r"twinpix\[cpu,ray\]"):
        import_ray()
