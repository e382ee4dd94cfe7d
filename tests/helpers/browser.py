"""Debian's Chromium, driven by Playwright: a page, what it complains of and asks for, and its faults by axe-core."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest

CHROMIUM = "/usr/bin/chromium"
SERIOUS = ("serious", "critical")


@contextmanager
def chromium():
    """The browser; tests that need it are skipped where there is none."""
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visited(browser, url, **context):
    """A page of a window of its own; `errors` and `requests` tell what went wrong on it, and which addresses it asked for."""
    window = browser.new_context(**context)
    page = window.new_page()
    page.errors, page.requests = [], []
    page.on("console", lambda message: page.errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    try:
        page.goto(url)
        yield page
    finally:
        window.close()


def faults(page):
    """The serious faults of accessibility that axe-core finds: rule and elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return {each["id"]: [node["html"] for node in each["nodes"]] for each in found if each["impact"] in SERIOUS}
