"""For schemathesis: what is sent as image/… is a picture. (JSON Schema can't say so: it would send any bytes.)"""

from __future__ import annotations

from functools import partial

import schemathesis
from hypothesis import strategies

from rig.served import drawn, packed


def picture(kind: str, side: int) -> bytes:
    """A small picture file."""
    return packed(drawn(side, side, 41 - side), kind)


for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
    files = strategies.integers(1, 40).map(partial(picture, kind))
    schemathesis.openapi.media_type(f"image/{kind.lower()}", files)
