"""For schemathesis: what is sent as image/… or as bytes is a picture. (JSON Schema cannot say so: any bytes are.)"""

from __future__ import annotations

from functools import partial

import schemathesis
from hypothesis import strategies

from rig.served import drawn, packed


def picture(kind: str, side: int) -> bytes:
    """A small picture file."""
    return packed(drawn(side, side, 41 - side), kind)


KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
FILES = strategies.builds(picture, strategies.sampled_from(KINDS), strategies.integers(1, 40))
schemathesis.openapi.media_type("application/octet-stream", FILES)
for kind in KINDS:
    files = strategies.integers(1, 40).map(partial(picture, kind))
    schemathesis.openapi.media_type(f"image/{kind.lower()}", files)
