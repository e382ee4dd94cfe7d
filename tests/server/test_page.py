"""The page in a real browser: a picture gets its label, a broken file a sentence, and nothing else happens."""

from __future__ import annotations

import base64
import json

import pytest
from helpers.browser import chromium, faults, visited
from helpers.served import NAMES, Stub, StubHeatMaps, picture, running, stubbed

from tlapp.server.limits import Limits

DROP = """([type, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  const event = type === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
    : new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""
PHONE = {"width": 360, "height": 740}
RED = picture("red")
HOSTILE = ("<img src=x onerror=alert(1)>", '"><script>alert(2)</script>', "a" * 300)


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server():
    with running(stubbed(Stub(), heat_maps=StubHeatMaps()), Limits(bytes=100_000)) as client:
        yield client


@pytest.fixture
def page(browser, server):
    with visited(browser, server.url, viewport={"width": 1000, "height": 800}) as opened:
        yield opened
        assert opened.errors == []
        assert all(url.startswith((server.url, "blob:", "data:")) for url in opened.requests)


def give(page, *files):
    page.locator("#pictures").wait_for()
    page.set_input_files("#choose", [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files])


def card(page, name):
    return page.get_by_role("article", name=name, exact=True)


def send(page, kind, name, content):
    page.evaluate(DROP, [kind, name, base64.b64encode(content).decode()])


def test_pictures_get_labels_and_a_broken_file_a_sentence(page):
    give(page, ("red.png", RED), ("bad.png", b"no picture"), ("blue.png", picture("blue")))
    card(page, "blue.png").locator(".bars li").nth(2).wait_for()
    card(page, "red.png").locator(".bars li").nth(2).wait_for()
    assert card(page, "red.png").locator(".label").inner_text() == "red"
    assert card(page, "blue.png").locator(".label").inner_text() == "blue"
    lines = [line.split("\n") for line in card(page, "red.png").locator(".bars li").all_inner_texts()]
    assert [(name, share) for name, *_, share in lines] == [("red", "70.0 %"), ("green", "16.7 %"), ("blue", "13.3 %")]
    bad = card(page, "bad.png").locator(".wrong")
    bad.wait_for()
    assert bad.inner_text() == "cannot be read: not a picture"
    assert page.title() == "Try colours"
    assert faults(page) == {}


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page, kind):
    page.locator("#pictures").wait_for()
    send(page, "dragenter", "green.png", picture("green"))
    assert "over" in page.locator("body").get_attribute("class")
    send(page, "drop", "green.png", picture("green"))
    if kind == "paste":
        send(page, kind, "green.png", picture("green"))
    number = 2 if kind == "paste" else 1
    page.locator(".bars").nth(number - 1).wait_for()
    assert card(page, "green.png").locator(".label").all_inner_texts() == ["green"] * number
    assert page.locator("body").get_attribute("class") == ""


def test_a_listener_hears_the_answer(page):
    give(page, ("red.png", RED))
    page.get_by_role("status").filter(has_text="red.png: red, 70.0 %").wait_for()
    give(page, ("bad.png", b""))
    page.get_by_role("status").filter(has_text="bad.png: cannot be read: empty file").wait_for()


def test_keys_are_enough(page):
    page.on("filechooser", lambda chooser: chooser.set_files([{"name": "red.png", "mimeType": "image/png", "buffer": RED}]))
    page.locator("#pictures").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    page.keyboard.press("Enter")
    card(page, "red.png").locator(".bars").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "clear"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the heat map
    heat = page.get_by_role("img", name="Heat map of red.png. Brightest where most speaks for red: top left.")
    heat.wait_for()
    assert heat.get_attribute("src").startswith("data:image/png;base64,")
    page.get_by_role("status").filter(has_text="red.png: Brightest where most speaks for red: top left.").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Show the picture"
    assert faults(page) == {}
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Show where it looked"
    assert page.locator("article img").get_attribute("src").startswith("blob:")
    assert not card(page, "red.png").get_by_text("Brightest where most").is_visible()
    page.get_by_role("status").filter(has_text="red.png: the picture, without the heat map").wait_for()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.locator("article").count() == 0
    assert page.evaluate("document.activeElement.id") == "choose"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_in_light_and_dark(browser, server, scheme):
    window = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "color_scheme": scheme}
    with visited(browser, server.url, **window) as page:
        give(page, ("a-long-name-" * 20 + ".png", picture("red")), ("bad.png", b"x"))
        page.locator(".bars").wait_for()
        page.locator("li .wrong").wait_for()
        page.get_by_role("button", name="Show where it looked").click()
        page.get_by_role("img", name="top left").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        camera = page.get_by_label("Take a photo")
        assert camera.get_attribute("capture") == "environment"
        assert page.get_by_text("Take a photo").is_visible()
        assert faults(page) == {}
        assert page.errors == []


def test_hostile_names_stay_text(browser):
    heat_maps = StubHeatMaps()
    with (
        running(stubbed(Stub(HOSTILE), heat_maps=heat_maps), Limits()) as client,
        visited(browser, client.url, viewport=PHONE) as page,
    ):
        for name, colour in zip(HOSTILE, NAMES, strict=True):
            give(page, (name[:200], picture(colour)))
        page.locator(".bars").nth(2).wait_for()
        assert {*page.locator("article > div > .label").all_inner_texts()} == set(HOSTILE)
        assert page.locator("article script, article img[onerror]").count() == 0
        for number in range(3):
            page.locator(".look").nth(number).click()
        page.get_by_role("button", name="Show the picture").nth(2).wait_for()
        assert set(heat_maps.asked) == set(HOSTILE)
        assert page.locator("article script, article img[onerror]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert page.errors == []


def test_a_model_that_says_unknown(page):
    answer = {"predictions": [{"file": "", "label": "red", "labels": {"red": 0.5, "blue": 0.4}, "known": False}]}
    page.route("**/v1/predict*", lambda route: route.fulfill(body=json.dumps(answer), content_type="application/json"))
    give(page, ("odd.png", picture("red")))
    card(page, "odd.png").locator(".bars").wait_for()
    assert card(page, "odd.png").locator(".label").inner_text() == "unknown"
    assert "Unlike what the model has learnt" in card(page, "odd.png").inner_text()
    page.get_by_role("status").filter(has_text="odd.png: unknown").wait_for()
    assert faults(page) == {}


def test_the_servers_sentence_about_a_large_file(browser, server):
    with visited(browser, server.url) as page:
        give(page, ("large.png", bytes(150_000)))
        page.locator("li .wrong").wait_for()
        assert page.locator("li .wrong").inner_text() == "the request's body is larger than 0.1 MB"
        body = json.dumps({"error": "there is no map"})
        page.route("**/v1/explain*", lambda route: route.fulfill(status=404, body=body, content_type="application/json"))
        give(page, ("red.png", RED))
        page.get_by_role("button", name="Show where it looked").click()
        page.get_by_text("there is no map", exact=True).first.wait_for()
        assert page.get_by_role("button", name="Show where it looked").get_attribute("aria-busy") is None


def test_a_text_gets_its_label(browser, server):
    facts = {"name": "mood", "labelling": "one", "labels": ["bad", "good"], "input": {"kind": "text"}, "runtime": "tensorflow"}
    answer = {"predictions": [{"file": "", "label": "good", "labels": {"good": 0.9, "bad": 0.1}}]}
    sent = []
    with visited(browser, "about:blank") as page:
        page.route("**/v1/model", lambda route: route.fulfill(body=json.dumps(facts), content_type="application/json"))

        def answered(route):
            sent.append((route.request.headers["content-type"], json.loads(route.request.post_data)))
            route.fulfill(body=json.dumps(answer), content_type="application/json")

        page.route("**/v1/predict*", answered)
        page.goto(server.url)
        page.get_by_label("Text").fill("moon and star")
        page.get_by_role("button", name="Classify").click()
        card(page, "moon and star").locator(".bars").wait_for()
        assert card(page, "moon and star").locator(".label").inner_text() == "good"
        assert sent == [("application/json", ["moon and star"])]
        assert faults(page) == {}
        assert page.errors == []


def test_the_token_is_asked_for(browser):
    with running(stubbed(Stub()), Limits(), token="a-token-of-many-letters") as client, visited(browser, client.url) as page:
        page.get_by_label("Token").fill("a-wrong-token")
        assert faults(page) == {}
        page.keyboard.press("Enter")
        page.get_by_text("that is not the token of this server").wait_for()
        page.get_by_label("Token").fill("a-token-of-many-letters")
        page.keyboard.press("Enter")
        give(page, ("red.png", RED))
        card(page, "red.png").locator(".bars").wait_for()
        assert not page.get_by_label("Token").is_visible()
        assert page.get_by_role("button", name="Show where it looked").count() == 0  # this model has none
