"""Grafts of small modules that begin by changing nothing, to the bit; those inside of layers merge into them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlapp.contracts import LoadedBackbone, UserError
from tlapp.contracts.graph import Step, after, ends, rebuild

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class BehindStages(ABC):
    """A module behind each stage whose output is a map or a row of tokens.

    Raises:
        UserError: no stage has such an output.
    """

    stages: tuple[str, ...]

    def __call__(self, loaded: LoadedBackbone) -> Any:
        tensors = ends(loaded)
        names = [name for name in self.stages if name in tensors and len(tensors[name].shape) > 2]
        if not names:
            raise UserError(
                f"no output of the stages {', '.join(self.stages)} of {loaded.facts.name} is a map or tokens", option="stages"
            )
        return after(loaded, {name: self.named(name) for name in names})

    def named(self, stage: str) -> Any:
        """The module for a stage, from a symbolic tensor to one."""
        return lambda x: self.module(x, f"{stage}_adapter")

    @abstractmethod
    def module(self, x: Any, name: str) -> Any:
        """What the module makes of x; its layers' names begin with `name`."""


@dataclass(frozen=True)
class Bottlenecks(BehindStages):
    """x + up(relu(down(x))), up zero at first (Houlsby et al. 2019, https://arxiv.org/abs/1902.00751)."""

    reduction: int

    def module(self, x: Any, name: str) -> Any:
        import keras

        inside = pointwise(x, max(1, x.shape[-1] // self.reduction), f"{name}_down", activation="relu")
        up = pointwise(inside, x.shape[-1], f"{name}_up", kernel_initializer="zeros")
        return keras.layers.Add(name=f"{name}_add")([x, up])


@dataclass(frozen=True)
class Residuals(BehindStages):
    """x + conv(x), a 1x1 convolution that is zero at first (Rebuffi et al. 2017, https://arxiv.org/abs/1705.08045)."""

    def module(self, x: Any, name: str) -> Any:
        import keras

        return keras.layers.Add(name=f"{name}_add")([x, pointwise(x, x.shape[-1], f"{name}_conv", kernel_initializer="zeros")])


@dataclass(frozen=True)
class InsideStages(ABC):
    """A module at each layer of the stages that it fits; `merged` makes one layer of both.

    Raises:
        UserError: it fits no layer.
    """

    stages: tuple[str, ...]

    @abstractmethod
    def fits(self, layer: Any, rank: int) -> bool:
        """Whether a layer whose input has so many axes gets a module."""

    @abstractmethod
    def module(self, layer: Any, x: Any, y: Any) -> Any:
        """What takes the place of the layer's output y for its input x."""

    @abstractmethod
    def weights(self, layer: Any, model: Any) -> list[np.ndarray]:
        """The weights of a layer of the same class that does what the layer and its module in `model` do together."""

    def __call__(self, loaded: LoadedBackbone) -> Any:
        found = 0

        def fits(step: Step) -> bool:
            inside = loaded.stage_of.get(step.operation.name) in self.stages
            return inside and len(step.inputs) == 1 and self.fits(step.operation, len(step.inputs[0].shape))

        def call(step: Step, values: dict[int, Any]) -> Sequence[Any]:
            nonlocal found
            outputs = step.call(values)
            if not fits(step):
                return outputs
            found += 1
            return [self.module(step.operation, values[id(step.inputs[0])], outputs[0])]

        graph = rebuild(loaded.graph, call)
        if not found:
            raise UserError(
                f"nothing in the stages {', '.join(self.stages)} of {loaded.facts.name} can be adapted so", option="stages"
            )
        return graph

    def merged(self, model: Any) -> Any:
        """The model with each module merged into its layer."""
        names = {layer.name for layer in model.layers}
        parts = {f"{name}{end}" for name in names for end in ("_down", "_up", "_sum") if f"{name}_sum" in names}
        made: dict[str, Any] = {}

        def call(step: Step, values: dict[int, Any]) -> Sequence[Any]:
            name = step.operation.name
            if name in parts:
                return [values[id(step.inputs[0])]]
            if f"{name}_sum" not in names:
                return step.call(values)
            if name not in made:
                made[name] = type(step.operation).from_config(step.operation.get_config())
                made[name].build(tuple(step.inputs[0].shape))
                made[name].set_weights(self.weights(step.operation, model))
            return [made[name](values[id(step.inputs[0])])]

        return rebuild(model, call)


@dataclass(frozen=True)
class LowRank(InsideStages):
    """y + up(down(x)) beside each kernel, up zero at first (LoRA, Hu et al. 2021, https://arxiv.org/abs/2106.09685).

    Beside a convolution, down is one of its size and strides to `rank` channels, and up is 1x1. Layers with an activation of
    their own, and depthwise and grouped convolutions, get none.
    """

    rank: int

    def fits(self, layer: Any, rank: int) -> bool:
        import keras

        plain = isinstance(layer, keras.layers.Conv2D) and layer.groups == 1 and layer.data_format == "channels_last"
        return (plain or isinstance(layer, keras.layers.Dense)) and layer.activation is keras.activations.linear

    def module(self, layer: Any, x: Any, y: Any) -> Any:
        import keras

        name, more = layer.name, {}
        if isinstance(layer, keras.layers.Conv2D):
            more = {"strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}
            down = keras.layers.Conv2D(self.rank, layer.kernel_size, use_bias=False, name=f"{name}_down", **more)(x)
        else:
            down = keras.layers.Dense(self.rank, use_bias=False, name=f"{name}_down")(x)
        up = pointwise(down, y.shape[-1], f"{name}_up", use_bias=False, kernel_initializer="zeros")
        return keras.layers.Add(name=f"{name}_sum")([y, up])

    def weights(self, layer: Any, model: Any) -> list[np.ndarray]:
        import numpy as np

        kernel, *rest = layer.get_weights()
        down, up = (model.get_layer(f"{layer.name}_{end}").get_weights()[0] for end in ("down", "up"))
        return [kernel + np.matmul(down, up.reshape(up.shape[-2:])), *rest]


@dataclass(frozen=True)
class Scales(InsideStages):
    """A scale and a shift a channel behind what normalises, and behind kernels with a bias (SSF, Lian et al. 2022).

    https://arxiv.org/abs/2210.08823; behind a kernel without a bias stands a norm, whose own scale and shift do the same.
    """

    def fits(self, layer: Any, rank: int) -> bool:
        import keras

        if isinstance(layer, (keras.layers.BatchNormalization, keras.layers.LayerNormalization)):
            return layer.center and layer.scale and layer.axis in (-1, rank - 1, [-1], [rank - 1])
        kinds = (keras.layers.Conv2D, keras.layers.Dense, keras.layers.DepthwiseConv2D)
        return isinstance(layer, kinds) and layer.use_bias and layer.activation is keras.activations.linear

    def module(self, layer: Any, x: Any, y: Any) -> Any:
        import keras

        name = f"{layer.name}_sum"
        if len(y.shape) == 4:
            return keras.layers.DepthwiseConv2D(1, depthwise_initializer="ones", name=name)(y)
        axes = "abcdefg"[: len(y.shape)]
        equation = f"{axes},{axes[-1]}->{axes}"
        return keras.layers.EinsumDense(
            equation, tuple(y.shape[1:]), bias_axes=axes[-1], kernel_initializer="ones", name=name
        )(y)  # fmt: skip

    def weights(self, layer: Any, model: Any) -> list[np.ndarray]:
        import keras

        scale, shift = (weight.reshape(-1) for weight in model.get_layer(f"{layer.name}_sum").get_weights())
        first, bias, *rest = layer.get_weights()
        # The last axis of a norm's gamma and of a kernel is the output's; of a depthwise kernel, the last two are.
        axes = first.shape[-2:] if isinstance(layer, keras.layers.DepthwiseConv2D) else (-1,)
        return [first * scale.reshape(axes), bias * scale + shift, *rest]


def pointwise(x: Any, channels: int, name: str, **more: Any) -> Any:
    """A 1x1 convolution of a map, the same dense layer for each token or vector."""
    import keras

    if len(x.shape) == 4:
        return keras.layers.Conv2D(channels, 1, name=name, **more)(x)
    return keras.layers.Dense(channels, name=name, **more)(x)
