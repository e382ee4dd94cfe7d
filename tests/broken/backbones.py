"""Providers of backbones that each break one rule of the contract."""

from __future__ import annotations

from typing import ClassVar

from tlapp.contracts import Backbone, Stage
from tlapp.testing import TinyBackbones


class Liar(TinyBackbones):
    """Tell other facts than those of its graph."""

    fault: ClassVar[str] = "params"

    def load(self, name, *, image_size=None, weights=None):
        found = super().load(name, image_size=image_size, weights=weights)
        stages = [Stage(stage.name, stage.params + 1) for stage in found.facts.stages]
        return found.__class__(Backbone("liar:tiny", found.facts.input, tuple(stages)), found.graph, found.stage_of)


class Unordered(TinyBackbones):
    """Name its stages the wrong way round."""

    def load(self, name, *, image_size=None, weights=None):
        found = super().load(name, image_size=image_size, weights=weights)
        facts = Backbone("unordered:tiny", found.facts.input, found.facts.stages[::-1])
        return found.__class__(facts, found.graph, found.stage_of)


class WrongSize(TinyBackbones):
    """Tell another size than it loads."""

    def native_size(self, name):
        return 48
