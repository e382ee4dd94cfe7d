"""What every request passes: whose browser asks, the token, headers that keep browsers careful, and the count."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tlapp.server.figures import Figures

OPEN = ("/", "/healthz", "/openapi.json")
"""Paths that need no token: they tell nothing of the model, and the page asks for the token itself."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """An ASGI application around another.

    Args:
        paths: those that there are; any other is counted as "other".
        token: the word that a request must bring, as "Authorization: Bearer WORD"; None where anybody may ask.
        host: the name that the server is bound to, if only this machine reaches it: then a browser must have asked for it by a
            name of this machine, so that no page from elsewhere reads answers through a name of its own (DNS rebinding).
    """

    def __init__(self, inner: ASGIApp, figures: Figures, paths: tuple[str, ...], token: str | None, host: str | None):
        self._inner, self._figures, self._paths = inner, figures, paths
        self._token = None if token is None else _digest(token)
        self._hosts = None if host is None else {*LOOPBACK, host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._figures.request(path, message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(Headers(scope=scope), scope["path"], scope["method"] == "POST")
        await (refusal or self._inner)(scope, receive, counted)

    def _refusal(self, headers: Headers, path: str, is_post: bool) -> Any:
        """The answer to a request that may not pass; None for others."""
        host = _without_port(headers.get("host", ""))
        if self._hosts is not None and host and host not in self._hosts:
            sentence = f"this server answers only under the names of its own machine, and not as {host[:80]}"
            return JSONResponse({"error": sentence}, 421)
        if is_post and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return JSONResponse({"error": "a page from elsewhere may not ask this server"}, 403)
        if self._token is None or path in OPEN:
            return None
        kind, _, word = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(_digest(word.strip()), self._token):
            return None
        sentence = "this needs the server's token, as the header Authorization: Bearer TOKEN"
        return JSONResponse({"error": sentence}, 401, {"WWW-Authenticate": "Bearer"})


def _digest(word: str) -> bytes:
    """Of equal length whatever the word, so that comparing tells nothing of it."""
    return hashlib.sha256(word.encode("utf-8", "surrogateescape")).digest()


def _without_port(host: str) -> str:
    """The name in a header Host: of "[::1]:8000" it is "::1"."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
