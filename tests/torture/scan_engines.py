"""Scans on both engines, their workers and their drivers killed: do they all give the same pairs and groups?

`IMAGES` drawn pictures (20,000), a tenth of them edited copies. What `twinpix scan --json` prints is compared byte for
byte, and so are all stage files. `RUNS` names the runs in their order; `OPTIONS=--no-verify` leaves second looks out.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance
from rig.pictures import PER_FOLDER, setting

RUNS = "local,ray killed,local killed,find-duplicates"
COPY_EVERY, TEXT_EVERY, DAMAGED_EVERY = 10, 211, 97
BEATS = (0.1, 0.3)  # between two kills, of the time that a run without any takes
DRIVER_KILLS, DRIVERS_DIE = 3, (0.25, 0.6)  # in a run, and when, of that time
WORKER_KILLS = 10
ORPHANS_END = 120.0  # s; agents of Ray notice within a minute that their raylet is gone
WORKERS = ("ray::MapWorker", "ray::_run", "decode_worker.py")  # in command lines


def drawn(seed: int) -> Image.Image:
    """A picture of shapes on a gradient, 112 x 84 px; other seeds are other pictures."""
    dice = np.random.default_rng(seed)
    corners = dice.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    picture = Image.fromarray(corners).resize((112, 84), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(picture)
    for _ in range(int(dice.integers(5, 14))):
        x, y = dice.integers(-10, 100), dice.integers(-10, 76)
        box = (int(x), int(y), int(x + dice.integers(6, 60)), int(y + dice.integers(6, 50)))
        colour = tuple(dice.integers(0, 256, 3).tolist())
        kind = int(dice.integers(0, 4))
        if kind == 0:
            pen.ellipse(box, colour)
        elif kind == 1:
            pen.rectangle(box, colour)
        elif kind == 2:
            pen.line(box, colour, width=int(dice.integers(1, 6)))
        else:
            pen.polygon([tuple(p) for p in dice.integers(-5, 110, (4, 2)).tolist()], colour)
    return picture


def edited(picture: Image.Image, seed: int) -> bytes:
    """A copy: smaller, darker or brighter, or cropped a little, and compressed."""
    dice = np.random.default_rng(seed)
    kind = seed // COPY_EVERY % 3
    if kind == 0:
        picture = picture.resize((90, 68))
    elif kind == 1:
        picture = ImageEnhance.Brightness(picture).enhance(float(dice.uniform(0.8, 1.2)))
    else:
        picture = picture.crop((4, 3, 108, 81))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(dice.integers(60, 92)))
    return buffer.getvalue()


def make_album(folder: Path, count: int) -> None:
    """`count` files in folders of 500: among them copies, damaged files and texts."""
    for k in range(count):
        path = folder / f"{k // PER_FOLDER:03}" / f"{k:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if k % TEXT_EVERY == 3:
            path.write_text("no picture\n")
        elif k % COPY_EVERY == 7:
            path.write_bytes(edited(drawn(k - 1), k))
        else:
            drawn(k).save(path, compress_level=1)
            if k % DAMAGED_EVERY == 5:
                path.write_bytes(path.read_bytes()[:-40])


@dataclass
class Outcome:
    """Of one run.

    Attributes:
        json: what it printed.
        files: digests of its stage files by name.
        seconds: in all.
        workers, drivers: how many were killed.
        left: processes of its own that were there after it.
        said: its last lines on stderr.
    """

    json: bytes = b""
    files: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    workers: int = 0
    drivers: int = 0
    left: int = 0
    said: str = ""


def command(name: str, folder: Path, work: Path) -> list[str]:
    """The command line of a run."""
    program, options = str(Path(sys.executable).parent / "twinpix"), (os.environ.get("OPTIONS") or "").split()
    if name == "find-duplicates":
        return [program, "find-duplicates", str(folder), "--no-library", "--json", *options]
    how = ["--engine", name.split()[0], "--work", str(work), "--workers", "2"]
    return [program, "scan", str(folder), *how, "--json", *options]


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line by process number."""
    found = {}
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1]), line
    return found


