"""The pictures of the README: `make screenshots` reviews the album of `make run` in the system's Chromium.

python tests/pipeline/review/screenshots.py FOLDER
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twinpix.pipeline.demo import make_album

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SHOTS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 1.5},
}
GROUP = {"light": "coffee", "dark": "astronaut", "phone": "chelsea"}
KEYS: dict[str, tuple[str, ...]] = {"light": (), "dark": (" ",), "phone": ()}


def main(target: Path) -> None:
    """Write light.jpg, dark.jpg and phone.jpg into a folder."""
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        sys.exit("no Chromium on this machine: apt-get install chromium")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="twinpix-") as folder, sync_playwright() as driver:
        album = Path(folder) / "Pictures"
        album.mkdir()
        make_album(album)
        process, address = start(album, Path(folder) / "data")
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        try:
            for name, options in SHOTS.items():
                shoot(browser.new_context(**options).new_page(), address, name, target)
        finally:
            browser.close()
            process.terminate()
            process.wait()


def start(album: Path, data: Path) -> tuple[subprocess.Popen[str], str]:
    """`twinpix review` in a process of its own, and its link."""
    command = [str(Path(sys.executable).parent / "twinpix"), "review", str(album), "--no-browser"]
    environment = {**os.environ, "TWINPIX_DATA": str(data), "HOME": str(album.parent)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found is not None
    return process, found[0]


def shoot(page: Any, address: str, name: str, target: Path) -> None:
    """Turn to the group of that look, and take the picture."""
    page.goto(address)
    page.wait_for_selector(".card")
    for _ in range(10):
        page.wait_for_timeout(600)
        if GROUP[name] in page.text_content("#cards"):
            break
        page.keyboard.press("ArrowRight")
    for key in KEYS[name]:
        page.keyboard.press(key)
    page.wait_for_timeout(1500)
    page.screenshot(path=target / f"{name}.jpg", quality=88, type="jpeg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
