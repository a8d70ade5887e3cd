"""An account of every file, by plain system calls, and the judge of what became of them.

It knows nothing of the code under test but the plan that this was given.
"""

from __future__ import annotations

import functools
import io
import itertools
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from rig.act_world import World, hashed
from twinpix.pipeline.act.plan import Plan, PlannedFile, PlannedGroup

OWN = (".twinpix-quarantine", ".Trash", "data", "target", "xdg", "plan.jsonl")  # names of what is not the user's tree

Seen = tuple[int, bytes, int, int]  # inode, bytes, mtime, mode


@dataclass(frozen=True)
class Account:
    """Everything below a folder at one moment: regular files, and where links point."""

    files: dict[str, Seen]
    links: dict[str, str]

    def users(self, world: World) -> dict[str, Seen]:
        """Without quarantines, trash, journal and target."""
        return {path: seen for path, seen in self.files.items() if not is_own(world, path)}


def take_account(world: World) -> Account:
    """By the original system calls alone."""
    files: dict[str, Seen] = {}
    links: dict[str, str] = {}
    for folder, folders, names in itertools.chain.from_iterable(os.walk(place) for place in _places(world)):
        for name in (*names, *folders):
            path = os.path.join(folder, name)
            now = os.lstat(path)
            if stat.S_ISLNK(now.st_mode):
                links[path] = str(Path(path).readlink())
            elif stat.S_ISREG(now.st_mode):
                with open(path, "rb") as file:
                    files[path] = (now.st_ino, file.read(), now.st_mtime_ns, stat.S_IMODE(now.st_mode))
    return Account(files, links)


def _places(world: World) -> list[Path]:
    # the worlds, and what may be put at the top of their volume
    top = next(folder for folder in world.top.parents if os.path.ismount(folder))
    return [world.top.parent, *(top / f"{name}-{os.getuid()}" for name in (".twinpix-quarantine", ".Trash"))]


def is_own(world: World, path: str) -> bool:
    if not path.startswith(f"{world.top.parent}/"):
        return True
    inside = path[len(str(world.top.parent)) + 1 :].split("/")
    return inside[0].startswith(OWN) or (len(inside) > 1 and inside[1].startswith(OWN))


def true_path(world: World, path: Path) -> str:
    """Where a path of the plan leads: past the second mount, and past links."""
    if path.is_relative_to(world.alias):
        path = world.top / path.relative_to(world.alias)
    return str(Path(os.path.realpath(path.parent)) / path.name)


