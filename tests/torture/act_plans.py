"""Random plans over hostile trees: is a picture ever lost, is anything touched that must not be, does undo restore all?

    python tests/torture/act_plans.py --plans 10000

Each plan gets a world of its own: hard links, symbolic links and loops, a root mounted twice, names that differ by case or
by normalisation only, overlapping groups, reference folders inside the roots, damaged files, lies in the plan. In two
thirds of them the disk fails, a file is changed, or the process is killed at the n-th system call. The oracle keeps its
own account of bytes, times, modes and inodes, and knows nothing of the code but the plan it gave it.
Exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import functools
import hashlib
import io
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from twinpix.encoder.errors import TwinpixError
from twinpix.pipeline.act import disk
from twinpix.pipeline.act.acted import Acted, Status
from twinpix.pipeline.act.apply import apply_plan
from twinpix.pipeline.act.plan import Partner, Plan, PlannedFile, PlannedGroup
from twinpix.pipeline.act.plan_file import read_plan, write_plan
from twinpix.pipeline.act.undo import undo

PLANS = 10_000
NAMES = ("a.png", "A.PNG", "é.png", unicodedata.normalize("NFD", "é.png"), "-rf.png", "new\nline.png", "=cmd.png",
         "<script>.png", "x" * 251 + ".png", os.fsdecode(b"\xff\xfe.png"), "\u202egnp.exe", "sp ace.png", "%2e.png")  # fmt: skip
FAULTS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE, errno.ENOENT)
CALLS = ("open", "read", "write", "fsync", "fstat", "lstat", "stat", "mkdir", "link", "unlink", "rename", "scandir",
         "fchmod", "utime")  # fmt: skip
OWN = (".twinpix-quarantine", ".Trash", "data", "target", "xdg", "plan.jsonl")  # names of what is not the user's tree


# --- the world ------------------------------------------------------------------------------------------------------


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


def random_plan(world: World) -> tuple[Plan, set[Path]]:
    """A plan over the tree, and the paths about which it lies."""
    dice, lies = world.dice, set[Path]()
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
        files = [_planned(world, path, dice.random() < going, lies) for path in chosen]
        groups.append(PlannedGroup(tuple(files), True, "torture", 0.1))
    roots = (world.tree,) if dice.random() < 0.9 else ()
    return Plan(tuple(groups), roots, world.references, ("path",), "2026-01-01T00:00:00+00:00"), lies


def _planned(world: World, path: Path, goes: bool, lies: set[Path]) -> PlannedFile:
    dice, name = world.dice, seen_as(world, path)
    try:
        now, content = os.stat(path), hashed(path.read_bytes())
    except OSError:
        return PlannedFile(name, goes, "", 1, 1, "0" * 32)
    partners = tuple(Partner(name.with_name(p.name), p.stat().st_size, p.stat().st_mtime_ns, hashed(p.read_bytes()))
                     for p in _beside(path))  # fmt: skip
    file = PlannedFile(name, goes, "", now.st_size, now.st_mtime_ns, content, partners)
    if dice.random() < 0.08:
        lies.add(name)
        return replace(file, **dice.choice(({"size": 3}, {"mtime_ns": 5}, {"content": "1" * 32}, {"content": ""})))
    return file


def _beside(path: Path) -> list[Path]:
    return [p for p in (path.with_suffix(s) for s in (".xmp", ".mov", ".nef")) if len(p.name) < 250 and p.is_file()]


def hashed(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


# --- the oracle -----------------------------------------------------------------------------------------------------

Seen = tuple[int, bytes, int, int]  # inode, bytes, mtime, mode


@dataclass(frozen=True)
class Account:
    """Everything below a folder at one moment: regular files, and where links point."""

    files: dict[str, Seen]
    links: dict[str, str]

    def users(self, world: World) -> dict[str, Seen]:
        """Without quarantines, trash, journal and target."""
        return {path: seen for path, seen in self.files.items() if not _is_own(world, path)}


def take_account(world: World) -> Account:
    """By the original system calls alone."""
    files: dict[str, Seen] = {}
    links: dict[str, str] = {}
    for folder, folders, names in os.walk(world.top.parent):
        for name in (*names, *folders):
            path = os.path.join(folder, name)
            now = os.lstat(path)
            if stat.S_ISLNK(now.st_mode):
                links[path] = os.readlink(path)
            elif stat.S_ISREG(now.st_mode):
                with open(path, "rb") as file:
                    files[path] = (now.st_ino, file.read(), now.st_mtime_ns, stat.S_IMODE(now.st_mode))
    return Account(files, links)


def _is_own(world: World, path: str) -> bool:
    inside = path[len(str(world.top.parent)) + 1 :].split("/")
    return inside[0].startswith(OWN) or (len(inside) > 1 and inside[1].startswith(OWN))


def true_path(world: World, path: Path) -> str:
    """Where a path of the plan leads: past the second mount, and past links."""
    if path.is_relative_to(world.alias):
        path = world.top / path.relative_to(world.alias)
    return str(Path(os.path.realpath(path.parent)) / path.name)


class Oracle:
    """Judges what became of the tree."""

    def __init__(self, world: World, plan: Plan, lies: set[Path], action: str) -> None:
        self.world, self.plan, self.lies, self.replaces = world, plan, lies, action in ("hardlink", "reflink")
        # as the plan was made: links may be laid across the paths later
        self.true = {f.path: true_path(world, f.path) for g in plan.groups for f in g.files}
        self.true |= {p.path: true_path(world, p.path) for g in plan.groups for f in g.files for p in f.partners}

    def judge(self, before: Account, after: Account) -> list[str]:
        """What is wrong, in words."""
        old, new = before.users(self.world), after.users(self.world)
        removed = {path for path in old if path not in new}
        changed = {path for path in old if path in new and not self._same(old[path], new[path])}
        wrong = [f"touched outside the plan: {p!r}" for p in (removed | changed) - self._may_go()]
        wrong += [f"new file in the tree: {p!r}" for p in new if p not in old]
        wrong += [f"link changed: {p!r}" for p, to in before.links.items() if after.links.get(p) != to]
        wrong += [f"in a reference folder: {p!r}" for p in removed | changed if self._in_reference(p)]
        wrong += [f"kept by the plan, but gone: {p!r}" for p in removed & self._stays()]
        wrong += [f"lost: {p!r}" for p in self._lost(before, after)]
        wrong += [w for group in self.plan.groups for w in self._judge_group(group, old, new, removed | changed)]
        return wrong

    def _same(self, a: Seen, b: Seen) -> bool:
        return a == b

    def _may_go(self) -> set[str]:
        going = [f for g in self.plan.groups for f in g.files if f.goes]
        return {self.true[f.path] for f in going} | {self.true[p.path] for f in going for p in f.partners}

    def _stays(self) -> set[str]:
        return {self.true[f.path] for g in self.plan.groups for f in g.files if not f.goes}

    def _in_reference(self, path: str) -> bool:
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
            if not self.matches(file, old) and not elsewhere and not self._is_partner(file):
                yield f"not the file of the plan, but gone: {file.path!r}"
        # a file in several groups went on account of one of them; each picture must live on in all the same
        if not any(self.holds(f, new) for f in group.files if not f.goes) and not self._went_elsewhere(gone, new):
            yield f"no verified survivor: {[str(f.path) for f in gone]!r}"

    def matches(self, file: PlannedFile, old: dict[str, Seen]) -> bool:
        """Whether the plan tells the truth about a file."""
        seen = old.get(self.true[file.path])
        return seen is not None and (len(seen[1]), seen[2], hashed(seen[1])) == (file.size, file.mtime_ns, file.content)

    def _is_partner(self, file: PlannedFile) -> bool:
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


# --- what goes wrong ------------------------------------------------------------------------------------------------


class Calls:
    """Counts system calls, and does something at the n-th."""

    def __init__(self, at: int, strike: Callable[[str], None], after: bool) -> None:
        self.at, self.strike, self.after = at, strike, after
        self.count, self._busy = 0, False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While inside, all calls are counted."""
        originals = {name: getattr(os, name) for name in CALLS}
        rename = disk._rename
        try:
            for name, call in originals.items():
                setattr(os, name, self._wrap(name, call))
            disk._rename = self._wrap("renameat2", rename)
            yield
        finally:
            for name, call in originals.items():
                setattr(os, name, call)
            disk._rename = rename

    def _wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self._busy:
                return call(*args, **kwargs)
            self.count += 1
            hit = self.count == self.at
            if hit and not self.after:
                self._do(name)
            result = call(*args, **kwargs)
            if hit and self.after:
                self._do(name)
            return result

        return counted

    def _do(self, name: str) -> None:
        self._busy = True
        try:
            self.strike(name)
        finally:
            self._busy = False


