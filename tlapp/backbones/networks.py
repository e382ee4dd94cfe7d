"""Parameters and weights files of networks, counted once; tests/backbones/test_cards.py writes networks.json and checks it."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple


class Counted(NamedTuple):
    """The parameters of a network without its top, None where they were not counted; and its file of weights, "" for none."""

    params: int | None = None
    file: str = ""


def counted(identity: str) -> Counted:
    """What was counted of the backbone of an ID."""
    return Counted(**_table().get(identity, {}))


@cache
def _table() -> dict[str, dict[str, Any]]:
    return json.loads((files("tlapp.backbones") / "networks.json").read_text(encoding="utf-8"))
