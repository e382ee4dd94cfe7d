"""Progressive networks: a column of layers a task beside a frozen network, which reads what all earlier columns compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from tlapp.api import load
from tlapp.contracts import LoadedBackbone, UserError
from tlapp.contracts.graph import ends


@dataclass(frozen=True)
class Columns:
    """Adds a column, behind those of an earlier run, which come with their weights and do not train.

    Rusu et al. 2016, https://arxiv.org/abs/1606.04671. Column 0 is the backbone. A layer of a column reads the layer below of
    its own column, and through adapters, 1x1 convolutions to fewer channels, that of each earlier column (equation 2 there); the
    features are the means of every column's last layer, beside the backbone's own features.

    Attributes:
        width: channels of the column's layers over those of the stages beside them.
        last: stages that the columns stand beside, counted from the output; at most all but the first that ends with a map.
        laterals: whether the column reads earlier columns but where it begins.
        earlier: the folder of the run whose columns come first.

    Raises:
        UserError: no two stages end with a map, or the earlier run has other weights of the backbone.
    """

    width: float
    last: int
    laterals: bool = True
    earlier: str | None = None

    def __call__(self, loaded: LoadedBackbone) -> Any:
        import keras

        maps = {name: tensor for name, tensor in ends(loaded).items() if len(tensor.shape) == 4}
        beside = min(self.last, len(maps) - 1)
        if beside < 1:
            raise UserError(
                f"no two stages of {loaded.facts.name} end with a map, and a column begins behind one, beside another"
            )
        stages, base = [*maps][-beside:], [*maps.values()][-beside - 1 :]
        columns: list[list[Any]] = [base]
        known = load(self.earlier).model if self.earlier else None
        if known and not alike(loaded.graph, known):
            raise UserError(
                "was trained on other weights of the backbone, so that its columns do not fit", self.earlier, "earlier"
            )
        for number in count(1):
            own = {layer.name: layer for layer in known.layers if layer.name.startswith(f"column{number}_")} if known else {}
            channels = [own[f"column{number}_{name}"].filters for name in stages] if own else self._channels(base[1:])
            laterals = any("_from" in name for name in own) if own else self.laterals
            columns.append(column(columns, number, stages, channels, laterals))
            if not own:
                break
        graph = keras.Model(
            loaded.graph.inputs if len(loaded.graph.inputs) > 1 else loaded.graph.inputs[0],
            keras.layers.Concatenate(name="columns")(
                [loaded.graph.outputs[0], *(keras.layers.GlobalAveragePooling2D(name=f"column{number}_features")(each[-1])
                                            for number, each in enumerate(columns[1:], 1))]
            ),
        )  # fmt: skip
        if known:
            keep([layer for layer in graph.layers if not layer.name.startswith(f"column{len(columns) - 1}_")], known)
        return graph

    def _channels(self, beside: Sequence[Any]) -> list[int]:
        return [max(1, round(self.width * tensor.shape[-1])) for tensor in beside]


def column(
    earlier: Sequence[Sequence[Any]], number: int, stages: Sequence[str], channels: Sequence[int], laterals: bool
) -> list[Any]:
    """The outputs of a column's layers, one a stage, behind what it begins with.

    Args:
        earlier: of each earlier column, the outputs of its layers, from the one below the first stage on.
        laterals: whether it reads them above its beginning.
    """
    import keras

    outputs = [earlier[0][0]]
    for level, (stage, width) in enumerate(zip(stages, channels, strict=True), 1):
        to, name = earlier[0][level].shape[1], f"column{number}_{stage}"
        terms = [strided(outputs[-1], width, to, name)]
        sources = [each[level - 1] for each in earlier] if laterals and level > 1 else []
        for source, tensor in enumerate(sources):
            lateral = f"{name}_from{source}"
            down = keras.layers.Conv2D(max(1, width // 2), 1, activation="relu", name=f"{lateral}_down")(tensor)
            terms.append(strided(down, width, to, lateral))
        total = keras.layers.Add(name=f"{name}_sum")(terms) if len(terms) > 1 else terms[0]
        outputs.append(keras.layers.ReLU(name=f"{name}_relu")(total))
    return outputs


def strided(x: Any, channels: int, size: int, name: str) -> Any:
    """A 3x3 convolution of a map to one of `size` pixels a side."""
    import keras

    stride = -(-x.shape[1] // size)
    return keras.layers.Conv2D(channels, 3, strides=stride, padding="same", kernel_initializer="he_normal", name=name)(x)


def alike(graph: Any, known: Any) -> bool:
    """Whether layers of one name have the same weights in two models, to the bit."""
    import numpy as np

    names = {layer.name: layer for layer in known.layers}
    pairs = [(layer.get_weights(), names[layer.name].get_weights()) for layer in graph.layers if layer.name in names]
    return all(len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs)) for ours, theirs in pairs)


def keep(layers: Sequence[Any], known: Any) -> None:
    """Give the layers of earlier columns the weights that they have in a model, for good."""
    names = {layer.name: layer for layer in known.layers}
    for layer in layers:
        if layer.name.startswith("column") and layer.name in names:
            layer.set_weights(names[layer.name].get_weights())
            layer.trainable = False