def moment(dice: random.Random) -> int:
    """At which call: early ones as often as late ones, for there the locks and journals are made."""
    return round(2 ** dice.uniform(0, 10))


class Failing(Calls):
    """The disk fails: once, or from then on."""

    def __init__(self, at: int, code: int, forever: bool) -> None:
        super().__init__(at, lambda name: None, after=False)
        self.code, self.forever = code, forever

    def _wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.at or (self.forever and self.count > self.at):
                raise OSError(self.code, os.strerror(self.code))
            return call(*args, **kwargs)

        return counted


def hostile_act(world: World) -> Callable[[], None]:
    """Something another program might do to the tree at the worst moment."""
    dice = world.dice
    victim, other = dice.choice(world.files), dice.choice(world.files)

    def overwrite() -> None:
        temporary = world.top / "plan.jsonl.new"
        temporary.write_bytes(picture(77))
        os.replace(temporary, victim)

    def swap_folder() -> None:
        os.rename(world.tree / "sub", world.top / "tree-moved")
        (world.tree / "sub").symlink_to(world.tree / "ref")

    acts: list[Callable[[], None]] = [
        overwrite,
        overwrite,
        victim.unlink,
        lambda: os.truncate(victim, 5),
        lambda: victim.write_bytes(b"x" * victim.stat().st_size),
        lambda: os.replace(victim, other),
        lambda: os.utime(victim, ns=(7, 7)),
        lambda: os.link(victim, world.tree / "another.png"),
        lambda: shutil.rmtree(victim.parent),
        swap_folder,
    ]
    act = dice.choice(acts)

    def strike() -> None:
        with suppress(OSError):
            act()

    return strike


