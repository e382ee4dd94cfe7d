"""The API as an ASGI application: what each path answers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tlapp.engine.data.reading import Bad
from tlapp.engine.runs.answer_file import to_json
from tlapp.engine.runs.predictor import Prediction
from tlapp.server import bodies, openapi
from tlapp.server.bodies import Example, Room
from tlapp.server.figures import Figures
from tlapp.server.gate import Gate
from tlapp.server.limits import Limits, Problem, busy
from tlapp.server.model import Model
from tlapp.server.page import PAGE, POLICY
from tlapp.server.pool import Answer, Pool

PREDICT, EXPLAIN = "/v1/predict", "/v1/explain"


class Api:
    """The paths, each a method.

    Args:
        token: without which the API does not answer; None where anybody may ask.
        host: under whose names browsers may ask; None for any.
    """

    def __init__(self, model: Model, pool: Pool, limits: Limits, token: str | None = None, host: str | None = None):
        self._model, self._pool, self._limits, self._room, self._figures = model, pool, limits, Room(limits), Figures()
        self._facts = {**model.facts, "limits": limits.to_json()}
        self._document = openapi.document(model, limits, token is not None)
        paths: Mapping[str, tuple[str, Callable[[Request], Any]]] = {
            PREDICT: ("POST", self.predict), EXPLAIN: ("POST", self.explain), "/": ("GET", self.page),
            "/healthz": ("GET", self.health), "/metrics": ("GET", self.metrics),
            "/openapi.json": ("GET", self.openapi), "/v1/model": ("GET", self.model),
        }  # fmt: skip
        application = Starlette(
            routes=[Route(path, answer, methods=[method]) for path, (method, answer) in paths.items()],
            exception_handlers={Problem: _problem, HTTPException: _http, Exception: _bug},
        )
        self.application = Gate(application, self._figures, tuple(paths), token, host)

    async def page(self, request: Request) -> Response:
        """The page to try the model on."""
        return Response(PAGE, media_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def health(self, request: Request) -> Response:
        """Whether the server answers."""
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus."""
        return PlainTextResponse(self._figures.text(self._pool.waiting), media_type="text/plain; version=0.0.4")

    async def openapi(self, request: Request) -> Response:
        """The description of this API."""
        return JSONResponse(self._document)

    async def model(self, request: Request) -> Response:
        """What the model is, and what a request may hold."""
        why = self._model.heat_maps.why
        return JSONResponse({**self._facts, "heat_maps": {"available": not why, **({"why": why} if why else {})}})

    async def predict(self, request: Request) -> Response:
        """Labels of pictures or texts."""
        began = time.perf_counter()
        top = _top(request.query_params.get("top"))
        report = _choice(request.query_params.get("on_bad", "fail"), "on_bad", ("fail", "report")) == "report"
        most = min(self._limits.examples, self._limits.queue)
        with self._room.entered() as take:
            asked = await self._asked(request, take, most)
            answers = await self._answers(self._pool.ask([each.content for each in asked], top), request)
        self._count(answers)
        if not report:
            self._refuse_bad(asked, answers)
        self._figures.prediction(time.perf_counter() - began)
        found = zip(asked, answers, strict=True)
        return JSONResponse({"predictions": [self._to_json(*each) for each in found]})

    async def explain(self, request: Request) -> Response:
        """Where in a picture the model sees what speaks for its answer."""
        if why := self._model.heat_maps.why:
            raise Problem(404, why)
        label = self._label(request.query_params.get("label"))
        with self._room.entered() as take:
            asked = await self._asked(request, take, 1)
            answers = await self._answers(self._pool.explain(asked[0].content, label), request)
        self._count(answers)
        self._refuse_bad(asked, answers)
        return JSONResponse({"file": asked[0].name, **answers[0].to_json()})

    def _label(self, text: str | None) -> str | None:
        first = self._model.first
        if text is None or (text in first.labels and not first.labelling.scale):
            return text
        why = "the model answers with a number; leave it out" if first.labelling.scale else "the model has no such class"
        raise Problem(422, f"label: {why}. Received: {text[:80]}")

    async def _asked(self, request: Request, take: Callable[[int], None], most: int) -> list[Example]:
        """The examples in the body of a request."""
        content = await bodies.read(request.receive, request.headers.get("content-length", ""), self._limits, take)
        header = request.headers.get("content-type", "")
        ask = partial(bodies.examples, content, header, self._model.first.input.kind, most)
        return ask() if bodies.is_raw(header) else await run_in_threadpool(ask)

    async def _answers(self, futures: list[asyncio.Future[Answer]], request: Request) -> list[Any]:
        """What the pool says; nothing more is computed once the client has gone."""
        everything: asyncio.Future[Any] = asyncio.gather(*futures) if len(futures) > 1 else futures[0]
        # The body has been read: what comes now is the end of the connection.
        gone: asyncio.Future[Any] = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({everything, gone}, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                return everything.result() if len(futures) > 1 else [everything.result()]
            raise bodies.cut_off() if gone.done() else busy(f"there was no answer within {self._limits.seconds:g} seconds")
        finally:
            gone.cancel()
            everything.cancel()
            with contextlib.suppress(BaseException):
                await everything

    def _refuse_bad(self, asked: list[Example], answers: list[Answer]) -> None:
        noun = self._model.first.input.noun
        for number, (example, answer) in enumerate(zip(asked, answers, strict=True), 1):
            if isinstance(answer, Bad):
                raise Problem(422, f"{_called(example, number, len(asked), noun)}: {answer.reason}")

    def _count(self, answers: list[Answer]) -> None:
        unreadable = sum(isinstance(answer, Bad) for answer in answers)
        self._figures.examples.update(answered=len(answers) - unreadable, unreadable=unreadable)

    def _to_json(self, example: Example, answer: Prediction | Bad) -> dict[str, Any]:
        """As `tlapp predict` has it, with the answer itself in front."""
        if isinstance(answer, Bad):
            return {"file": example.name, "error": answer.reason}
        if self._model.first.labelling.scale:
            return {"file": example.name, "value": answer.value}
        return {**to_json(answer), "file": example.name, "label": answer.label}


def _called(example: Example, number: int, count: int, noun: str) -> str:
    which = f"{noun} {number} of {count}" if count > 1 else f"the {noun}"
    return f"{which}, {example.name}" if example.name and count > 1 else example.name or which


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise Problem(422, f"top: expected a whole number from 1. Received: {text[:80]}")
    return int(text)


def _choice(text: str, name: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise Problem(422, f"{name}: expected {' or '.join(choices)}. Received: {text[:80]}")
    return text


def _said(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, dict(headers or {}))


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem), "the table of handlers says so"
    return _said(error.status, error.sentence, error.headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "the table of handlers says so"
    path, allowed = request.url.path[:80], (error.headers or {}).get("Allow", "")
    sentences = {
        404: f"there is nothing at {path}; /openapi.json lists what there is",
        405: f"{path} does not answer to {request.method[:20]}; it takes {allowed}",
    }
    sentence = sentences.get(error.status_code, HTTPStatus(error.status_code).phrase)
    return _said(error.status_code, sentence, error.headers)


async def _bug(request: Request, error: Exception) -> Response:
    return _said(500, "something is wrong in the server; its log has the details", {"Connection": "close"})
