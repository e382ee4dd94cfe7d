"""The API described by OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from tlapp.server.limits import Limits
from tlapp.server.model import Model

_PROBLEMS = {
    400: "The body is broken or cut short.",
    401: "The token is missing or wrong.",
    403: "A page of another site asked.",
    404: "There are no heat maps of this model; the sentence says what has them.",
    405: "The path answers to another method.",
    408: "The body came too slowly.",
    413: "The body is too large, or holds too many examples.",
    415: "The body is of a type that is not read.",
    422: "A picture or text cannot be read, or a parameter is wrong.",
    503: "Too much is under way; the header Retry-After says in how many seconds to try again.",
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "One sentence."}},
}
_TEXT = {"type": "string"}
_BINARY = {"schema": {"type": "string", "format": "binary"}}


def document(model: Model, limits: Limits, asks_for_a_token: bool) -> dict[str, Any]:
    """The description of the server of a model."""
    guarded: dict[str, Any] = {"security": [{"token": []}]} if asks_for_a_token else {}
    schemes = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if asks_for_a_token else {}
    refused = (401,) if asks_for_a_token else ()
    return {
        "openapi": "3.1.0",
        "info": {"title": f"tlapp serve: {model.facts['name']}", "version": version("tlapp")},
        "paths": {
            "/": {"get": _operation("A page to try the model on.", {"text/html": {}})},
            "/healthz": {"get": _operation("Whether the server answers.", _json({"type": "object"}))},
            "/openapi.json": {"get": _operation("This description.", _json({"type": "object"}))},
            "/metrics": {"get": {**_operation("Figures for Prometheus.", {"text/plain": {}}, refused), **guarded}},
            "/v1/model": {"get": {**_operation("What the model is.", _json(_MODEL), refused), **guarded}},
            "/v1/predict": {"post": {**_predict(model, limits, refused), **guarded}},
            "/v1/explain": {"post": {**_explain(model, limits, refused), **guarded}},
        },
        "components": {"schemas": {"Error": _ERROR}, **schemes},
    }


def _predict(model: Model, limits: Limits, refused: tuple[int, ...]) -> dict[str, Any]:
    texts, most = model.first.input.kind == "text", limits.to_json()["examples"]
    noun = "texts" if texts else "pictures"
    top = {
        "name": "top", "in": "query", "schema": {"type": "integer", "minimum": 1},
        "description": "How many labels; without it the answer alone: one, or all above 0.5 where there may be several.",
    }  # fmt: skip
    on_bad = {
        "name": "on_bad", "in": "query", "schema": {"enum": ["fail", "report"], "default": "fail"},
        "description": f"What a {noun[:-1]} does that cannot be read: fail the request, or have an error in place of labels.",
    }  # fmt: skip
    problems = (400, *refused, 403, 408, 413, 415, 422, 503)
    return {
        **_operation(f"Labels of {noun}, in the order of the request.", _json(_answer(model)), problems),
        "description": f"At most {most} {noun} and {limits.bytes / 1e6:g} MB.",
        "parameters": [top, on_bad],
        "requestBody": _body(texts, most),
    }


def _explain(model: Model, limits: Limits, refused: tuple[int, ...]) -> dict[str, Any]:
    label = {
        "name": "label", "in": "query", "schema": {"type": "string"},
        "description": "The class to explain; without it the most probable one.",
    }  # fmt: skip
    words = "Where in a picture the model sees what speaks for a class, as a heat map over the picture."
    problems = (400, *refused, 403, 404, 408, 413, 415, 422, 503)
    return {
        **_operation(words, _json(_heat_map(model)), problems),
        "description": "One picture. The first heat map takes as long as TensorFlow takes to load.",
        "parameters": [] if model.first.labelling.scale else [label],
        "requestBody": _body(False, 1),
    }


def _heat_map(model: Model) -> dict[str, Any]:
    peak = {
        "description": "Where most of it is, in shares of the width and height, and in pixels; null where nothing speaks for it.",
        "anyOf": [{"type": "object", "required": ["x", "y"]}, {"type": "null"}],
    }
    image = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    own: dict[str, Any] = {"label": _TEXT, "probability": {"type": "number"}}
    if model.first.labelling.scale:
        own = {"value": {"type": "number"}}
    properties = {"file": _TEXT, **own, "peak": peak, "method": _TEXT, "image": image}
    return {"type": "object", "required": [*properties], "properties": properties}


def _body(texts: bool, most: float) -> dict[str, Any]:
    """The body of a request for so many examples, at most."""
    inside: dict[str, Any] = {"type": "string"} if texts else {"type": "string", "contentEncoding": "base64"}
    listed = _json({"type": "array", "items": inside, "minItems": 1, "maxItems": most})
    files = {"schema": {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}}
    pictures = {"image/*": _BINARY, "application/octet-stream": _BINARY, "multipart/form-data": files}
    return {"required": True, "content": listed if texts else {**listed, **pictures}}


def _answer(model: Model) -> dict[str, Any]:
    file = {"type": "string", "description": "The name in a form; empty where there is none."}
    if model.first.labelling.scale:
        own: dict[str, Any] = {"value": {"type": "number"}}
    else:
        label = {"type": "string", "description": "The most probable label; empty where none is above 0.5."}
        labels = {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "description": "Label to probability, best first.",
        }
        own = {"label": label, "labels": labels}
    known = {"type": "boolean", "description": "Whether it is like what the model learnt; only of models that can tell."}
    one = {"type": "object", "required": ["file", *own], "properties": {"file": file, **own, "known": known}}
    bad = {"type": "object", "required": ["file", "error"], "properties": {"file": file, **_ERROR["properties"]}}
    listed = {"type": "array", "items": {"anyOf": [one, bad]}}
    return {"type": "object", "required": ["predictions"], "properties": {"predictions": listed}}


_MODEL = {
    "type": "object",
    "required": ["name", "format", "quantize", "runtime", "labels", "labelling", "input", "limits", "heat_maps"],
    "properties": {
        **dict.fromkeys(("name", "format", "quantize", "runtime", "labelling"), _TEXT),
        "labels": {"type": "array", "items": _TEXT},
        "input": {"type": "object"},
        "limits": {"type": "object"},
        "heat_maps": {
            "type": "object",
            "required": ["available"],
            "properties": {"available": {"type": "boolean"}, "why": {"type": "string", "description": "Why there are none."}},
        },
    },
}


def _operation(words: str, content: dict[str, Any], problems: tuple[int, ...] = ()) -> dict[str, Any]:
    error = _json({"$ref": "#/components/schemas/Error"})
    others = {str(status): {"description": _PROBLEMS[status], "content": error} for status in problems}
    return {"summary": words, "responses": {"200": {"description": words, "content": content}, **others}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
