"""Probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tlapp_plugins.shared.solver_layers import Scaling
from tlapp_plugins.shared.solvers import Logistic

from tlapp.contracts import Backbone, Field, LoadedBackbone, Plan, Solve, Strategy, Task, UserError, build, when

if TYPE_CHECKING:
    import numpy as np


class Probe(Strategy):
    """Fit logistic regression to what every stage of the frozen backbone says, and tell which of them carried the task."""

    contract = "1.2"
    penalty: float | None = Field(
        None, gt=0, description="weight of the penalty on large weights (scikit-learn's 1/C); cross-validated by default"
    )
    folds: int = Field(3, ge=2, description="folds of the cross-validation", when=when(penalty=None))

    def plan(self, task: Task, backbone: Backbone) -> Plan:
        sizes = {stage.name: stage.shape[-1] for stage in backbone.stages if stage.shape and stage.shape[-1]}
        if not sizes:
            raise UserError("has no stages whose outputs are known; use feature-extract", option="backbone")
        chosen = {"penalty": self.penalty} if self.penalty else {"folds": self.folds}
        solver = Staged(sizes=sizes, **chosen)
        return Plan((Solve(name="logistic", rates=backbone.frozen(), solver=solver),), graft=Outputs(tuple(sizes)))


@dataclass(frozen=True)
class Outputs:
    """The outputs of stages, each averaged over its positions and of mean square 1, one after the other.

    Evci et al. 2022 (Head2Toe), https://arxiv.org/abs/2201.03529, who scale them alike and then choose some; all are kept here.
    """

    stages: tuple[str, ...]

    def __call__(self, loaded: LoadedBackbone) -> Any:
        import keras

        from tlapp.contracts.graph import ends

        found = ends(loaded)
        if missing := [name for name in self.stages if name not in found]:
            raise UserError(f"has no one output of its stage {missing[0]}; use feature-extract", option="backbone")
        mask = build.filled(loaded.graph)
        features = [scaled(found[name], name, mask) for name in self.stages]
        joined = keras.layers.Concatenate(name="stages")(features) if len(features) > 1 else features[0]
        return keras.Model(loaded.graph.inputs, joined)


def scaled(tensor: Any, name: str, mask: Any = None) -> Any:
    """A vector an example, of mean square 1, of a stage's output; `mask` says which positions are not padding."""
    import keras

    if mask is not None and len(tensor.shape) == 3:
        tensor = keras.layers.GlobalAveragePooling1D(name=f"{name}_mean")(tensor, mask=mask)
    if axes := tuple(range(1, len(tensor.shape) - 1)):
        tensor = keras.ops.mean(tensor, axis=axes)
    unit = keras.layers.UnitNormalization(name=f"{name}_unit")(tensor)
    return keras.layers.Rescaling(tensor.shape[-1] ** 0.5, name=f"{name}_scaled")(unit)


@dataclass(frozen=True)
class Staged(Logistic):
    """Logistic regression to which each stage matters as much at first; tells how much each came to matter.

    Attributes:
        sizes: stage -> number of its features, in their order.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, features: np.ndarray, labels: np.ndarray, classes: int) -> Any:
        layer = super().__call__(features, labels, classes)
        return layer, shares(self.parts(features), self.parts(layer.get_weights()[0].T))

    def scaling(self, features: np.ndarray) -> Scaling:
        import numpy as np

        each = [Scaling.of(part) for part in self.parts(features).values()]
        return Scaling(np.concatenate([s.mean for s in each]), np.concatenate([s.scale for s in each]) * len(each) ** 0.5)

    def parts(self, columns: np.ndarray) -> dict[str, np.ndarray]:
        """Stage -> its columns of an array that has one a feature."""
        import numpy as np

        ends = np.cumsum([*self.sizes.values()])[:-1]
        return dict(zip(self.sizes, np.split(columns, ends, axis=1), strict=True))


def shares(features: Mapping[str, np.ndarray], kernels: Mapping[str, np.ndarray]) -> str:
    """Which part of the variance of outputs, each beside the others of its example, is due to each stage, in a sentence."""
    variances = {}
    for name, kernel in kernels.items():
        outputs = features[name] @ kernel.T
        variances[name] = float((outputs - outputs.mean(axis=1, keepdims=True)).var(axis=0).sum())
    whole = sum(variances.values()) or 1.0
    ranked = sorted(variances, key=lambda name: -variances[name])
    return "the answers' variance comes from " + ", ".join(f"{name} {variances[name] / whole:.0%}" for name in ranked)
