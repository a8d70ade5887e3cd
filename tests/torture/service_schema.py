"""Is the service's OpenAPI document true? schemathesis at length: it finds nothing.

    python tests/torture/service_schema.py        EXAMPLES=100 SECONDS=240

Three times: pictures are sent where the document says image/… (all of schemathesis's checks as they are); any bytes are
(a picture can't be told by JSON Schema, so that 415 and 422 count as answers to a sound request, too); and the first
once more with API keys, so that it is seen whether requests without one are refused.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rig.pictures import setting
from rig.served import TWINPIX, serving

ANY_BYTES = """[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "415", "422", "429", "5xx"]
"""


def examined(port: int, folder: Path, *options: str, pictures: bool) -> bool:
    """One run; whether nothing was found."""
    (folder / "any.toml").write_text("" if pictures else ANY_BYTES)
    hooks = {"PYTHONPATH": str(Path(__file__).parent), "SCHEMATHESIS_HOOKS": "rig.schema_pictures"}
    words = [str(TWINPIX.with_name("schemathesis")), "--config-file", str(folder / "any.toml"), "run",
             f"http://127.0.0.1:{port}/openapi.json", "--no-color", "--max-examples", str(setting("EXAMPLES", 100)),
             "--max-time", str(setting("SECONDS", 240)), *options]  # fmt: skip
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **(hooks if pictures else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    print("\n".join(lines if done.returncode else [line for line in lines if "generated" in line or "Seed" in line]))
    return done.returncode == 0


def main() -> int:
    """All three; 1 where something was found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = []
        for pictures in (True, False):
            with serving(folder / f"library {pictures}", "--max-pixels", "1", "--queue", "100") as served:
                outcomes.append(examined(served.port, folder, pictures=pictures))
        keys = folder / "keys"
        make = [str(TWINPIX), "serve", "--keys", str(keys), "--new-key", "torture"]
        key = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
        with serving(folder / "library with keys", "--keys", str(keys)) as served:
            outcomes.append(examined(served.port, folder, "-H", f"X-API-Key: {key}", pictures=True))
    print("nothing found" if all(outcomes) else f"found something: {outcomes}")
    return not all(outcomes)


if __name__ == "__main__":
    sys.exit(main())
