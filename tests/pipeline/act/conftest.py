"""Trees of small pictures, plans over them, and an account of every file that knows nothing of the code."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpix.pipeline.act.plan import Partner, Plan, PlannedFile, PlannedGroup

Account = dict[Path, tuple[bytes, int, int]]
Planner = Callable[..., Plan]


@pytest.fixture(scope="session")
def png() -> Callable[[int], bytes]:
    """`png(seed)`: a small picture's file."""
    return _png


def _png(seed: int) -> bytes:
    levels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def account() -> Callable[..., Account]:
    """`account(DIR...)`: path -> bytes, mtime and mode of every regular file below; quarantines included."""

    def take(*roots: Path) -> Account:
        found: Account = {}
        for path in (path for root in roots for path in root.rglob("*")):
            now = path.lstat()
            if stat.S_ISREG(now.st_mode):
                found[path] = path.read_bytes(), now.st_mtime_ns, stat.S_IMODE(now.st_mode)
        return found

    return take


@pytest.fixture(scope="session")
def planned() -> Callable[..., PlannedFile]:
    """`planned(path, goes, partners)`: a file as it is now."""

    def make(path: Path, goes: bool, partners: Sequence[Path] = ()) -> PlannedFile:
        return PlannedFile(path, goes, "because", *_state(path), tuple(Partner(p, *_state(p)) for p in partners))

    return make


def _state(path: Path) -> tuple[int, int, str]:
    now, content = path.lstat(), hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    return now.st_size, now.st_mtime_ns, content


@pytest.fixture
def plan_for(tmp_path: Path) -> Planner:
    """`plan_for([PLANNED...], [PLANNED...], references=...)`: a plan with these groups over `tmp_path/tree`."""

    def make(*groups: Sequence[PlannedFile], references: tuple[Path, ...] = ()) -> Plan:
        kept = tuple(PlannedGroup(tuple(files), True, "test", 0.0) for files in groups)
        return Plan(kept, (tmp_path / "tree",), references, ("path",), "2026-01-01T00:00:00+00:00")

    return make


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """`a.png`, two copies of it in folders, another picture, and odd times and modes."""
    root = tmp_path / "tree"
    (root / "sub" / "deep").mkdir(parents=True)
    for name, seed, mode, when in (
        ("a.png", 0, 0o644, 1_000_000_000_123_456_789),
        ("sub/copy.png", 0, 0o600, 1_100_000_000_000_000_001),
        ("sub/deep/copy2.png", 0, 0o444, 900_000_000_000_000_007),
        ("b.png", 1, 0o644, 1_200_000_000_000_000_000),
    ):
        (root / name).write_bytes(_png(seed))
        (root / name).chmod(mode)
        os.utime(root / name, ns=(when, when))
    return root
