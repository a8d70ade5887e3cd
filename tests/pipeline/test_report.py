"""What a report shows in a notebook."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from PIL import Image

from twinpix.encoder.errors import FingerprintError
from twinpix.pipeline.report import Embeddings, Group, Report

Paint = Callable[..., Image.Image]


def report(*groups: Group) -> Report:
    return Report(groups, (), (), 0.3, 0.01, False, 9, "f00d")


def test_repr_says_what_was_found() -> None:
    text = repr(report(Group((Path("/a"), Path("/b"), Path("/c")), 0.1)))
    assert text == "Report(9 images, 1 groups, 2 duplicates, 0 skipped, threshold 0.300)"


def test_html_shows_thumbnails(tmp_path: Path, paint: Paint) -> None:
    paint(1).save(tmp_path / "a.png")
    html = report(Group((tmp_path / "a.png", tmp_path / "gone.png"), 0.123))._repr_html_()
    assert html.count("data:image/jpeg;base64,") == 1
    assert "no longer readable" in html
    assert "0.123" in html


@pytest.mark.parametrize(
    "raw", [b"<script>alert(1)</script>.png", b"\xff.png", b'"onload=x.png', b"\xe2\x80\xaegnp.exe"]
)
def test_html_is_safe_with_hostile_names(tmp_path: Path, raw: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + raw.replace(b"/", b":")))
    html = report(Group((path, path), 0.1))._repr_html_()
    assert "<script" not in html
    assert '"onload' not in html
    assert "\u202e" not in html
    html.encode("utf-8")


def test_html_stays_short() -> None:
    many = tuple(Group(tuple(Path(f"/{g}/{f}") for f in range(30)), 0.1) for g in range(30))
    html = report(*many)._repr_html_()
    assert html.count("Group ") == 20
    assert "and 10 more groups" in html
    assert html.count("and 18 more files") == 20


def test_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        report().images = 3  # type: ignore[misc]


def test_fingerprints(encoder: object) -> None:
    import numpy as np

    embeddings = Embeddings((), np.empty((0, 2), np.float32), "one")
    embeddings.check_same_encoder("one")
    with pytest.raises(FingerprintError):
        embeddings.check_same_encoder("two")
