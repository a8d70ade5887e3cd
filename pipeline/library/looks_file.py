"""The file beside the library with the outcomes of second looks, in the order in which they were taken."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

from twinpix.pipeline.library.add import decoder
from twinpix.pipeline.library.kept_file import KeptFile, record_of
from twinpix.pipeline.library.place import LOOKS
from twinpix.pipeline.second_look.features import import_cv2
from twinpix.pipeline.second_look.remembered import LOOKS_VERSION


@cache
def looked_by() -> bytes:
    """What decides an outcome beside the pictures: the code that looks, and what decodes for it."""
    by = b"looks %d, %s, OpenCV %s" % (LOOKS_VERSION, decoder(), import_cv2().__version__.encode())
    return blake2b(by, digest_size=8).digest()


# what was found, after what tests (`second_look.remembered`): 48 bytes
LOOKS_FILE = KeptFile(
    LOOKS,
    b"twinpix: outcomes of second looks",
    record_of(("outcome", "u1"), ("tests", "u1"), ("spare", "<u2")),
    looked_by,
)
