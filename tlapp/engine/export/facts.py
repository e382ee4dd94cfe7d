"""What golden.json, and tlapp.json in a TFLite file, say of an export, checked: either may have been altered since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tlapp.engine.data.labelling import LABELLINGS
from tlapp.engine.options import Resize
from tlapp.errors import UserError

LARGEST = 4096
"""Pixels a side: no network takes more, and a picture of that size is 48 MiB."""


class _Part(BaseModel):
    """Says what must be there; a plugin's input and later versions may say more."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Input(_Part):
    """How an example is read."""

    kind: str
    noun: str = "picture"
    names: Annotated[list[str], Field(min_length=1)] = ["image"]
    size: Annotated[int, Field(ge=1, le=LARGEST)] | None = None
    resize: Resize = "squash"

    @model_validator(mode="after")
    def _pictures_have_a_size(self) -> _Input:
        if self.kind == "image" and self.size is None:
            raise ValueError("a picture needs a size")
        return self


class Reading(_Part):
    """What a TFLite file says of itself: how an example is read and labelled."""

    labelling: Literal[tuple(LABELLINGS)] = "one"  # type: ignore[valid-type]
    says_unknown: bool = False
    input: _Input


class _Task(_Part):
    labels: str
    classes: Annotated[list[str], Field(min_length=1)]
    labelling: Literal[tuple(LABELLINGS)] = "one"  # type: ignore[valid-type]


class Tasks(_Part):
    """What tasks.json says of a file with an output for each of several runs."""

    artifact: str
    input: _Input
    tasks: Annotated[dict[str, _Task], Field(min_length=1)]


class _Vector(_Part):
    file: str
    probabilities: Annotated[list[float], Field(min_length=1)]
    known: float | None = None


class Golden(Reading):
    """What golden.json says; exports of 0.1.0 say nothing of their input."""

    input: _Input | None = None  # type: ignore[assignment]
    format: str
    quantize: str
    artifact: str
    backbone: str = ""
    tolerance: float
    sha256: dict[str, str]
    made_of: dict[str, str] = {}
    vectors: Annotated[list[_Vector], Field(min_length=1)]

    @model_validator(mode="after")
    def _as_many_probabilities(self) -> Golden:
        if len({len(each.probabilities) for each in self.vectors}) > 1:
            raise ValueError("vectors differ in their number of probabilities")
        return self


class _TaskVectors(_Part):
    tolerance: float
    vectors: Annotated[list[_Vector], Field(min_length=1)]


class GoldenTasks(_Part):
    """What golden-tasks.json says of a file with an output for each of several runs."""

    input: _Input
    artifact: str
    quantize: str
    sha256: dict[str, str]
    tasks: Annotated[dict[str, _TaskVectors], Field(min_length=1)]


def checked(text: str | bytes, kind: type[BaseModel], where: Path) -> dict[str, Any]:
    """The facts in a JSON text, as they stand there.

    Raises:
        UserError: it is no such text.
    """
    try:
        facts = json.loads(text)
        kind.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{where}: {f'{place}: ' if place else ''}{_said(first)}; {AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: is not JSON; {AGAIN}") from error
    return facts


TASKS = "tasks.json"
AGAIN = "the export was altered, so export the run again"


def _said(error: Any) -> str:
    words = str(error["msg"]).removeprefix("Value error, ")
    return f"expected an object. Received: {type(error['input']).__name__}" if error["type"] == "model_type" else words
