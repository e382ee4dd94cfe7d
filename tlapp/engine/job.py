"""What the engine is asked to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tlapp.cluster.connection import Cluster
from tlapp.cluster.worker_group import Work
from tlapp.contracts import BackboneProvider, Head, Input, Strategy
from tlapp.engine.options import RunOptions


@dataclass(frozen=True)
class Job:
    """All that a run needs, resolved: the engine looks no name up.

    Attributes:
        provider, backbone: where the backbone comes from, and its name there.
        settings: everything, flat, as settings.yaml holds it.
        given: the keys that the user set.
        plugin_name: the strategy's name, distribution and version, for errors.
        cluster: to compute on; None for this machine alone.
        ahead: strategies that may be tried on the same backbone and examples after this run, so that one pass computes what
            their first phases read too.
        worker: what each of its machines runs to help with this job's phases; None for nothing.
    """

    options: RunOptions
    strategy: Strategy
    head: Head
    provider: BackboneProvider
    backbone: str
    settings: Mapping[str, Any]
    given: Collection[str]
    plugin_name: str
    ahead: tuple[Strategy, ...] = ()
    cluster: Cluster | None = None
    worker: Work | None = None

    def where_data_is_built_in(self, examples: Input) -> str:
        """For who set no data, that the default is not theirs, in a sentence; "" for others."""
        if "data" in self.given or not (listed := examples.builtin(self.options.data)):
            return ""
        return (
            f"option data is not set: training on the built-in handwritten digits ({len(listed):,} {examples.noun}s of "
            "8 x 8 pixels); set option data=FOLDER to train on your own"
        )