# --- one plan -------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """The figures."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def loudly(tally: Tally, what: str, act: Callable[[], Acted]) -> Acted | None:
    """Run it; a named error is an answer, anything else is a defect."""
    try:
        return act()
    except TwinpixError:
        tally.counts["named errors"] += 1
    except Exception:
        tally.wrong.append(f"{what}: uncaught\n{traceback.format_exc()}")
    return None


def try_plan(world: World, tally: Tally) -> None:
    """Build, apply under adversity, judge, undo, judge again."""
    dice = world.dice
    build(world)
    if len(world.files) < 2:
        return
    plan, lies = random_plan(world)
    if dice.random() < 0.3:
        write_plan(plan, world.top / "plan.jsonl")
        if read_plan(world.top / "plan.jsonl") != plan:
            tally.wrong.append("the plan is not what was written")
    action = dice.choice(("quarantine",) * 6 + ("trash", "folder", "hardlink", "reflink"))
    before, oracle = take_account(world), Oracle(world, plan, lies, action)
    tally.counts["plans"] += 1
    adversity = dice.choice((calm, calm, failing, failing, racing, racing, killed))
    tally.counts[adversity.__name__] += 1
    restorable = adversity(world, tally, plan, oracle, before, action)
    if restorable:
        take_back(world, tally, before, dice.random() < 0.5)


