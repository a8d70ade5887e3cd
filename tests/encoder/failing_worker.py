"""A decoding process whose decoder fails as the last bytes of a file ask it to. For tests and `make torture`."""

from __future__ import annotations

import ctypes
import mmap
import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

ENCODER = Path(__file__).resolve().parents[2] / "encoder"
ASK, ASK_LOOKING = b"the decoder is asked to ", b"the decoder, at the second look, is asked to "
LOOK_PX = 186  # px, `at_least` of the second look


def eat() -> None:
    """Until there is no more: allocations fail."""
    eaten = []
    while True:
        eaten.append(bytearray(16 << 20))


def flood() -> None:
    """Memory that no limit of allocations holds back."""
    with mmap.mmap(-1, 8 << 30) as shared:
        for start in range(0, len(shared), 4 << 20):
            shared[start : start + (4 << 20)] = b"x" * (4 << 20)
            time.sleep(0.004)


def babble() -> None:
    """Answer in place of the worker, and not in its words."""
    for number in range(3, 30):
        try:
            os.write(number, b"\0\0\0\2\0\0\0\0\0\0\0\0[]")
        except OSError:
            continue


FAILURES: dict[str, tuple[Callable[[], object], str]] = {
    "segfault": (lambda: ctypes.string_at(0), "decoder_crashed"),
    "abort": (os.abort, "decoder_crashed"),
    "exit": (lambda: os._exit(7), "decoder_crashed"),
    "babble": (babble, "decoder_crashed"),
    "sleep": (lambda: time.sleep(600), "timed_out"),
    # with the interpreter's lock held: no other thread of Python runs
    "hang": (lambda: ctypes.PyDLL(None).sleep(600), "timed_out"),
    "eat": (eat, "out_of_memory"),
    "flood": (flood, "out_of_memory"),
}


def main() -> None:
    """The real worker with a decoder that fails."""
    sys.path[:] = sys.argv[3:]
    for name, folders in (("twinpix", []), ("twinpix.encoder", [str(ENCODER)])):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = folders
    import twinpix.encoder.decode as module

    real: Callable[..., Any] = module.__dict__["_decode_stream"]

    def failing(file: Any, at_least: int | None, *args: Any) -> Any:
        data = file.getvalue()
        for name, (fail, _) in FAILURES.items():
            if data.endswith(ASK + name.encode()) or (
                at_least == LOOK_PX and data.endswith(ASK_LOOKING + name.encode())
            ):
                fail()
        return real(file, at_least, *args)

    module.__dict__["_decode_stream"] = failing
    runpy.run_path(str(ENCODER / "decode_worker.py"), run_name="__main__")


if __name__ == "__main__":
    main()
