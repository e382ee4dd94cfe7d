"""Adapters."""

from __future__ import annotations

from typing import Literal

from tlapp_plugins.shared.adapter_grafts import Bottlenecks, LowRank, Residuals, Scales
from tlapp_plugins.shared.fine_tune import FineTune

from tlapp.contracts import Backbone, Field, Fit, Graft, Plan, Rates, Task, UserError, when

METHODS = ("bottleneck", "conv", "scale", "lora", "bias", "norm")
GRAFTED = METHODS[:4]
VARIABLES = {"bias": ("bias", "beta"), "norm": ("gamma", "beta")}
"""Last parts of the paths of what trains, for the methods that graft nothing."""


class Adapters(FineTune):
    """Train small modules inside the frozen network, with a few percent of its parameters; at first they change nothing."""

    method: Literal["bottleneck", "conv", "scale", "lora", "bias", "norm"] = Field(
        "conv", description="two 1x1 convolutions around a ReLU, one, a scale and shift a channel, LoRA, or only biases or norms"
    )
    reduction: int = Field(
        8, ge=1, description="channels of a stage over those inside its bottleneck", when=when(method="bottleneck")
    )
    rank: int = Field(4, ge=1, description="rank of what is added to each kernel", when=when(method="lora"))
    stages: tuple[str, ...] = Field((), description="stages to adapt; all by default")
    epochs: int = Field(20, ge=1, description="maximum epochs after the warm-up")
    # Texts: between Houlsby et al. 2019 (3e-4 to 3e-3) and LoRA (Hu et al. 2021: 4e-4 to 5e-4 for RoBERTa).
    learning_rate: float = Field(
        3e-3, gt=0, le=10, by_input={"text": 1e-3}, description="learning rate of the modules and the head"
    )

    def rates(self, backbone: Backbone) -> Rates:
        return backbone.frozen() if self.method in GRAFTED else {**backbone.frozen(), **dict.fromkeys(self.chosen(backbone), 1.0)}

    def chosen(self, backbone: Backbone) -> tuple[str, ...]:
        """The stages to adapt.

        Raises:
            UserError: there is no such stage.
        """
        every = tuple(stage.name for stage in backbone.stages)
        if missing := [name for name in self.stages if name not in every]:
            raise UserError(f"{backbone.name} has the stages {', '.join(every)}", missing[0], option="stages")
        return self.stages or every

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        graft = self.graft(self.chosen(backbone))
        return Plan(self.phases(backbone), graft, getattr(graft, "merged", None))

    def tune(self, name: str, rates: Rates, **more: object) -> Fit:
        ends = VARIABLES.get(self.method)
        only = {} if ends is None else {"only": lambda path: path.endswith(ends), "batch_norm": "affine"}
        return super().tune(name, rates, **only, **more)

    def graft(self, stages: tuple[str, ...]) -> Graft | None:
        """What changes the network, for the methods that do."""
        if self.method == "bottleneck":
            return Bottlenecks(stages, self.reduction)
        if self.method == "lora":
            return LowRank(stages, self.rank)
        return {"conv": Residuals, "scale": Scales}[self.method](stages) if self.method in GRAFTED else None
