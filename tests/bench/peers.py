"""twinpix and its peers on the same folder, side by side: images a second, CPU time and peak memory.

    python tests/bench/peers.py DIR        # or: make peers DIR=...

The peers are installed into an environment of their own (`.peers`), and what can't be installed or run is reported
as such. imagededup's CNN runs with random weights: its own would be downloaded, and speed does not depend on them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".peers"
TICK = 0.1  # s
TORCH = ("torch>=2.6,<2.14", "torchvision>=0.21,<0.29")
# torchvision's compiled operators may not fit a CPU build of torch; these networks need none of them
SHIM = """
import sys, torch
try:
    import torchvision
except RuntimeError:
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + "(Tensor dets, Tensor scores, float limit) -> Tensor")
    import torchvision
from torchvision.models import WeightsEnum, mobilenet_v3_small
WeightsEnum.get_state_dict = lambda self, *args, **settings: mobilenet_v3_small(weights=None).state_dict()
"""
IMAGEDEDUP = "from imagededup.methods import {0}\n{0}(verbose=False).find_duplicates(image_dir=sys.argv[1], {1})\n"


@dataclass(frozen=True)
class Peer:
    """Something that finds duplicates in a folder.

    Attributes:
        packages: what pip installs for it; none for twinpix, which is at hand.
        program: Python that does it for the folder in `sys.argv[1]`.
    """

    name: str
    packages: tuple[str, ...]
    program: str


PEERS = (
    Peer("twinpix find-duplicates", (), "import sys, twinpix\nprint(twinpix.find_duplicates(sys.argv[1]))"),
    Peer("twinpix, no second look", (), "import sys, twinpix\ntwinpix.find_duplicates(sys.argv[1], verify=False)"),
    Peer("twinpix encode-images", (), "import sys, twinpix\ntwinpix.encode_images(sys.argv[1])"),
    Peer(
        "imagededup PHash", ("imagededup", *TORCH), SHIM + IMAGEDEDUP.format("PHash", "max_distance_threshold=10")
    ),
    Peer("imagededup CNN", ("imagededup", *TORCH), SHIM + IMAGEDEDUP.format("CNN", "min_similarity_threshold=0.95")),
    Peer(
        "difPy",
        ("difPy",),
        "import sys, difPy\nif __name__ == '__main__':\n"
        "    difPy.search(difPy.build(sys.argv[1], show_progress=False), similarity='similar', show_progress=False)\n",
    ),
    Peer(
        "cleanvision",
        ("cleanvision",),
        "import sys\nfrom cleanvision import Imagelab\nif __name__ == '__main__':\n"
        "    Imagelab(data_path=sys.argv[1]).find_issues({'exact_duplicates': {}, 'near_duplicates': {}})\n",
    ),
)  # fmt: skip


def python_of(peer: Peer) -> Path:
    """The interpreter of its environment."""
    return PLACE / ("Scripts" if os.name == "nt" else "bin") / "python" if peer.packages else Path(sys.executable)


def install(peer: Peer) -> str:
    """Install it; returns why not."""
    if not PLACE.exists():
        venv.create(PLACE, with_pip=True)
    pip: list[str | Path] = [python_of(peer), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *peer.packages], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip fails"])[-1]


def run(peer: Peer, folder: Path, images: int) -> str:
    """Its row of the table: of one run the time, of another the memory, which costs time to watch."""
    code, remark, seconds, cpu, _ = once(peer, folder, watched=False)
    if code == 0:
        code, remark, _, _, peak = once(peer, folder, watched=True)
    if code != 0:
        return f"| {peer.name} | can't be run: {remark[:90]} | | |"
    return f"| {peer.name} | {images / seconds:.1f} | {cpu * 1000 / images:.1f} | {peak:.0f} |"


def once(peer: Peer, folder: Path, watched: bool) -> tuple[int, str, float, float, float]:
    """Exit code, last line said, seconds, seconds of CPU, and the peak of memory in MB (0 if it is not watched)."""
    with tempfile.TemporaryDirectory() as place, open(Path(place) / "said", "w+") as said:
        script = Path(place) / "peer.py"
        script.write_text(peer.program)
        before, begun = os.times(), os.times().elapsed
        command = [python_of(peer), script, folder]
        process = subprocess.Popen(command, cwd=place, stdout=said, stderr=subprocess.STDOUT)
        peak = Peak(process.pid) if watched else None
        code = process.wait()
        seconds, after = os.times().elapsed - begun, os.times()
        said.seek(0)
        remark = (said.read().strip().splitlines() or ["no message"])[-1]
    return code, remark, seconds, sum(after[2:4]) - sum(before[2:4]), peak.stop() if peak else 0.0


class Peak(threading.Thread):
    """Watches the memory of a process and all its children: proportional set size, so that shared pages count once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root, self._most, self._over = pid, 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        """Until it is stopped."""
        while not self._over.wait(TICK):
            self._most = max(self._most, sum(map(memory_mb, family(self._root))))

    def stop(self) -> float:
        """The most, MB."""
        self._over.set()
        self.join()
        return self._most


def memory_mb(pid: int) -> float:
    """Proportional set size, on Linux; else 0."""
    try:
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("\nPss:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for one in found:
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue
    return found


def main() -> int:
    """All of them, one after the other."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print("usage: peers.py DIR (make peers DIR=folder)", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1]).resolve()
    images = sum(path.is_file() for path in folder.rglob("*"))
    print(f"{images} files of {folder}\n\n| | images/s | CPU ms an image | peak MB |\n|---|---|---|---|", flush=True)
    for peer in PEERS:
        problem = install(peer) if peer.packages else ""
        print(
            f"| {peer.name} | can't be installed: {problem} | | |" if problem else run(peer, folder, images), flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
