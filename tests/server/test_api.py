"""The API: what it answers to good requests, and the sentence for each kind of bad one."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib

import jsonschema
import pytest
from helpers.served import NAMES, TextStub, form, picture, running, stubbed

import tlapp
from tlapp.server.limits import Limits
from tlapp.server.model import opened

KINDS = ("float", "float16", "int8")
LIMITS = Limits(bytes=200_000, pixels=10_000, queue=8, examples=4, workers=2)


@pytest.fixture(scope="module")
def api(colours):
    with running(opened(colours / "float", 2), LIMITS) as client:
        yield client


def labels(answer):
    status, content = answer
    assert status == 200, content
    return [each["label"] for each in content["predictions"]]


@pytest.mark.parametrize("colour", NAMES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_picture_as_the_body(api, colour, kind):
    assert labels(api.predict(picture(colour, kind=kind), "application/octet-stream")) == [colour]


@pytest.mark.parametrize("kind", ["image/png", "IMAGE/PNG; q=1", "application/x-www-form-urlencoded", None])
def test_types_of_one_picture(api, kind):
    assert labels(api.predict(picture("red"), kind)) == ["red"]


def test_a_form_of_several(api):
    body, kind = form(("a.png", picture("red")), ("ü b.jpg", picture("blue", kind="JPEG")), ("", picture("green")))
    status, content = api.predict(body, kind)
    assert status == 200
    assert [(each["file"], each["label"]) for each in content["predictions"]] == [
        ("a.png", "red"), ("ü b.jpg", "blue"), ("", "green")
    ]  # fmt: skip


def test_a_list_of_several(api):
    body = json.dumps([base64.b64encode(picture(each)).decode() for each in ("green", "red", "blue", "red")])
    assert labels(api.predict(body, "application/json; charset=utf-8")) == ["green", "red", "blue", "red"]


@pytest.mark.parametrize(("query", "count"), [("", 1), ("?top=1", 1), ("?top=2", 2), ("?top=99", 3)])
def test_top(api, query, count):
    (found,) = api.predict(picture("red"), query=query)[1]["predictions"]
    assert next(iter(found["labels"])) == found["label"] == "red"
    assert len(found["labels"]) == count
    assert sorted(found["labels"].values(), reverse=True) == list(found["labels"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_predict(colours, tmp_path, kind):
    path = tmp_path / "a.jpg"
    path.write_bytes(picture("green", (313, 211), "JPEG"))
    (wanted,) = tlapp.load(colours / kind).predict([path], top=3)
    model = opened(colours / kind, 2)
    assert model.facts["runtime"] == "litert"
    assert model.facts["quantize"] == {"float": "none"}.get(kind, kind)
    with running(model, Limits(workers=2)) as client:
        (found,) = client.predict(path.read_bytes(), query="?top=3")[1]["predictions"]
    assert list(found["labels"].items()) == [(label, pytest.approx(value, abs=1e-6)) for label, value in wanted.labels]


def test_one_that_cannot_be_read_is_reported_where_that_is_asked_for(api):
    body, kind = form(("a.png", picture("red")), ("b.png", b"no picture"))
    assert api.predict(body, kind) == (422, {"error": "picture 2 of 2, b.png: not a picture"})
    status, content = api.predict(body, kind, "?on_bad=report")
    assert status == 200
    assert content["predictions"][0]["label"] == "red"
    assert content["predictions"][1] == {"file": "b.png", "error": "not a picture"}


def bomb(width, height):
    """A small PNG that says that it is large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


