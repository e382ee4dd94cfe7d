"""What the engine is asked to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tlapp.contracts import BackboneProvider, Head, Strategy
from tlapp.engine.options import RunOptions


@dataclass(frozen=True)
class Job:
    """All that a run needs, resolved: the engine looks no name up.

    Attributes:
        provider, backbone: where the backbone comes from, and its name there.
        settings: everything, flat, as settings.yaml holds it.
        given: the keys that the user set.
        plugin_name: the strategy's name, distribution and version, for errors.
    """

    options: RunOptions
    strategy: Strategy
    head: Head
    provider: BackboneProvider
    backbone: str
    settings: Mapping[str, Any]
    given: Collection[str]
    plugin_name: str
