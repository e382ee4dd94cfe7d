"""The report in Chromium: it asks for nothing, complains of nothing, can be read by everybody, and a click shows pictures."""

from __future__ import annotations

import pytest
from engine.visuals.conftest import SCRIPT
from helpers.browser import chromium, faults, visited

import tlapp

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def address(finished, tmp_path_factory):
    return tlapp.report(finished, tmp_path_factory.mktemp("browser") / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.mark.parametrize(("scheme", "size"), [("light", {"width": 1100, "height": 900}), ("dark", PHONE)])
def test_no_fault_no_request_no_complaint(browser, address, scheme, size):
    with visited(browser, f"{address}#cell-0", color_scheme=scheme, viewport=size) as page:
        assert faults(page) == {}
        assert page.errors == []
        assert [each for each in page.requests if not each.startswith("data:")] == [address]
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")


def test_a_fault_would_be_found(browser, address):
    with visited(browser, address) as page:
        page.evaluate("document.querySelector('#examples img').removeAttribute('alt')")
        assert "image-alt" in faults(page)


def test_a_click_on_a_cell_shows_its_pictures(browser, address):
    with visited(browser, address, java_script_enabled=False) as page:
        link = page.locator(".matrix .wrong a, .matrix .right a").first
        panel = page.locator(link.get_attribute("href"))
        assert not panel.is_visible() and panel.locator("img").count() > 0
        link.click()
        assert panel.is_visible() and panel.locator("img").first.is_visible()
        others = page.locator("section.cell")
        assert sum(others.nth(number).is_visible() for number in range(others.count())) == 1
        assert SCRIPT in page.locator(".matrix").inner_text()


def test_it_prints_with_all_settings_and_without_the_menu(browser, address):
    with visited(browser, address) as page:
        assert page.locator("nav").is_visible() and not page.locator("details td").first.is_visible()
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible() and page.locator("details td").first.is_visible()
        assert page.pdf().startswith(b"%PDF")
