"""Draws docs/page.png: the page of `tlapp serve` with three of the built-in digits, the first with its heat map.

    tlapp train --plugin partial --run saved_models/digits && tlapp export saved_models/digits --format tflite
    python docs/make_page_picture.py saved_models/digits

Needs Chromium, and playwright from the extra dev.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tlapp.engine.inputs.digits import BUILTIN, digit, listed

SHOWN = (1796, 1782, 1773)
"""Which digits: none of them need be of the run's test part, as this shows a page and not an accuracy."""


def files() -> list[dict[str, object]]:
    """Digits as PNG files that a browser uploads."""
    found = []
    for source, name, _ in [listed()[number] for number in SHOWN]:
        stream = io.BytesIO()
        Image.fromarray(digit(source)).save(stream, "PNG")
        found.append(
            {"name": f"{name.removeprefix(BUILTIN).strip('/')}.png", "mimeType": "image/png", "buffer": stream.getvalue()}
        )
    return found


def main(run: str) -> None:
    """Serve the run, and take the picture."""
    command = [sys.executable, "-m", "tlapp", "serve", run, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, sync_playwright() as playwright:  # noqa: S603
        assert process.stdout is not None, "it was asked for"
        url = process.stdout.readline().partition(" answers at ")[2].split(" ")[0]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 860, "height": 700}, device_scale_factor=1.5)
        page.goto(url)
        page.set_input_files("#choose", files())
        page.locator(".bars").nth(len(SHOWN) - 1).wait_for()
        page.locator(".look").first.click()
        page.get_by_role("button", name="Show the picture").wait_for(timeout=300_000)  # TensorFlow is loaded first
        page.locator("h1").click()  # so that no button has the focus
        page.screenshot(path=str(Path(__file__).with_name("page.png")), full_page=True)
        browser.close()
        process.terminate()


if __name__ == "__main__":
    main(sys.argv[1])
