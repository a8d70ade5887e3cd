"""Hostile trees, and plans over them that lie."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import random
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from twinpix.pipeline.act.plan import Partner, Plan, PlannedFile, PlannedGroup

NAMES = ("a.png", "A.PNG", "é.png", unicodedata.normalize("NFD", "é.png"), "-rf.png", "new\nline.png", "=cmd.png",
         "<script>.png", "x" * 251 + ".png", os.fsdecode(b"\xff\xfe.png"), "\u202egnp.exe", "%2e.png")  # fmt: skip


@functools.cache
def picture(seed: int, level: int = 6) -> bytes:
    """The file of a small picture; another level gives other bytes of the same picture."""
    levels = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


@dataclass
class World:
    """One hostile tree.

    Attributes:
        top: its folder; everything that may change lies below it, or in the quarantine beside it.
        alias: the same folder through a second mount; equal to `top` where mounting is not allowed.
        files: regular files in it.
        references: folders in which nothing may be touched.
    """

    top: Path
    alias: Path
    dice: random.Random
    files: list[Path] = field(default_factory=list)
    references: tuple[Path, ...] = ()

    @property
    def tree(self) -> Path:
        return self.top / "tree"


def build(world: World) -> None:
    """Fill the tree."""
    dice, tree = world.dice, world.tree
    folders = [tree, tree / "sub", tree / "sub" / "deep", tree / "Sub", tree / "ref", tree / "sub" / "ref2"]
    for folder in folders:
        folder.mkdir(parents=True)
    for name in ("target", "data"):
        (world.top / name).mkdir()
    world.references = tuple(tree / name for name in ("ref", "sub/ref2") if dice.random() < 0.6)
    for _ in range(dice.randint(4, 14)):
        path = dice.choice(folders) / dice.choice(NAMES)
        if not path.exists():
            _fill(world, path)
    for _ in range(dice.randint(0, 3)):
        link = dice.choice(folders) / f"link{dice.randint(0, 9)}.png"
        if not os.path.lexists(link):
            link.symlink_to(dice.choice([*world.files, tree, Path(".."), link]))
    if dice.random() < 0.3:
        (tree / "loop").symlink_to(tree)


def _fill(world: World, path: Path) -> None:
    dice = world.dice
    if world.files and dice.random() < 0.1:
        os.link(dice.choice(world.files), path)
    else:
        kind = dice.random()
        damaged = (b"", b"\x89PNG\r\n\x1a\nno picture", picture(0)[:40])
        content = dice.choice(damaged) if kind < 0.1 else picture(dice.randint(0, 2), dice.choice((1, 6, 9)))
        path.write_bytes(content)
        path.chmod(dice.choice((0o644, 0o600, 0o444, 0o755)))
        when = dice.randint(10**17, 10**18)
        os.utime(path, ns=(when, when))
    world.files.append(path)
    if dice.random() < 0.15 and len(path.name) < 200:
        partner = path.with_suffix(dice.choice((".xmp", ".mov", ".nef")))
        if not os.path.lexists(partner):
            partner.write_bytes(dice.choice((b"partner", b"another")))


def seen_as(world: World, path: Path) -> Path:
    """The file, perhaps through the other mount, or through a symbolic link."""
    kind = world.dice.random()
    if kind < 0.1:
        return world.alias / path.relative_to(world.top)
    if kind < 0.13 and (world.tree / "loop").is_symlink():
        return world.tree / "loop" / path.relative_to(world.tree)
    return path


def random_plan(world: World) -> Plan:
    """A plan over the tree; about some files it lies."""
    dice = world.dice
    groups = []
    links = [path for path in world.tree.rglob("*") if path.is_symlink()]
    pool = dice.sample(world.files, len(world.files))
    overlapping = dice.random() < 0.4
    for _ in range(dice.randint(1, 4)):
        size = min(len(world.files), dice.randint(2, 5))
        chosen = dice.sample(world.files, size) if overlapping else [pool.pop() for _ in range(min(size, len(pool)))]
        chosen += [dice.choice(links)] if links and dice.random() < 0.2 else []
        chosen += [world.tree / "nothing.png"] if dice.random() < 0.1 else []
        going = dice.choice((0.5, 0.7, 0.7, 1.0))
        files = [_planned(world, path, dice.random() < going) for path in chosen]
        groups.append(PlannedGroup(tuple(files), True, "torture", 0.1))
    roots = (world.tree,) if dice.random() < 0.9 else ()
    return Plan(tuple(groups), roots, world.references, ("path",), "2026-01-01T00:00:00+00:00")


def _planned(world: World, path: Path, goes: bool) -> PlannedFile:
    dice, name = world.dice, seen_as(world, path)
    try:
        now, content = path.stat(), hashed(path.read_bytes())
    except OSError:
        return PlannedFile(name, goes, "", 1, 1, "0" * 32)
    partners = tuple(Partner(name.with_name(p.name), p.stat().st_size, p.stat().st_mtime_ns, hashed(p.read_bytes()))
                     for p in beside(path))  # fmt: skip
    file = PlannedFile(name, goes, "", now.st_size, now.st_mtime_ns, content, partners)
    if dice.random() < 0.08:
        return replace(file, **dice.choice(({"size": 3}, {"mtime_ns": 5}, {"content": "1" * 32}, {"content": ""})))
    return file


def beside(path: Path) -> list[Path]:
    return [p for p in (path.with_suffix(s) for s in (".xmp", ".mov", ".nef")) if len(p.name) < 250 and p.is_file()]


def hashed(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
