"""Augment-adapt."""

from __future__ import annotations

from typing import Literal

from tlapp_plugins.adapt import Adapt
from tlapp_plugins.styles import PLAIN, TOWARDS_TARGET, Half

from tlapp.contracts import Augment, Backbone, Field, Fit, Plan, Task


class AugmentAdapt(Adapt):
    """Train on source pictures that are made to look like the target's."""

    style: Literal["auto", "grey", "poster", "sketch", "colour", "histogram", "fourier"] = Field(
        "auto", description="auto: the one that brings the source's features nearest to the target's"
    )
    views: int = Field(4, ge=1, description="changed copies of each picture that are kept")

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        names = (*PLAIN, *TOWARDS_TARGET) if self.style == "auto" else (self.style,)
        styles = tuple(self.augment(name) for name in names)
        adapt = Fit(
            name="adapt", rates=self.rates(backbone), streams=("train",), epochs=self.epochs, learning_rate=self.learning_rate,
            augments=styles, select="target",
        )  # fmt: skip
        return Plan((*self.source(backbone), adapt))

    def augment(self, name: str) -> Augment:
        """A style as an augmentation."""
        if name in PLAIN:
            return Augment(Half(PLAIN[name]), self.views, name)
        return Augment(Half(TOWARDS_TARGET[name]), self.views, name, reference="target")
