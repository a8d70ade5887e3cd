"""What goes wrong at the n-th system call: the disk, another program, or kill -9."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rig.act_world import World, picture
from twinpix.pipeline.act import disk

FAULTS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE, errno.ENOENT)
CALLS = ("open", "read", "write", "fsync", "fstat", "lstat", "stat", "mkdir", "link", "unlink", "rename", "scandir",
         "fchmod", "utime")  # fmt: skip


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
        (world.tree / "sub").rename(world.top / "tree-moved")
        (world.tree / "sub").symlink_to(world.tree / "ref")

    acts: list[Callable[[], object]] = [
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