def run_apply(world: World, tally: Tally, plan: Plan, action: str) -> Acted | None:
    to = world.top / "target" if action == "folder" else None
    return loudly(tally, "apply", lambda: apply_plan(plan, action, to=to, yes=True))


def note(tally: Tally, where: str, wrong: list[str]) -> None:
    tally.wrong += [f"{where}: {one}" for one in wrong]


def calm(world: World, tally: Tally, plan: Plan, oracle: Oracle, before: Account, action: str) -> bool:
    """Nothing goes wrong: what may go must go."""
    dry = loudly(
        tally, "dry run", lambda: apply_plan(plan, action, to=world.top / "target" if action == "folder" else None)
    )
    if take_account(world) != before:
        tally.wrong.append("a dry run changed something")
    done = run_apply(world, tally, plan, action)
    after = take_account(world)
    note(tally, "calm", oracle.judge(before, after))
    if done is None or dry is None:
        tally.wrong.append("calm, but an error")
        return True
    moved = {path for path, seen in before.users(world).items() if after.users(world).get(path) != seen}
    reported = {oracle.true[file.path] for file in done.files if file.status is Status.DONE}
    if not moved <= reported:
        tally.wrong.append(f"moved, but not reported: {moved - reported!r}")
    due = legitimate(oracle, plan, before) if action in ("quarantine", "trash", "folder") else set()
    tally.counts["due"] += len(due)
    tally.counts["due and done"] += len(due & moved)
    tally.counts["moved"] += len(moved)
    if due - moved:
        tally.wrong.append(f"could have gone: {due - moved!r}: {[(f.reason, f.message) for f in done.files]}")
    if all(f.status is not Status.DONE for f in done.files) != (done.run == ""):
        tally.wrong.append("a run that did nothing has a name")
    return True


def legitimate(oracle: Oracle, plan: Plan, before: Account) -> set[str]:
    """Files that nothing speaks against, by a rule of the oracle's own; those with partners are left out."""
    old, due = before.users(oracle.world), set()
    kept_inodes = {old[p][0] for p in oracle._stays() if p in old}
    for group in plan.groups:
        survivors = [f for f in group.files if not f.goes and f.content and _straight(oracle.world, f.path) and
                     oracle.holds(f, old)]  # fmt: skip
        for file in group.files:
            path = oracle.true[file.path]
            entries = [f for g in plan.groups for f in g.files if oracle.true[f.path] == path]
            if (
                file.goes and survivors and oracle.matches(file, old) and _straight(oracle.world, file.path)
                and not oracle._in_reference(path) and old[path][0] not in kept_inodes and len(entries) == 1
                and not _has_partners(Path(path)) and not oracle._is_partner(file)
            ):  # fmt: skip
                due.add(path)
    return due


def _has_partners(path: Path) -> bool:
    # by any spelling
    stem = path.stem.casefold()
    return any(other.stem.casefold() in (stem, path.name.casefold()) and other.suffix in (".xmp", ".mov", ".nef")
               for other in path.parent.iterdir())  # fmt: skip


def _straight(world: World, path: Path) -> bool:
    return os.path.realpath(path) == str(path)


def failing(world: World, tally: Tally, plan: Plan, oracle: Oracle, before: Account, action: str) -> bool:
    """The disk fails at the n-th call."""
    dice = world.dice
    fault = Failing(moment(dice), dice.choice(FAULTS), dice.random() < 0.3)
    with fault.watched():
        run_apply(world, tally, plan, action)
    tally.counts["faults that struck"] += fault.count >= fault.at
    note(tally, f"failing ({errno.errorcode[fault.code]} at {fault.at})", oracle.judge(before, take_account(world)))
    return True


