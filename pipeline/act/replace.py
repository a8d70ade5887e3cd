"""Identical files that become one on the disk: by a hard link, or by shared blocks (reflink)."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from twinpix.pipeline.act.disk import clone, exchange, opened
from twinpix.pipeline.act.guard import Held
from twinpix.pipeline.act.labels import labels_of
from twinpix.pipeline.act.notes import untold
from twinpix.pipeline.act.spot import Spot
from twinpix.pipeline.act.state import State, Unusable, state_of


def check_replaceable(action: str, held: Held, survivor: Held, references: Sequence[Path]) -> None:
    """Whether one file can take the place of another.

    Raises:
        Unusable: they are not the same bytes on one volume, its tags would be lost, or a hard link would tie a
            reference to a copy.
    """
    if held.state.content != survivor.state.content:
        raise Unusable("not_identical", f"not the same bytes as {survivor.path}: a link would change the file")
    if held.state.device != survivor.state.device:
        raise Unusable("other_volume", f"{survivor.path} lies on another volume")
    if untold(labels_of(held.path), labels_of(survivor.path)):
        raise Unusable("not_identical", f"it has tags, a comment or a rating that {survivor.path} has not")
    if action == "hardlink" and any(survivor.path.is_relative_to(folder) for folder in references):
        raise Unusable("reference", "a change to the link would change the reference, too: use reflink")


def replace(action: str, held: Held, spot: Spot, survivor: Held) -> None:
    """Put a link or a clone where a file lies, and the file in the quarantine, in one step.

    The new one is made in the quarantine and then exchanged with the file, so that the path is never empty.

    Raises:
        Unusable: one of them changed meanwhile, or the file system can't; all is as before.
        OSError: the same.
    """
    stand_in = _make(action, held, spot, survivor)
    try:
        held.check("it")
        survivor.check(f"{survivor.path}, which stays,")
        exchange(held.folder, held.path.name, spot.folder, spot.name)
        try:
            held.check_moved(spot.path, spot.folder, survivor)
        except Unusable:
            exchange(held.folder, held.path.name, spot.folder, spot.name)
            raise
    except (Unusable, OSError):
        _drop(spot, stand_in)
        raise


def _make(action: str, held: Held, spot: Spot, survivor: Held) -> State:
    try:
        if action == "hardlink":
            os.link(survivor.path.name, spot.name, src_dir_fd=survivor.folder, dst_dir_fd=spot.folder,
                    follow_symlinks=False)  # fmt: skip
            with opened(spot.folder, spot.name) as (_, made):
                pass
        else:
            made = _clone(held, spot, survivor)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.EPERM, errno.EXDEV):
            raise Unusable("unsupported", f"this file system makes no {action} here") from None
        raise
    if made.content != held.state.content:
        _drop(spot, made)
        raise Unusable("changed", f"{survivor.path}, which stays, changed at this moment")
    return made


def _clone(held: Held, spot: Spot, survivor: Held) -> State:
    with opened(survivor.folder, survivor.path.name) as (source, _):
        target = clone(source, spot.folder, spot.name)
    try:
        os.fchmod(target, held.state.mode)
        os.utime(target, ns=(held.state.mtime_ns, held.state.mtime_ns))
        return state_of(target)
    finally:
        os.close(target)


def _drop(spot: Spot, stand_in: State) -> None:
    # only what was made here: a second name or a clone of what stays
    with opened(spot.folder, spot.name) as (_, there):
        is_ours = there.identity == stand_in.identity and there.content == stand_in.content
    if is_ours:
        os.unlink(spot.name, dir_fd=spot.folder)
        spot.remove_info()
