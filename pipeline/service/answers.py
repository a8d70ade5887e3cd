"""What the service says of pictures, as plain values for JSON. Names are made harmless, and no full path is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinpix.encoder.header import Header
from twinpix.pipeline.limits import Limits
from twinpix.pipeline.relation.kinds import Kind, Relation
from twinpix.pipeline.relation.words import sentence
from twinpix.pipeline.service.collection import Near
from twinpix.pipeline.service.judge import Judged, Upload
from twinpix.pipeline.show import safe

SCHEMA = 1


def checked(
    upload: Upload, header: Header, found: Sequence[Judged], limit: Limits, images: int, fingerprint: str
) -> dict[str, Any]:
    """The answer to an upload."""
    matches = [one for one in found if one.is_duplicate]
    others = [one for one in found if not one.is_duplicate]
    told = [one for one in others if one.relation is None or one.relation.kind is not Kind.DIFFERENT]
    return {
        "schema": SCHEMA,
        "id": upload.content.hex(),
        "duplicate": bool(matches),
        "threshold": limit.candidate,
        "unverified_threshold": limit.unverified,
        "matches": [_judged(one) for one in matches],
        "near": [_judged(one) for one in told],
        "refuted": len(others) - len(told),
        "picture": {"format": header.format, "width": header.width, "height": header.height, "bytes": len(upload.data)},
        "images": images,
        "fingerprint": fingerprint,
    }


def _judged(found: Judged) -> dict[str, Any]:
    name = safe(found.near.name)
    return {
        "id": found.near.content.hex(),
        "name": name,
        "distance": found.near.distance,
        "second_look": found.outcome,
        **_told(found.relation, name),
        "note": found.note or None,
    }


def _told(relation: Relation | None, name: str) -> dict[str, Any]:
    if relation is None:
        return {"relation": None, "original": None, "edits": None, "sentence": None}
    told = relation.to_dict()
    original = {"query": "upload", "reference": "match"}[told["original"]]
    said = sentence(relation, "the upload", name)
    return {"relation": told["kind"], "original": original, "edits": told["edits"], "sentence": said}


def neighbours(
    content: bytes, near: Sequence[Near], threshold: float | None, images: int, fingerprint: str
) -> dict[str, Any]:
    """The answer to a search."""
    return {
        "schema": SCHEMA,
        "id": content.hex(),
        "threshold": threshold,
        "nearest": [
            {
                "id": one.content.hex(),
                "name": safe(one.name),
                "distance": one.distance,
                "duplicate": None if threshold is None else one.distance <= threshold,
            }
            for one in near
        ],
        "images": images,
        "fingerprint": fingerprint,
    }
