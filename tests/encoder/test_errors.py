"""Errors keep what they say."""

from __future__ import annotations

import copy
import pickle

from twinpix.encoder.errors import ImageError


def test_an_image_error_comes_back_from_another_process() -> None:
    for again in (pickle.loads(pickle.dumps(error := ImageError("corrupt", "a.jpg: cut off"))), copy.copy(error)):
        assert isinstance(again, ImageError) and (again.reason, str(again)) == ("corrupt", "a.jpg: cut off")