def below(driver: int) -> dict[int, str]:
    """The processes that a driver has started, and those that they have, with their command lines."""
    known, family = processes(), {driver}
    while grown := {pid for pid, (parent, _) in known.items() if parent in family} - family:
        family |= grown
    return {pid: known[pid][1] for pid in family - {driver}}


def strike(driver: int, dice: np.random.Generator) -> bool:
    """Kill a worker of a running scan, if there is one."""
    workers = [pid for pid, line in below(driver).items() if any(name in line for name in WORKERS)]
    if not workers:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(dice.choice(workers)), signal.SIGKILL)
        return True
    return False


def run(name: str, folder: Path, room: Path, dice: np.random.Generator, plain: float) -> Outcome:
    """One scan to its end, through all its kills; `plain`: s that one without any takes."""
    work, outcome, begun = room / name.replace(" ", "-"), Outcome(), time.monotonic()
    drivers = DRIVER_KILLS if "killed" in name else 0
    ever = set[int]()
    while True:
        with open(room / "out.json", "wb") as out, open(room / "err.txt", "wb") as err:
            child = subprocess.Popen(command(name, folder, work), stdout=out, stderr=err)
        lasts = plain * float(dice.uniform(*DRIVERS_DIE)) if outcome.drivers < drivers else float("inf")
        ends = time.monotonic() + lasts
        while child.poll() is None:
            time.sleep(plain * float(dice.uniform(*BEATS)) if "killed" in name else 0.5)
            ever |= set(below(child.pid))
            if "killed" in name and child.poll() is None:
                if time.monotonic() > ends:
                    child.kill()
                    outcome.drivers += 1
                    break
                if outcome.workers < WORKER_KILLS:
                    outcome.workers += strike(child.pid, dice)
        code = child.wait()
        if code != -signal.SIGKILL:
            break
    outcome.seconds, until = time.monotonic() - begun, time.monotonic() + ORPHANS_END
    while (left := ever & set(processes())) and time.monotonic() < until:
        time.sleep(1)
    outcome.left = len(left)
    outcome.json, outcome.said = (room / "out.json").read_bytes(), (room / "err.txt").read_text()[-600:]
    found = (path for path in work.rglob("*.parquet") if path.name != "meta.parquet")  # that says how long it took
    outcome.files = {str(path.relative_to(work)): hashlib.blake2b(path.read_bytes()).hexdigest() for path in found}
    if code not in (0, 3):
        outcome.said += f" (exit code {code})"
    return outcome


def main() -> int:
    """Print the figures; 1 where the bar is missed."""
    images, seed, failed = setting("IMAGES", 20_000), setting("SEED", 0), False
    dice, first = np.random.default_rng(seed), Outcome()
    os.environ.pop("TWINPIX_DATA", None)
    with tempfile.TemporaryDirectory() as place:
        room = Path(place)
        os.environ["TWINPIX_DATA"] = str(room / "data")
        make_album(room / "album", images)
        for number, name in enumerate((os.environ.get("RUNS") or RUNS).split(",")):
            outcome = run(name, room / "album", room, dice, first.seconds)
            if number == 0:
                first = outcome
                found = json.loads(outcome.json or b"{}")
                print(f"{images} files: {found.get('images')} images, {len(found.get('matches', ()))} pairs, "
                      f"{len(found.get('groups', ()))} groups, {found.get('looked_at')} looked at")  # fmt: skip
            same = outcome.json == first.json and len(outcome.json) > 1000
            files = "" if name == "find-duplicates" else f", {len(outcome.files)} stage files "
            alike = name == "find-duplicates" or outcome.files == first.files
            files += ("equal" if alike else "DIFFERENT") if files else ""
            print(f"{name}: {'the same' if same else 'OTHER'} {len(outcome.json)} bytes of JSON{files}; "
                  f"{outcome.workers} workers and {outcome.drivers} drivers killed, {outcome.left} left over; "
                  f"{outcome.seconds:.0f} s", flush=True)  # fmt: skip
            print("  " + outcome.said.strip().replace("\n", "\n  "), flush=True)
            failed |= not (same and alike) or outcome.left > 0
    print("MISSED" if failed else "met")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
