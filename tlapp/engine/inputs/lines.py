"""Tables in files: CSV with a header, or JSON lines, an object each; row by row, as text."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from tlapp.engine.inputs.encodings import not_utf8
from tlapp.errors import UserError

JSON = (".jsonl", ".ndjson")
LONGEST = 1 << 27
"""Characters of a cell."""
_SEEN = 1 << 24
"""Bytes by which an encoding is told."""
_SHOWN = 40


class Lines:
    """The rows of a table: dicts of text by the header's names.

    Attributes:
        header: the names; of JSON lines those of the first object.
        number: of the line that was read last.
    """

    def __init__(self, file: IO[str], is_json: bool):
        self.number = 0
        rows = self._objects(file) if is_json else None
        if rows is not None:
            first = next(rows, {})
            self.header, self._rows = list(first), itertools.chain([first] if first else [], rows)
        else:
            csv.field_size_limit(LONGEST)
            table = csv.DictReader(file, restval="")
            self.header, self._rows = list(table.fieldnames or ()), itertools.chain(self._cells(table))

    def __iter__(self) -> Iterator[dict[str, str]]:
        return self._rows

    def _cells(self, table: csv.DictReader[str]) -> Iterator[dict[str, str]]:
        for row in table:
            self.number = table.line_num
            yield row

    def _objects(self, file: IO[str]) -> Iterator[dict[str, str]]:
        for number, line in enumerate(file, 1):
            self.number = number
            if line.strip():
                yield {key: text(value) for key, value in _parsed(line, number).items()}


class _Bad(ValueError):
    """What is wrong with a line."""


def _parsed(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Bad(f"line {number}: is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise _Bad(f"line {number}: expected an object in braces. Received: {line.strip()[:_SHOWN]}")
    return row


def text(value: Any) -> str:
    """A value as a CSV holds it: nothing for null, several labels with ";" between."""
    if isinstance(value, list):
        return ";".join(map(text, value))
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # JSON can hold half a character
    return "" if value is None else json.dumps(value)


@contextmanager
def opened(option: str, path: str) -> Iterator[Lines]:
    """The rows of a table; bytes of a CSV that are not UTF-8 are in them as surrogates, so that paths may hold them.

    Raises:
        UserError: it cannot be read, or is no such table; also where a UnicodeError is raised inside the block.
    """
    is_json = path.lower().endswith(JSON)
    try:
        with open(path, encoding="utf-8-sig", errors="strict" if is_json else "surrogateescape", newline="") as file:
            yield Lines(file, is_json)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", path, option) from error
    except UnicodeError as error:
        with open(path, "rb") as content:
            raise UserError(not_utf8(content.read(_SEEN)), path, option) from error
    except csv.Error as error:
        raise UserError(f"is not a CSV: {error}", path, option) from error
    except _Bad as error:
        raise UserError(str(error), path, option) from error
