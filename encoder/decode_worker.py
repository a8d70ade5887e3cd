"""A process that decodes pictures for another one, and may crash, hang or run out of memory instead of it.

Started as a script, so that neither the owner's main module nor the whole of twinpix is imported: what a worker
needs is Pillow, NumPy and three small files.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Any

if __name__ == "__main__":
    sys.path[:] = sys.argv[3:]
    for _name, _folders in (("twinpix", []), ("twinpix.encoder", [str(Path(__file__).parent)])):
        sys.modules[_name] = ModuleType(_name)
        sys.modules[_name].__path__ = _folders

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.decode import decode
from twinpix.encoder.errors import ImageError
from twinpix.encoder.film import decode_film
from twinpix.encoder.header import read_header
from twinpix.encoder.preprocess import Preprocess, prepared
from twinpix.encoder.recipe import Recipe
from twinpix.encoder.wire import WireError, receive, send

MEMORY = 480 << 20  # bytes, of the whole process; what it maps beyond stays below 512 MB
SECONDS = 8.0  # for one picture, once its file is read
TICK = 0.05  # s
IDLE = 0.03  # share of a core; who uses less is waiting for something that does not come
STRIP = 4 << 20  # bytes of pixels that are copied at a time
PREPROCESSINGS: dict[str, type[Preprocess]] = {"Preprocess": Preprocess, "Recipe": Recipe}
TIMED_OUT, OUT_OF_MEMORY, LOST = 1, 3, 4  # exit codes; 1 is what faulthandler exits with


class Watch:
    """A thread that ends the process when a picture takes too long or too much, or when the owner has died."""

    def __init__(self, seconds: float, memory: int) -> None:
        self.seconds, self.memory = seconds, memory
        self._begun: tuple[float, float] | None = None  # by the clock, and by what this process has computed
        self._owner, self._nowhere = os.getppid(), open(os.devnull, "w")  # noqa: SIM115 (stays open)
        self._put_off_timer()  # before the first picture, which may hang without ever letting the thread run
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self) -> None:
        """The time of a picture runs from now on."""
        self._begun = time.monotonic(), time.process_time()

    def end(self) -> None:
        """It is done."""
        self._begun = None

    def _is_late(self) -> bool:
        begun = self._begun
        if begun is None:
            return False
        passed, computed = time.monotonic() - begun[0], time.process_time() - begun[1]
        # on a machine with too much to do, a decoder that still computes is not to blame
        return computed > self.seconds or (passed > self.seconds and computed < IDLE * passed)

    def _run(self) -> None:
        while True:
            with suppress(Exception):  # short of memory: the timer still runs
                self._look()
            time.sleep(TICK)

    def _look(self) -> None:
        if self._is_late():
            os._exit(TIMED_OUT)
        if resident() > self.memory:
            os._exit(OUT_OF_MEMORY)
        if os.getppid() != self._owner:
            os._exit(LOST)
        if time.monotonic() > self._put_off + self.seconds / 8:  # it takes a thread: not every time
            self._put_off_timer()

    def _put_off_timer(self) -> None:
        # again and again, unless a decoder hangs without letting this thread run
        faulthandler.dump_traceback_later(self.seconds, exit=True, file=self._nowhere)
        self._put_off = time.monotonic()


def resident() -> int:
    """Memory of this process, bytes; where only the peak is known, that; 0 where neither is."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    return _peak_on_windows() if sys.platform == "win32" else _peak()


def _peak() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _kernel() -> Any:
    import ctypes

    return ctypes.__dict__["windll"].kernel32


def _peak_on_windows() -> int:
    import ctypes

    kernel = _kernel()
    # PROCESS_MEMORY_COUNTERS: two DWORDs, then SIZE_Ts; the second of those is WorkingSetSize
    counters = (ctypes.c_size_t * 16)()
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
    size = 8 + 8 * ctypes.sizeof(ctypes.c_size_t)
    known = kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), size)
    return counters[8 // ctypes.sizeof(ctypes.c_size_t) + 1] if known else 0


def limit_memory(memory: int) -> None:
    """Let allocations beyond `memory` bytes fail, on Linux: a refused picture then costs no process."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    with open("/proc/self/statm", "rb") as file:
        _, now, _, _, _, data, _ = (int(n) * os.sysconf("SC_PAGE_SIZE") for n in file.read().split())
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = data + max(memory - now, 0)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def crash_quietly() -> None:
    """No core files, and no dialogue on Windows."""
    if sys.platform == "win32":
        _kernel().SetErrorMode(3)  # SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def own_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes from and to the owner, out of reach of decoders that print."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    return requests, replies


def serve(requests: IO[bytes], replies: IO[bytes], watch: Watch) -> None:
    """Answer until the owner closes the pipe."""
    send(replies, {"ready": True})
    while (request := receive(requests)) is not None:
        answer(*request, replies, watch)


def answer(facts: dict[str, Any], body: bytes, replies: IO[bytes], watch: Watch) -> None:
    """Decode one picture, and send its levels, or what its header says, or why there is neither."""
    try:
        if "header" in facts:
            told = vars(read_header(_source(facts, body), watch.begin))
            watch.end()
            send(replies, told)
            return
        levels = decoded(facts, body, watch)
    except ImageError as error:
        watch.end()
        send(replies, {"reason": error.reason, "message": str(error)})
    else:
        watch.end()  # how long the owner takes to read is its own affair
        send_levels(levels, replies)


def decoded(facts: dict[str, Any], body: bytes, watch: Watch) -> Image.Image | NDArray[np.uint8]:
    """A picture as it is, or preprocessed."""
    source = _source(facts, body)
    if "film" in facts:
        return decode_film(source, begun=watch.begin)
    picture = decode(source, facts["at_least"], begun=watch.begin, jpeg_at_least=facts["jpeg_at_least"])
    if "preprocess" not in facts:
        return picture
    return prepared(picture, PREPROCESSINGS[facts["preprocess"]](**facts["settings"]))


def _source(facts: dict[str, Any], body: bytes) -> str | bytes:
    return os.fsdecode(body) if facts["path"] else body


def send_levels(levels: Image.Image | NDArray[np.uint8], replies: IO[bytes]) -> None:
    """A picture as uint8 (height, width, 3), or what preprocessing made of it, (3, height, width)."""
    if isinstance(levels, Image.Image):
        width, height = levels.size
        send(replies, {"shape": (height, width, 3)}, 3 * width * height, strips(levels))
    else:
        send(replies, {"shape": levels.shape}, levels.size, (levels.tobytes(),))


def strips(picture: Image.Image) -> Iterator[bytes]:
    """Levels of an RGB picture, row by row: a second copy of a large one would be too much."""
    rows = max(1, STRIP // (3 * picture.width))
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height))).tobytes()


def main() -> None:
    """Serve the process that started this one.

    Arguments: seconds for a picture, bytes of memory, and the owner's `sys.path`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches everyone at the terminal: the owner decides
    crash_quietly()
    requests, replies = own_streams()
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    limit_memory(memory)
    try:
        serve(requests, replies, Watch(seconds, memory))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (OSError, WireError):  # the owner has gone
        os._exit(LOST)
    os._exit(0)


if __name__ == "__main__":
    main()
