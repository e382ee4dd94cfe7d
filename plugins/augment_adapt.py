"""Augment-adapt."""

from __future__ import annotations

from typing import Any, Literal

from tlapp_plugins.shared.adapt import Adapt, Style, must_take_pictures, standardised, turn
from tlapp_plugins.shared.mixing import LABELS, MIXES, Mixed
from tlapp_plugins.shared.rounds import PAIR

from tlapp.contracts import Backbone, Field, Fit, Phase, Plan, Task, UserError, other_than, when


class AugmentAdapt(Adapt):
    """Train on source pictures that are changed to look like the target's, or simply different."""

    style: Style | Literal["adain", "mixstyle", "mixup", "cutmix"] = Field(  # type: ignore[assignment]
        "auto", description="how pictures are changed; auto: the style that brings the source's features nearest to the target's"
    )

    views: int = Field(
        8, ge=1, description="changed copies that are cached per picture", when=when(style=other_than("none", *MIXES))
    )

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        must_take_pictures(backbone, "for texts, which have no look, choose option plugin=self-training or adversarial")
        plain = self.source(backbone, {})  # source-only is what the restyled pictures are held against
        return Plan((*self.simple(task, backbone), *plain, *self.adapting(task, backbone), turn(backbone)), standardised)

    def looks(self) -> dict[str, Any]:
        return {} if self.style in MIXES else super().looks()

    def adapting(self, task: Task, backbone: Backbone) -> tuple[Phase, ...]:
        mixes = self.style in MIXES
        if mixes and not self.last:
            raise UserError(
                f"no stage trains, and option style={self.style} needs one that does; use option last=1",
                0,
                "last",
            )
        adapt = Fit(
            name="adapt", rates=self.rates(backbone), streams=PAIR if self.style == "adain" else ("train",), epochs=self.epochs,
            learning_rate=self.learning_rate, loss=Mixed(self.style) if mixes else None,
            parts={"mix": LABELS[self.style]} if self.style in LABELS else {}, select="target", **self.looks(),
        )  # fmt: skip
        return (adapt,)
