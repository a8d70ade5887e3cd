"""API keys: a file with a name and a hash a line. A key itself is shown once, when it is made, and kept nowhere."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from twinpix.encoder.errors import InputError

LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64}) sha256:(?P<digest>[0-9a-f]{64})")
PREFIX = "tpx_"  # scanners for leaked secrets know keys by such a beginning
MOST_KEYS, MOST_LENGTH = 10_000, 200


class Keys:
    """The keys that open the service.

    Args:
        digests: SHA-256 of each key, 32 bytes, by name. A key has 256 random bits: no slow hash is needed.
    """

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        self._digests = digests

    def __len__(self) -> int:
        return len(self._digests)

    def open_to(self, key: str) -> bool:
        """Whether it is one of them; all are compared, each in constant time."""
        digest = hashlib.sha256(key[:MOST_LENGTH].encode("utf-8", "surrogateescape")).digest()
        return sum(hmac.compare_digest(digest, known) for known in self._digests.values()) > 0


def read_keys(path: Path) -> Keys:
    """The keys of a file.

    Raises:
        InputError: it can't be read, or a line of it is no key, or there are none.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not text"
        raise InputError(f"{path}: the keys can't be read ({said})") from None
    digests: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = LINE.fullmatch(line.strip())
        if found is None:
            raise InputError(f"{path}, line {number}: not a key: make one with --new-key NAME")
        digests[found["name"]] = bytes.fromhex(found["digest"])
    if not 0 < len(digests) <= MOST_KEYS:
        raise InputError(f"{path}: holds no keys: make one with --new-key NAME" if not digests else f"{path}: too many")
    return Keys(digests)


def new_key(path: Path, name: str) -> str:
    """Make a key, and append its hash to the file.

    Raises:
        InputError: the name can't be used or is taken, or the file can't be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise InputError(f"{name!r} is no name of a key: 1 to 64 letters, digits, dots, dashes and underscores")
    if path.exists() and any(line.startswith(f"{name} ") for line in path.read_text("utf-8").splitlines()):
        raise InputError(f"{path}: there is a key called {name} already: take its line out first")
    key = PREFIX + secrets.token_urlsafe(32)
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as keys:
            keys.write(f"{name} sha256:{hashlib.sha256(key.encode()).hexdigest()}\n")
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror})") from None
    return key
