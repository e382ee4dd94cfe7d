"""Heat maps over HTTP: of the run behind what is served, and a sentence where there is none."""

from __future__ import annotations

import base64
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from helpers.served import COLOURS, NAMES, Stub, StubHeatMaps, TextStub, form, picture, running, stubbed, until, waiting
from PIL import Image

from tlapp.errors import UserError
from tlapp.server import heat_maps
from tlapp.server.limits import Limits
from tlapp.server.model import opened


@pytest.fixture(scope="module")
def api(colours):
    with running(opened(colours / "whole" / "export" / "int8", 1), Limits(bytes=100_000)) as client:
        yield client


RED = picture("red")


def two(left, right, shape=(120, 40)):
    """The bytes of a picture whose halves have two colours."""
    image, stream = Image.new("RGB", shape, COLOURS[right]), io.BytesIO()
    image.paste(COLOURS[left], (0, 0, shape[0] // 2, shape[1]))
    image.save(stream, "PNG")
    return stream.getvalue()


def test_the_heat_lies_on_what_speaks_for_the_class(api):
    assert api.ask("GET", "/v1/model")[1]["heat_maps"] == {"available": True}
    for colour, is_left in (("red", True), ("green", False)):
        status, content = api.explain(two("red", "green"), query=f"?label={colour}")
        assert (status, content["label"], content["method"]) == (200, colour, "grad-cam")
        assert (content["peak"]["x"] < 0.5) == (content["peak"]["pixel"][0] < 60) == is_left
        overlay = np.asarray(Image.open(io.BytesIO(base64.b64decode(content["image"]))), float)
        assert overlay.shape == (107, 320, 3)  # in the picture's own shape
        changed = np.abs(overlay - np.asarray(Image.open(io.BytesIO(two("red", "green", (320, 107)))), float)).sum((0, 2))
        assert (changed[:160].sum() > 2 * changed[160:].sum()) == is_left


def test_the_answer_is_what_the_api_says(api):
    answers = [api.explain(*body)[1] for body in ((picture("blue"),), form(("a.png", picture("blue"))))]
    assert [(each["label"], each["file"]) for each in answers] == [("blue", ""), ("blue", "a.png")]
    post = api.ask("GET", "/openapi.json")[1]["paths"]["/v1/explain"]["post"]
    schema = post["responses"]["200"]["content"]["application/json"]["schema"]
    for each in answers:
        jsonschema.validate(each, schema)
    broken = api.explain(b"no picture")
    assert broken == (422, {"error": "the picture: not a picture"})
    many, kind = form(("a.png", picture("red")), ("b.png", picture("red")))
    assert api.explain(many, kind) == (413, {"error": "the request holds more than 1 example; send several requests"})
    assert api.explain(bytes(200_000))[0] == 413
    wrong = "label: the model has no such class. Received: <b>"
    assert api.explain(picture("red"), query="?label=%3Cb%3E") == (422, {"error": wrong})
    assert {"401", *map(str, (404, 413, 422, 503))} - set(post["responses"]) == {"401"}  # it asks for no token


@pytest.mark.parametrize("name", ["alone", "texts", "taught since", "another class", "unfinished"])
def test_where_there_are_none_a_sentence_says_why(colours, tmp_path, name):
    run = shutil.copytree(colours / "whole", tmp_path / "run")
    place, words = run / "export" / "tflite", "the run of this export was changed since"
    if name == "alone":
        place, words = shutil.copytree(place, tmp_path / "alone"), "serve the folder of its run"
    elif name == "taught since":
        (run / "taught").mkdir()
    elif name == "another class":
        (run / "labels.txt").write_text("a\nb\nc\n")
    elif name == "unfinished":
        (run / "metrics.json").unlink()
        words = "is not complete"
    model = opened(place, 1)
    if name == "texts":
        model, words = stubbed(TextStub()), "heat maps are for pictures, and this model takes texts"
        model = replace(model, heat_maps=heat_maps.behind(place, model.first, False))
    with running(model, Limits()) as client:
        status, content = client.explain(picture("red"))
        assert (status, words in content["error"]) == (404, True)
        assert client.ask("GET", "/v1/model")[1]["heat_maps"] == {"available": False, "why": content["error"]}
        assert str(tmp_path) not in content["error"]


@pytest.mark.parametrize("name", ["no map", "damaged"])
def test_a_network_that_has_none_is_found_out_at_the_first_request(colours, tmp_path, monkeypatch, caplog, name):
    run = shutil.copytree(colours / "whole", tmp_path / "run")
    if name == "damaged":
        os.truncate(run / "model.keras", 1000)
    else:
        monkeypatch.setattr(heat_maps, "place_of", refuse)
    with running(opened(run, 1), Limits()) as client:
        assert client.ask("GET", "/v1/model")[1]["heat_maps"] == {"available": True}
        assert client.explain(b"no picture")[0] == 422  # which does not open the network
        status, content = client.explain(picture("red"))
        assert (status, client.explain(picture("red"))) == (404, (404, content))
        assert client.ask("GET", "/v1/model")[1]["heat_maps"]["available"] is False
        assert client.predict(picture("red"))[0] == 200
    unopened = "the model of the run cannot be opened for heat maps; the server's log says why"
    assert content["error"] == (unopened if name == "damaged" else "no map here")
    assert ("model.keras" in caplog.text) == (name == "damaged")


def refuse(model):
    raise UserError("no map here")


def test_a_run_that_tensorflow_computes_has_them_too(colours):
    with running(opened(colours / "run", 1), Limits()) as client:
        assert client.explain(picture("green"))[1]["label"] == "green"


def test_heat_maps_hold_up_no_prediction_and_have_the_same_limits():
    slow = StubHeatMaps()
    slow.go.clear()
    with running(stubbed(Stub(), heat_maps=slow), Limits(pixels=1000, queue=2)) as client, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(client.explain, RED, query=f"?label={name}") for name in NAMES[:1]]
        until(lambda: waiting(client) == 1)
        assert client.predict(RED)[0] == 200
        asked.append(pool.submit(client.explain, RED))
        until(lambda: waiting(client) == 2)
        assert client.explain(RED)[0] == client.predict(RED)[0] == 503
        slow.go.set()
        assert [each.result()[1]["label"] for each in asked] == [NAMES[0], "red"]
        assert "over the limit of 0.001 million" in client.explain(picture("red", (40, 30)))[1]["error"]
        slow.of = lambda *_: 1 / 0
        assert [client.explain(RED)[0], client.predict(RED)[0], waiting(client)] == [500, 200, 0]


def test_a_heat_map_that_takes_too_long_is_not_waited_for():
    slow = StubHeatMaps()
    slow.go.clear()
    with running(stubbed(Stub(), heat_maps=slow), Limits(seconds=0.3)) as client:
        assert client.explain(RED)[0] == client.explain(RED)[0] == 503
        slow.go.set()
        until(lambda: waiting(client) == 0)
        assert slow.asked == [None]  # the second was not computed, as nobody waited for it