class Oracle:
    """Judges what became of the tree."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world, self.plan = world, plan
        # as the plan was made: links may be laid across the paths later
        self.true = {f.path: true_path(world, f.path) for g in plan.groups for f in g.files}
        self.true |= {p.path: true_path(world, p.path) for g in plan.groups for f in g.files for p in f.partners}

    def judge(self, before: Account, after: Account) -> list[str]:
        """What is wrong, in words."""
        old, new = before.users(self.world), after.users(self.world)
        removed = {path for path in old if path not in new}
        changed = {path for path in old if path in new and old[path] != new[path]}
        wrong = [f"touched outside the plan: {p!r}" for p in (removed | changed) - self._may_go()]
        wrong += [f"new file in the tree: {p!r}" for p in new if p not in old]
        wrong += [f"link changed: {p!r}" for p, to in before.links.items() if after.links.get(p) != to]
        wrong += [f"in a reference folder: {p!r}" for p in removed | changed if self.in_reference(p)]
        wrong += [f"kept by the plan, but gone: {p!r}" for p in removed & self.stays()]
        wrong += [f"lost: {p!r}" for p in self._lost(before, after)]
        wrong += [w for group in self.plan.groups for w in self._judge_group(group, old, new, removed | changed)]
        return wrong

    def _may_go(self) -> set[str]:
        going = [f for g in self.plan.groups for f in g.files if f.goes]
        return {self.true[f.path] for f in going} | {self.true[p.path] for f in going for p in f.partners}

    def stays(self) -> set[str]:
        return {self.true[f.path] for g in self.plan.groups for f in g.files if not f.goes}

    def in_reference(self, path: str) -> bool:
        return any(Path(path).is_relative_to(reference) for reference in self.world.references)

    def _lost(self, before: Account, after: Account) -> list[str]:
        # by the bytes: each content is still somewhere, with the times and modes it had; and so is each inode
        left = {seen[1:] for seen in after.files.values()}
        inodes = {seen[0] for seen in after.files.values()}
        return [
            path for path, seen in before.users(self.world).items() if seen[1:] not in left or (seen[0] not in inodes)
        ]

    def _judge_group(
        self, group: PlannedGroup, old: dict[str, Seen], new: dict[str, Seen], touched: set[str]
    ) -> Iterator[str]:
        gone = [f for f in group.files if f.goes and self.true[f.path] in touched]
        if not gone:
            return
        for file in gone:
            elsewhere = any(
                f is not file and self.true[f.path] == self.true[file.path] and self.matches(f, old)
                for g in self.plan.groups for f in g.files if f.goes
            )  # fmt: skip
            if not self.matches(file, old) and not elsewhere and not self.is_partner(file):
                yield f"not the file of the plan, but gone: {file.path!r}"
        # a file in several groups went on account of one of them; each picture must live on in all the same
        if not any(self.holds(f, new) for f in group.files if not f.goes) and not self._went_elsewhere(gone, new):
            yield f"no verified survivor: {[str(f.path) for f in gone]!r}"

    def matches(self, file: PlannedFile, old: dict[str, Seen]) -> bool:
        """Whether the plan tells the truth about a file."""
        seen = old.get(self.true[file.path])
        return seen is not None and (len(seen[1]), seen[2], hashed(seen[1])) == (file.size, file.mtime_ns, file.content)

    def is_partner(self, file: PlannedFile) -> bool:
        return any(
            self.true[p.path] == self.true[file.path] for g in self.plan.groups for f in g.files for p in f.partners
        )

    def holds(self, file: PlannedFile, new: dict[str, Seen]) -> bool:
        """Whether a file that stays is there, is what the plan says, and shows a picture."""
        seen = new.get(self.true[file.path])
        return seen is not None and hashed(seen[1]) == file.content and decodes(seen[1])

    def _went_elsewhere(self, gone: list[PlannedFile], new: dict[str, Seen]) -> bool:
        """Whether each of these went for another group that has a survivor."""
        paths = {self.true[f.path] for f in gone}
        covered: set[str] = set()
        for group in self.plan.groups:
            if any(self.holds(f, new) for f in group.files if not f.goes):
                covered |= {self.true[f.path] for f in group.files if f.goes}
                covered |= {self.true[p.path] for f in group.files if f.goes for p in f.partners}
        return paths <= covered


@functools.cache
def decodes(content: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except Exception:
        return False
    return True


def legitimate(oracle: Oracle, plan: Plan, before: Account, action: str) -> set[str]:
    """Files that nothing speaks against, by a rule of the oracle's own; those with partners are left out."""
    old, due = before.users(oracle.world), set[str]()
    if action not in ("quarantine", "trash", "folder"):
        return due
    kept_inodes = {old[real][0] for p in oracle.stays() if (real := os.path.realpath(p)) in old}
    for group in plan.groups:
        staying = [f for f in group.files if not f.goes]
        survivors = [f for f in staying if f.content and is_straight(oracle.world, f.path) and oracle.holds(f, old)]
        held = {f.content for f in survivors}
        is_whole = 0 < len(staying) == len(survivors)  # other bytes go only while all that stays is there
        for file in group.files:
            path = oracle.true[file.path]
            entries = [f for g in plan.groups for f in g.files if oracle.true[f.path] == path]
            if (
                file.goes and (is_whole or file.content in held) and oracle.matches(file, old)
                and is_straight(oracle.world, file.path)
                and (action != "folder" or file.path.is_relative_to(oracle.world.top))
                and (not plan.roots or any(file.path.is_relative_to(root) for root in plan.roots))
                and not oracle.in_reference(path) and old[path][0] not in kept_inodes and len(entries) == 1
                and not _has_partners(Path(path)) and not oracle.is_partner(file)
            ):  # fmt: skip
                due.add(path)
    return due


def _has_partners(path: Path) -> bool:
    # by any spelling
    return any(_spelt(other.stem) in (_spelt(path.stem), _spelt(path.name)) and other.suffix in (".xmp", ".mov", ".nef")
               for other in path.parent.iterdir())  # fmt: skip


def _spelt(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def is_straight(world: World, path: Path) -> bool:
    return os.path.realpath(path) == str(path)


def returned(world: World, before: Account, then: Account, after: Account, action: str) -> Account:
    """What was on its way when the race struck may come back: such a file is no new one, and none that was touched.

    A hard link that another program wrote through, and that gives way to the file it stood for, is none either, if
    what was written is still in the file that stays.
    """
    users, moved = then.users(world), {seen for path, seen in then.files.items() if path not in then.users(world)}
    left = {seen[1] for seen in after.files.values()}
    files = {}
    for path, seen in after.files.items():
        was = users.get(path)
        if was is None and seen in moved and not is_own(world, path):
            continue
        gave_way = action == "hardlink" and was is not None and seen == before.files.get(path) and was[1] in left
        files[path] = was if gave_way and was is not None else seen
    return Account(files, after.links)
