"""The server on its socket: bound where it may, patient with nobody for long, and stopped without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tlapp.errors import UserError
from tlapp.server.app import Api
from tlapp.server.limits import Limits
from tlapp.server.model import Model
from tlapp.server.pool import Pool

SPARE = 200
"""Connections besides those whose requests are under way: idle ones of browsers, and those that are told to come again."""
SHORTEST = 16
"""Characters of a token: fewer can be guessed."""


def bound(host: str, port: int, token: str | None) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: others could reach it and there is no token; or it is in use, or not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UserError(f"there is no such address: {error.strerror or error}", host, option="host") from error
    family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    if token is None and not is_loopback(str(address[0])):
        why = "others can reach the server there, so it needs option token_file with a token that they must give"
        raise UserError(why, host, option="host")
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it means that two may listen at the same time
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise _not_bound(error, host, port) from error
    return listener


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _not_bound(error: OSError, host: str, port: int) -> UserError:
    if error.errno == errno.EADDRINUSE:
        return UserError("another program listens there; choose another port, or 0 for any that is free", port, option="port")
    if error.errno == errno.EACCES:
        return UserError("is reserved for the system; choose one from 1024", port, option="port")
    if error.errno == errno.EADDRNOTAVAIL:
        return UserError("is not an address of this machine", host, option="host")
    return UserError(f"cannot be used: {error.strerror}", f"{host}:{port}", option="host")


def read_token(path: str) -> str:
    """The token in a file.

    Raises:
        UserError: the file cannot be read, or its token is too short or not one word.
    """
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read(4096).strip()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", path, option="token_file") from error
    except ValueError as error:
        raise UserError("is not text", path, option="token_file") from error
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        why = f"expected one word of at least {SHORTEST} characters, such as `openssl rand -hex 32` makes"
        raise UserError(why, path, option="token_file")
    return token


class Server:
    """A server of a model on a socket that listens already.

    Attributes:
        url: of the page.
    """

    def __init__(self, model: Model, limits: Limits, listener: socket.socket, token: str | None = None, host: str = ""):
        self._pool, self._listener = Pool(model, limits), listener
        address, port = listener.getsockname()[:2]
        self.url = f"http://{f'[{address}]' if ':' in address else address}:{port}/"
        api = Api(model, self._pool, limits, token, host or address if is_loopback(address) else None)
        config = uvicorn.Config(
            api.application, loop="asyncio", http=_protocol(limits), ws="none", lifespan="off", log_config=None,
            log_level="error", access_log=False, proxy_headers=False, server_header=False, timeout_keep_alive=10,
            timeout_graceful_shutdown=max(1, round(limits.seconds)),
        )  # fmt: skip
        self._server = _Uvicorn(config)

    def run(self) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; requests that are under way are answered first."""
        self._pool.start()
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._pool.close()

    def stop(self) -> None:
        """Let `run` end, from another thread."""
        self._server.should_exit = True


class _Uvicorn(uvicorn.Server):
    """Ends in peace where it is told to: uvicorn's own raises the signal again once it has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _protocol(limits: Limits) -> type[H11Protocol]:
    """uvicorn's protocol of a connection, with an end to patience: uvicorn waits for the head of a request for ever."""

    class Impatient(H11Protocol):
        deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > limits.queue + SPARE:
                transport.abort()
            else:
                self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._rest()

        def send_400_response(self, msg: str) -> None:
            """As uvicorn's, in the words of the other errors."""
            body = b'{"error": "what came is no request of HTTP/1.1, or its head is too long"}'
            headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def _watch(self) -> None:
            """Start the clock where no request is being answered: a head is to come, or the rest of a body that nobody reads."""
            if self.cycle is not None and not self.cycle.response_complete:
                self._rest()
            elif self.deadline is None:
                self.deadline = self.loop.call_later(limits.seconds, self.transport.abort)

        def _rest(self) -> None:
            if self.deadline is not None:
                self.deadline.cancel()
                self.deadline = None

    return Impatient