def racing(world: World, tally: Tally, plan: Plan, oracle: Oracle, before: Account, action: str) -> bool:
    """Another program changes the tree at the n-th call: judged before and after that, each by its own account."""
    dice, act = world.dice, hostile_act(world)
    accounts: list[Account] = []

    def strike(name: str) -> None:
        accounts.append(take_account(world))
        act()
        accounts.append(take_account(world))

    calls = Calls(moment(dice), strike, dice.random() < 0.5)
    with calls.watched():
        run_apply(world, tally, plan, action)
    after = take_account(world)
    if not accounts:
        note(tally, "race that never struck", oracle.judge(before, after))
        return True
    tally.counts["races that struck"] += 1
    note(tally, f"before the race (call {calls.at})", oracle.judge(before, accounts[0]))
    note(tally, f"after the race (call {calls.at})", oracle.judge(accounts[1], returned(world, accounts[1], after)))
    undone_after_race(world, tally, after)
    return False


def returned(world: World, then: Account, after: Account) -> Account:
    """What was on its way when the race struck may come back: such a file is no new one."""
    users = then.users(world)
    back = {path for path in after.users(world) if path not in users}
    moved = {seen for path, seen in then.files.items() if path not in users}
    return Account({p: s for p, s in after.files.items() if not (p in back and s in moved)}, after.links)


def undone_after_race(world: World, tally: Tally, after: Account) -> None:
    """Undo brings back what it can, and harms nothing else."""
    loudly(tally, "undo after a race", lambda: undo(yes=True))
    now = take_account(world)
    users = now.users(world)
    note(
        tally, "undo after a race", [f"changed {p!r}" for p, seen in after.users(world).items() if users.get(p) != seen]
    )
    lost = [
        p for p, seen in after.files.items() if "files/" in p and seen[1:] not in {s[1:] for s in now.files.values()}
    ]
    note(tally, "undo after a race", [f"lost {p!r}" for p in lost])


def killed(world: World, tally: Tally, plan: Plan, oracle: Oracle, before: Account, action: str) -> bool:
    """kill -9 at the n-th call, then perhaps the same apply again."""
    dice = world.dice
    at, after = moment(dice), dice.random() < 0.5
    tally.counts["kills that struck"] += in_child(at, after, lambda: run_apply(world, Tally(), plan, action))
    note(tally, f"killed at {at}", oracle.judge(before, take_account(world)))
    if dice.random() < 0.5:
        run_apply(world, tally, plan, action)
        note(tally, f"resumed after a kill at {at}", oracle.judge(before, take_account(world)))
    return True


def in_child(at: int, after: bool, act: Callable[[], object]) -> bool:
    """Run it in a process that is killed at the n-th call; whether that was reached."""
    child = os.fork()
    if child == 0:
        try:
            with Calls(at, lambda name: os.kill(os.getpid(), signal.SIGKILL), after).watched():
                act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def take_back(world: World, tally: Tally, before: Account, adverse: bool) -> None:
    """Undo, perhaps failing or killed at first: in the end everything is where it was."""
    dice = world.dice
    if adverse and dice.random() < 0.5:
        in_child(moment(dice), dice.random() < 0.5, lambda: undo(yes=True))
    elif adverse:
        with Failing(moment(dice), dice.choice(FAULTS), dice.random() < 0.3).watched():
            loudly(tally, "failing undo", lambda: undo(yes=True))
    for _ in range(4):  # of several runs, the last first
        try:
            undo(yes=True)
        except TwinpixError:
            break
        tally.counts["undos"] += 1
    after = take_account(world)
    was, now = before.users(world), after.users(world)
    for path in was.keys() | now.keys():
        if path not in now or path not in was or was[path][1:] != now[path][1:]:
            tally.wrong.append(f"undo did not restore {path!r}")
    left = [path for path in after.files if "/files/" in path and _is_own(world, path)]
    tally.wrong += [f"left behind by undo: {path!r}" for path in left]
    tally.counts["undone trees"] += 1
    tally.counts["restored files"] += len(was)


# --- all plans ------------------------------------------------------------------------------------------------------


