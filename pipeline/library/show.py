"""What people and programs see of a library."""

from __future__ import annotations

from typing import Any

from twinpix.pipeline.library.add import Added
from twinpix.pipeline.library.status import Status
from twinpix.pipeline.show import safe, skipped_rows


def added_dict(added: Added) -> dict[str, Any]:
    """Schema 1."""
    return {
        "schema": 1,
        "images": added.images,
        "encoded": added.encoded,
        "reused": added.reused,
        "skipped": skipped_rows(added.skipped),
    }


def status_dict(status: Status) -> dict[str, Any]:
    """Schema 1. Undecodable bytes of paths are surrogate escapes."""
    return {
        "schema": 1,
        "path": str(status.path),
        "bytes": status.size,
        "files": status.files,
        "contents": status.contents,
        "unreadable": status.unreadable,
        "looks": status.looks,
        "roots": [str(root) for root in status.roots],
        "models": [
            {"fingerprint": m.fingerprint, "dim": m.dim, "state": m.state.name.lower(), "pictures": m.pictures,
             "missing": m.missing}
            for m in status.models
        ],
    }  # fmt: skip


def print_status(status: Status) -> None:
    """On stdout, a few lines."""
    lines = [
        f"{status.path}: {status.size / 1e6:.1f} MB",
        f"{status.files} files, {status.contents} different ones, {status.unreadable} of them unreadable",
        f"{status.looks} pairs need no second look again",
    ]
    for model in status.models:
        missing = f", {model.missing} to go" if model.missing else ""
        state = model.state.name.lower().replace("_", " ")
        lines.append(f"model {model.fingerprint} ({state}): {model.pictures} pictures{missing}")
    lines += [f"folder {root}" for root in status.roots]
    print("".join(f"{safe(line)}\n" for line in lines), end="")  # at once: `head -1` leaves after the first line
