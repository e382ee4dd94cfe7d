"""Make docs/report.png: what the report of a run on the built-in digits looks like.

    python docs/make_pictures.py [RUN]

Trains a run unless one is named. Needs Chromium (`apt-get install chromium`) and the extra dev.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import tlapp

CHROMIUM = "/usr/bin/chromium"
OUTPUT = Path(__file__).parent / "report.png"
WIDTH, HEIGHT, GAP = 760, 1400, 28
"""Pixels of a column, of the picture, and around columns."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(sys.argv[1]) if len(sys.argv) > 1 else trained(Path(folder) / "digits")
        shot(tlapp.report(run, Path(folder) / "report.html"))


def trained(folder: Path) -> Path:
    """A run on the built-in digits, by a few epochs so that it makes mistakes."""
    return tlapp.train(plugin="partial", data="builtin:digits", epochs=3, run=str(folder)).folder


def shot(page: Path) -> None:
    """Photograph the head of the report, its matrix with a cell that was clicked, and its mistakes."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        tab.goto(page.as_uri())
        tab.locator(".matrix .wrong a").first.click()
        parts = [[photograph(tab, name) for name in names] for names in (("header", "#result", "#mistakes"), ("#examples",))]
        browser.close()
    sheet = Image.new("RGB", (len(parts) * (WIDTH + GAP) + GAP, HEIGHT), "white")
    for column, pictures in enumerate(parts):
        top = GAP
        for picture in pictures:
            sheet.paste(picture, (GAP + column * (WIDTH + GAP), top))
            top += picture.height + GAP
    sheet.quantize(256).save(OUTPUT, optimize=True)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size:,} bytes")


def photograph(tab: Any, selector: str) -> Any:
    """An element as a picture of Pillow's."""
    from PIL import Image

    return Image.open(io.BytesIO(tab.locator(selector).first.screenshot()))


if __name__ == "__main__":
    main()