@contextmanager
def ground() -> Iterator[tuple[Path, Path]]:
    """A folder for the worlds, and the same mounted a second time where that is allowed."""
    memory = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(prefix="act_plans", dir=memory if os.access(memory, os.W_OK) else None)).resolve()
    worlds, alias = base / "worlds", base / "alias"
    worlds.mkdir()
    alias.mkdir()
    private = os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).unshare(0x00020000) == 0  # mounts of our own
    quiet = {"check": False, "capture_output": True}
    mounted = private and not any(
        subprocess.run(command, **quiet).returncode  # type: ignore[call-overload]
        for command in (["mount", "--make-rprivate", "/"], ["mount", "--bind", str(worlds), str(alias)])
    )
    try:
        yield worlds, alias if mounted else worlds
    finally:
        if mounted:
            subprocess.run(["umount", str(alias)], **quiet)  # type: ignore[call-overload]
        shutil.rmtree(base, ignore_errors=True)


def torture(plans: int, seed: int) -> Tally:
    """Run that many plans."""
    tally, kept = Tally(), {name: os.environ.get(name) for name in ("TWINPIX_DATA", "XDG_DATA_HOME")}
    try:
        with ground() as (worlds, alias):
            tally.counts["second mount"] = alias != worlds
            for number in range(plans):
                one(worlds, alias, seed * 1_000_003 + number, tally)
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    return tally


def one(worlds: Path, alias: Path, seed: int, tally: Tally) -> None:
    top = worlds / "world"
    os.environ |= {"TWINPIX_DATA": str(top / "data"), "XDG_DATA_HOME": str(top / "xdg")}
    wrong = len(tally.wrong)
    try:
        try_plan(World(top, alias / "world", random.Random(seed)), tally)
    except Exception:
        tally.wrong.append(f"the test itself: {traceback.format_exc()}")
    tally.wrong[wrong:] = [f"[seed {seed}] {one}" for one in tally.wrong[wrong:]]
    for left in worlds.iterdir():
        shutil.rmtree(left, ignore_errors=True)


def no_quarantine(tally: Tally) -> None:
    """Without a usable quarantine or trash everything is refused, and nothing is deleted."""
    with ground() as (worlds, alias), tempfile.TemporaryDirectory(dir="/tmp") as elsewhere:
        if alias == worlds or os.stat(elsewhere).st_dev == os.stat(worlds).st_dev:
            return
        os.environ |= {"TWINPIX_DATA": elsewhere, "XDG_DATA_HOME": elsewhere}
        (worlds / f".twinpix-quarantine-{os.getuid()}").symlink_to(elsewhere)
        (worlds / f".Trash-{os.getuid()}").write_text("in the way")
        world = World(worlds / "world", alias / "world", random.Random(0))
        build(world)
        for action in ("quarantine", "trash"):
            copies = [alias / "world" / "tree" / name for name in ("same1.png", "same2.png")]
            for path in copies:
                path.write_bytes(picture(5))
            files = tuple(PlannedFile(p, p == copies[1], "", p.stat().st_size, p.stat().st_mtime_ns,
                                      hashed(p.read_bytes())) for p in copies)  # fmt: skip
            before = take_account(world)
            done = apply_plan(Plan((PlannedGroup(files, True, "", 0.0),), (), (), (), ""), action, yes=True)
            tally.counts["refused without a quarantine"] += done.count(Status.REFUSED)
            if take_account(world) != before or [f.reason for f in done.files] != ["no_quarantine"]:
                tally.wrong.append(f"no quarantine, yet not refused: {done}")


def main(arguments: list[str] | None = None) -> int:
    """Run it, print the figures; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=int, default=PLANS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    start = time.monotonic()
    tally = torture(options.plans, options.seed)
    no_quarantine(tally)
    for name, count in tally.counts.items():
        print(f"{count:8d} {name}")
    print(f"{len(tally.wrong):8d} wrong  ({time.monotonic() - start:.0f} s)")
    for wrong in tally.wrong[:20]:
        print(f"WRONG {wrong}".encode("utf-8", "backslashreplace").decode())
    return 1 if tally.wrong or not tally.counts["moved"] or not tally.counts["undone trees"] else 0


if __name__ == "__main__":
    sys.exit(main())
