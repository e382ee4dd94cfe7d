"""The body of a request to the examples that it holds, within the limits."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tlapp.server.limits import Limits, Problem, busy

Receive = Callable[[], Awaitable[Any]]
_RAW = ("application/octet-stream", "application/x-www-form-urlencoded", "")
"""Types besides image/... of a body that is one picture; the second is what curl --data-binary says by default."""
TAKES = "a picture (image/jpeg, image/png, ...), multipart/form-data with pictures, or application/json"
_IN_LISTS = (b"[", b"{")
_READ_ON = 4
"""Bodies without a length are read, and forgotten, up to so many times the limit: who is cut off while sending sees a broken
connection instead of the sentence (RFC 9112, 9.6)."""


class Example(NamedTuple):
    """What one file or text holds, and its name; "" where it has none."""

    name: str
    content: bytes


class Room:
    """What all requests that are under way hold together, so that memory has a bound."""

    def __init__(self, limits: Limits):
        self._limits, self._requests, self._bytes = limits, 0, 0

    @contextmanager
    def entered(self) -> Iterator[Callable[[int], None]]:
        """A place for a request, while the block lasts; gives a function that takes room for so many bytes.

        Raises:
            Problem: there is none. So does the function.
        """
        if self._requests >= self._limits.queue:
            raise busy(f"{self._requests} requests are under way already")
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            if self._bytes + count > self._limits.held:
                raise busy("the requests under way fill the memory that they may take")
            self._bytes, taken = self._bytes + count, taken + count

        self._requests += 1
        try:
            yield take
        finally:
            self._requests, self._bytes = self._requests - 1, self._bytes - taken


async def read(receive: Receive, declared: str, limits: Limits, take: Callable[[int], None]) -> bytes:
    """The whole body.

    Args:
        declared: the header Content-Length; "" where there is none.

    Raises:
        Problem: it is too large, too slow, or cut off, or there is no room for it.
    """
    if declared.isdigit() and int(declared) > limits.bytes:
        raise _too_large(limits)
    try:
        with anyio.fail_after(limits.seconds):
            return await _parts(receive, limits, take)
    except TimeoutError:
        why = f"the request's body did not arrive within {limits.seconds:g} seconds"
        raise Problem(408, why, {"Connection": "close"}) from None


async def _parts(receive: Receive, limits: Limits, take: Callable[[int], None]) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise cut_off()
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= limits.bytes:
            take(len(part))
            parts.append(part)
        elif size > _READ_ON * limits.bytes:
            break
    if size > limits.bytes:
        raise _too_large(limits)
    return b"".join(parts)


def cut_off() -> Problem:
    """The client went away; nobody reads this."""
    return Problem(400, "the connection was closed before the request was answered")


def _too_large(limits: Limits) -> Problem:
    return Problem(413, f"the request's body is larger than {limits.bytes / 1e6:g} MB")


def is_raw(header: str) -> bool:
    """Whether a body of this Content-Type is one file, so that nothing is to be taken apart."""
    return _type(header) not in ("application/json", "multipart/form-data")


def _type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def examples(content: bytes, header: str, kind: str, most: int) -> list[Example]:
    """What a body holds, by its Content-Type.

    Args:
        kind: of the model's input: "image" or "text".
        most: how many examples it may hold.

    Raises:
        Problem: it is of another type, broken, or holds none or too many.
    """
    of = _type(header)
    if of == "application/json":
        found = _listed(content, kind, most)
    elif kind == "text":
        raise Problem(415, 'expected Content-Type: application/json and a list of texts: ["a text", "another"]')
    elif of == "multipart/form-data":
        found = _uploaded(content, header, most)
    elif of in _RAW or of.startswith("image/"):
        found = [Example("", content)]
    else:
        raise Problem(415, f"expected {TAKES}. Received: {of[:80]}")
    if not found:
        raise Problem(422, f"the request holds no {'text' if kind == 'text' else 'picture'}")
    if len(found) > most:
        raise _too_many(most)
    return found


def _listed(content: bytes, kind: str, most: int) -> list[Example]:
    what = "texts" if kind == "text" else "pictures in base64"
    wanted = f'expected a JSON list of {what}: ["...", "..."]'
    if kind == "image":  # base64 has none of these: lists of millions of items, or deep ones, are told before they are made
        if any(content.count(each) > 1 for each in _IN_LISTS):
            raise Problem(422, wanted)
        if content.count(b",") > most:
            raise _too_many(most)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise Problem(400, f"the request's body is not JSON; {wanted}") from None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Problem(422, wanted)
    if kind == "text":
        return [Example("", each.encode("utf-8", "replace")) for each in found[: most + 1]]
    return [Example("", _decoded(each, number)) for number, each in enumerate(found, 1)]


def _decoded(text: str, number: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(422, f"picture {number}: is not base64") from None


def _uploaded(content: bytes, header: str, most: int) -> list[Example]:
    """The files of a form, whatever their fields are called; other fields are passed over."""
    _, options = parse_options_header(header)
    parts: list[tuple[dict[bytes, bytearray], bytearray]] = []
    name = bytearray()

    def begin() -> None:
        parts.append(({}, bytearray()))
        if len(parts) > 2 * most:
            raise _too_many(most)

    def field(data: bytes, start: int, end: int) -> None:
        name.extend(data[start:end])

    def value(data: bytes, start: int, end: int) -> None:
        parts[-1][0].setdefault(bytes(name).lower(), bytearray()).extend(data[start:end])

    def body(data: bytes, start: int, end: int) -> None:
        parts[-1][1].extend(data[start:end])

    ended: list[bool] = []
    try:
        parser = MultipartParser(
            options.get(b"boundary", b""),
            {
                "on_part_begin": begin, "on_header_field": field, "on_header_value": value, "on_header_end": name.clear,
                "on_part_data": body, "on_end": lambda: ended.append(True),
            },
        )  # fmt: skip
        parser.write(content)
        parser.finalize()
    except FormParserError:
        ended.clear()
    if not ended:
        raise Problem(400, "the request's body is not the multipart/form-data that its header tells of, or was cut short")
    files = [(_file_name(headers), data) for headers, data in parts]
    return [Example(each, bytes(data)) for each, data in files if each is not None]


def _file_name(headers: dict[bytes, bytearray]) -> str | None:
    """What a part's file is called; None of a part that is no file."""
    _, options = parse_options_header(bytes(headers.get(b"content-disposition", b"")))
    name = options.get(b"filename")
    return None if name is None else name.decode("utf-8", "replace")[:255]


def _too_many(most: int) -> Problem:
    return Problem(413, f"the request holds more than {most} example{'s' if most > 1 else ''}; send several requests")