JSON, PNG, OF_A_FORM = "application/json", "image/png", form(("a.png", b"x"))
BAD = {
    "broken": (b"no picture", PNG, "", 422, "the picture: not a picture"),
    "empty": (b"", PNG, "", 422, "the picture: empty file"),
    "truncated": (picture("red", (90, 90), "JPEG")[:-300], PNG, "", 422, "the picture: damaged or cut short"),
    "many pixels": (picture("red", (200, 100)), PNG, "", 422, "over the limit of 0.01 million"),
    "bomb": (bomb(60_000, 60_000), PNG, "", 422, "3600 million pixels"),
    "larger bomb": (bomb(2**31 - 1, 2**31 - 1), PNG, "", 422, "pixels"),
    "oversized": (bytes(200_001), PNG, "", 413, "larger than 0.2 MB"),
    "another type": (b"<p>", "text/html", "", 415, "Received: text/html"),
    "no JSON": (b"[", JSON, "", 400, "is not JSON"),
    "deep JSON": (b"[" * 100_000, JSON, "", 422, "expected a JSON list of pictures in base64"),
    "an object": (b'{"a": "b"}', JSON, "", 422, "expected a JSON list"),
    "numbers": (b"[1, 2]", JSON, "", 422, "expected a JSON list"),
    "no base64": (b'["a.png"]', JSON, "", 422, "picture 1: is not base64"),
    "an empty list": (b"[]", JSON, "", 422, "holds no picture"),
    "a long list": (b"[" + b'"",' * 9000 + b'""]', JSON, "", 413, "more than 4 examples"),
    "one too many": (json.dumps([""] * 5), JSON, "", 413, "more than 4 examples"),
    "a path": (b"/etc/passwd", PNG, "", 422, "not a picture"),
    "top of zero": (picture("red"), PNG, "?top=0", 422, "top: expected a whole number from 1. Received: 0"),
    "top in words": (picture("red"), PNG, "?top=all", 422, "top: expected"),
    "on_bad": (picture("red"), PNG, "?on_bad=skip", 422, "on_bad: expected fail or report. Received: skip"),
    "no form": (b"x", OF_A_FORM[1], "", 400, "is not the multipart/form-data"),
    "no boundary": (OF_A_FORM[0], "multipart/form-data", "", 400, "is not the multipart/form-data"),
    "a form cut short": (OF_A_FORM[0][:-8], OF_A_FORM[1], "", 400, "was cut short"),
    "a form of fields": (OF_A_FORM[0].replace(b'; filename="a.png"', b""), OF_A_FORM[1], "", 422, "holds no picture"),
    "a form of many": (*form(*[("a", b"")] * 5), "", 413, "more than 4 examples"),
    "a form of very many": (*form(*[("a", b"")] * 500), "", 413, "more than 4 examples"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_gets_a_sentence(api, name):
    body, kind, query, status, words = BAD[name]
    found, content = api.predict(body, kind, query)
    assert found == status, content
    assert list(content) == ["error"]
    assert words in content["error"]
    assert "\n" not in content["error"]
    assert labels(api.predict(picture("blue"))) == ["blue"]  # and the next is answered


def test_other_paths_and_methods(api):
    for path in ("/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/page.html", "/v1/../../etc/passwd", "//etc/passwd", "/v1/"):
        status, content, _ = api.ask("GET", path)
        assert (status, list(content)) == (404, ["error"]), path
    assert api.ask("GET", "/v1/predict")[:2] == (405, {"error": "/v1/predict does not answer to GET; it takes POST"})


def test_only_names_of_this_machine_are_answered(api):
    for host in ("localhost", "127.0.0.1:80", "[::1]:8000", "LOCALHOST"):
        assert api.ask("GET", "/healthz", headers={"Host": host})[:2] == (200, {"status": "ok"})
    assert api.ask("GET", "/v1/model", headers={"Host": "evil.example"})[0] == 421


def test_pages_from_elsewhere_are_not_answered(api):
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert api.predict(picture("red"), headers={"Sec-Fetch-Site": site})[0] == status


def test_texts(tensorflow):
    with running(stubbed(TextStub()), Limits(workers=1)) as client:
        assert labels(client.predict('["moon star", "wave", "owl \\ud800"]', "application/json")) == ["night", "sea", "night"]
        status, content = client.predict('["moon", " "]', "application/json")
        assert (status, content["error"]) == (422, "text 2 of 2: empty text")
        assert client.predict(b"moon", "text/plain")[0] == 415
        assert client.predict("[[1]]", "application/json")[0] == 422
        assert client.predict("[" + "[" * 100_000, "application/json")[0] == 400
        assert list(client.ask("GET", "/openapi.json")[1]["paths"]["/v1/predict"]["post"]["requestBody"]["content"]) == [
            "application/json"
        ]


def test_the_token(colours):
    with running(opened(colours / "float", 1), Limits(), token="a-token-of-many-letters") as client:
        for given in ({}, {"Authorization": "Bearer another"}, {"Authorization": "a-token-of-many-letters"}):
            assert client.predict(picture("red"), headers=given)[0] == 401
            assert client.explain(picture("red"), headers=given)[0] == client.ask("GET", "/metrics", headers=given)[0] == 401
        right = {"Authorization": "Bearer a-token-of-many-letters"}
        assert labels(client.predict(picture("red"), headers=right)) == ["red"]
        for path in ("/", "/healthz", "/openapi.json"):
            assert client.ask("GET", path)[0] == 200
        assert client.ask("GET", "/v1/model")[2]["WWW-Authenticate"] == "Bearer"
        assert "token" in client.ask("GET", "/openapi.json")[1]["components"]["securitySchemes"]


def test_the_model_is_told_and_no_path_of_it(api, colours):
    content = api.ask("GET", "/v1/model")[1]
    assert content["labels"] == list(NAMES)
    assert content["input"] == {"kind": "image", "noun": "picture", "size": 8, "resize": "squash"}
    assert content["limits"] == {"bytes": 200_000, "pixels": 10_000, "seconds": 30.0, "examples": 4}
    assert str(colours) not in json.dumps(content)


def test_openapi_says_what_is_answered(api):
    document = api.ask("GET", "/openapi.json")[1]
    for path, methods in document["paths"].items():
        for method in methods:
            status, content, _ = api.ask(method.upper(), path)
            assert status not in (404, 405) or content["error"].startswith("an export holds no gradients"), path
    assert set(document["paths"]) == {
        "/", "/healthz", "/metrics", "/openapi.json", "/v1/explain", "/v1/model", "/v1/predict"
    }  # fmt: skip
    responses = document["paths"]["/v1/predict"]["post"]["responses"]
    body, kind = form(("a.png", picture("red")), ("b.png", b"no picture"))
    content = api.predict(body, kind, "?on_bad=report")[1]
    jsonschema.validate(content, responses["200"]["content"]["application/json"]["schema"])
    model = document["paths"]["/v1/model"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(api.ask("GET", "/v1/model")[1], model)
    assert {str(status) for *_, status, _ in BAD.values()} < set(responses)


def test_figures(colours):
    with running(opened(colours / "float", 1), Limits()) as client:
        for body in (picture("red"), picture("blue"), b"no picture"):
            client.predict(body)
        client.ask("GET", "/hidden")
        status, content, headers = client.ask("GET", "/metrics")
    text = content.decode()
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    sample = r'(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [\d.]+)'
    assert all(re.fullmatch(sample, line) for line in text.splitlines())
    for line in (
        'tlapp_requests_total{path="/v1/predict",status="200"} 2', 'tlapp_requests_total{path="/v1/predict",status="422"} 1',
        'tlapp_requests_total{path="other",status="404"} 1', 'tlapp_examples_total{outcome="answered"} 2',
        'tlapp_examples_total{outcome="unreadable"} 1', "tlapp_examples_waiting 0", "tlapp_predict_seconds_count 2",
        'tlapp_predict_seconds_bucket{le="+Inf"} 2',
    ):  # fmt: skip
        assert line in text.splitlines()
    buckets = [int(each) for each in re.findall(r"_bucket\{.*\} (\d+)", text)]
    assert buckets == sorted(buckets)


def test_headers_keep_browsers_careful(api):
    _, page, headers = api.ask("GET", "/")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert not re.search(rb"(src|href)=\"(?!data:,)|https?://|style=", page)
