"""Random plans over hostile trees: is a picture ever lost, is anything touched that must not be, does undo restore all?

    python tests/torture/act_plans.py        PLANS=10000 SEED=1: about 25 minutes on one core

Each plan gets a world of its own: hard links, symbolic links and loops, a root mounted twice, names that differ by case
or by normalisation only, overlapping groups, reference folders inside the roots, damaged files, lies in the plan. In
most of them the disk fails, a file is changed, or the process is killed at the n-th system call. The oracle keeps an
account of its own: bytes, times, modes and inodes. Exit code 1 if anything is wrong.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rig.act_ground import ground
from rig.act_oracle import Account, Oracle, is_own, legitimate, returned, take_account
from rig.act_strikes import FAULTS, Calls, Failing, hostile_act, in_child, moment
from rig.act_world import World, build, hashed, picture, random_plan

from twinpix.encoder.errors import TwinpixError
from twinpix.pipeline.act.acted import Acted, ActStatus
from twinpix.pipeline.act.apply import apply_plan
from twinpix.pipeline.act.plan import Plan, PlannedFile, PlannedGroup
from twinpix.pipeline.act.plan_file import read_plan, write_plan
from twinpix.pipeline.act.undo import undo

PLANS = 10_000


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
    plan = random_plan(world)
    if dice.random() < 0.3:
        write_plan(plan, world.top / "plan.jsonl")
        if read_plan(world.top / "plan.jsonl") != plan:
            tally.wrong.append("the plan is not what was written")
    action = dice.choice(("quarantine",) * 6 + ("trash", "folder", "hardlink", "reflink"))
    before, oracle = take_account(world), Oracle(world, plan)
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
    reported = {oracle.true[file.path] for file in done.files if file.status is ActStatus.DONE}
    if not moved <= reported:
        tally.wrong.append(f"moved, but not reported: {moved - reported!r}")
    due = legitimate(oracle, plan, before, action)
    tally.counts["due"] += len(due)
    tally.counts["due and done"] += len(due & moved)
    tally.counts["moved"] += len(moved)
    if due - moved:
        tally.wrong.append(f"could have gone: {due - moved!r}: {[(f.reason, f.message) for f in done.files]}")
    if all(f.status is not ActStatus.DONE for f in done.files) != (done.run == ""):
        tally.wrong.append("a run that did nothing has a name")
    return True


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
    note(
        tally,
        f"after the race (call {calls.at})",
        oracle.judge(accounts[1], returned(world, before, accounts[1], after, action)),
    )
    undone_after_race(world, tally, after, action)
    return False


def undone_after_race(world: World, tally: Tally, after: Account, action: str) -> None:
    """Undo brings back what it can, and harms nothing else."""
    loudly(tally, "undo after a race", lambda: undo(yes=True))
    now = take_account(world)
    links = action in ("hardlink", "reflink")  # which give way to the file that they stood for, of the same bytes
    was, users = after.users(world), now.users(world)
    changed = [
        p for p, seen in was.items() if p not in users or (users[p][1] != seen[1] if links else users[p] != seen)
    ]
    note(tally, "undo after a race", [f"changed {p!r}" for p in changed])
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
    left = [path for path in after.files if "/files/" in path and is_own(world, path)]
    tally.wrong += [f"left behind by undo: {path!r}" for path in left]
    tally.counts["undone trees"] += 1
    tally.counts["restored files"] += len(was)


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
        if alias == worlds or Path(elsewhere).stat().st_dev == worlds.stat().st_dev:
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
            tally.counts["refused without a quarantine"] += done.count(ActStatus.REFUSED)
            if take_account(world) != before or [f.reason for f in done.files] != ["no_quarantine"]:
                tally.wrong.append(f"no quarantine, yet not refused: {done}")


def main() -> int:
    """Run it, print the figures; 1 if a bar is missed."""
    start = time.monotonic()
    tally = torture(int(os.environ.get("PLANS") or PLANS), int(os.environ.get("SEED") or 1))
    no_quarantine(tally)
    for name, count in tally.counts.items():
        print(f"{count:8d} {name}")
    print(f"{len(tally.wrong):8d} wrong  ({time.monotonic() - start:.0f} s)")
    for wrong in tally.wrong[:20]:
        print(f"WRONG {wrong}".encode("utf-8", "backslashreplace").decode())
    return 1 if tally.wrong or not tally.counts["moved"] or not tally.counts["undone trees"] else 0


if __name__ == "__main__":
    sys.exit(main())
