"""A scan under observation: how long files took, how its processes fared, and whether each file has one outcome."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinpix.encoder import contained
from twinpix.pipeline.report import Skipped

README = Path(__file__).resolve().parents[3] / "README.md"
REASONS = frozenset(re.findall(r"^\| `(\w+)` \|", README.read_text(), re.M))


@dataclass
class Watched:
    """What was seen.

    Attributes:
        seconds: of each file, by name, as its scan waited for it.
        peak_mb: memory of the largest decoding process, where /proc tells.
        started: decoding processes.
        died: reasons of those that ended over a file.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: float = 0.0
    started: int = 0
    died: Counter[int] = field(default_factory=Counter)

    @property
    def slowest(self) -> tuple[str, float]:
        """Name and seconds."""
        return max(self.seconds.items(), key=lambda item: item[1], default=("none", 0.0))

    def print(self) -> None:
        """The figures that a bar is set for."""
        name, seconds = self.slowest
        print(f"decoding processes started {self.started}, ended over a file {self.died.total()} {dict(self.died)}")
        print(f"slowest file {seconds:.2f} s ({name}); peak memory of a decoding process {self.peak_mb:.0f} MB")


@contextmanager
def watched() -> Iterator[Watched]:
    """Every decoding process that is started within is observed."""
    seen, pids, over = Watched(), set[int](), threading.Event()
    start, ask, epitaph = contained.Worker.__init__, contained.Decoders.__dict__["_ask"], contained.__dict__["_epitaph"]

    def started(self: contained.Worker) -> None:
        start(self)
        seen.started += 1
        pids.add(self.pid)

    def asked(self: contained.Decoders, source: str | bytes, wish: dict[str, Any], understood: Any) -> Any:
        begun = time.perf_counter()
        try:
            return ask(self, source, wish, understood)
        finally:
            name = source if isinstance(source, str) else f"{len(source)} bytes"
            seen.seconds[name] = max(seen.seconds.get(name, 0.0), time.perf_counter() - begun)

    def ended(code: int) -> Any:
        seen.died[code] += 1
        return epitaph(code)

    def sample() -> None:
        while not over.wait(0.01):
            seen.peak_mb = max([seen.peak_mb, *map(peak_mb, list(pids))])

    thread = threading.Thread(target=sample)
    thread.start()
    contained.Worker.__init__ = started  # type: ignore[method-assign]
    contained.Decoders._ask, contained._epitaph = asked, ended  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        contained.Worker.__init__ = start  # type: ignore[method-assign]
        contained.Decoders._ask, contained._epitaph = ask, epitaph  # type: ignore[method-assign]
        over.set()
        thread.join()


def peak_mb(pid: int) -> float:
    """Of a process that runs, on Linux; else 0."""
    try:
        return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def outcome_problems(files: Iterable[Path], read: Iterable[Path], skipped: Iterable[Skipped]) -> list[str]:
    """What is wrong where not every file has exactly one outcome, or a reason is not in the README."""
    skipped = list(skipped)
    outcomes = Counter([*read, *(row.path for row in skipped)])
    wrong = [f"{path}: {outcomes[path]} outcomes" for path in files if outcomes.pop(path, 0) != 1]
    wrong += [f"{path}: an outcome, and no such file" for path in outcomes]
    return wrong + [
        f"{row.path}: reason {row.reason} is not documented" for row in skipped if row.reason not in REASONS
    ]
