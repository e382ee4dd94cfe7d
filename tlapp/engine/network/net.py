"""The living net of a phase: what its loss may touch, and what its optimizers move."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from tlapp.contracts import Batch, Head, Rates
from tlapp.contracts.graph import Step, replay
from tlapp.engine.network.cut import Cut
from tlapp.engine.network.fold import fold
from tlapp.engine.network.replicas import Share


def takes_training(kind: type) -> bool:
    """Whether a layer class's call has a `training` argument."""
    call = getattr(kind, "call", None)
    return call is not None and "training" in inspect.signature(call).parameters


def is_batch_norm(operation: Any) -> bool:
    """Whether an operation normalises by statistics of the batch."""
    import keras

    return isinstance(operation, keras.layers.BatchNormalization)


def draws(operation: Any) -> bool:
    """Whether an operation draws at random while it trains: it has states that are no weights."""
    return len(getattr(operation, "variables", ())) > len(getattr(operation, "weights", ()))


def infer(step: Step, values: dict[int, Any]) -> list[Any]:
    """Run a step in inference mode, whatever its arguments say."""
    return step.call(values, **({"training": False} if takes_training(type(step.operation)) else {}))


class Living(NamedTuple):
    """What of a network trains in a phase.

    Attributes:
        rates: stage -> learning-rate factor; 0 is frozen.
        norms: batch norms of live stages. "frozen": nothing of them trains. "affine": scale and shift train on the stored
            statistics. "update": the statistics move as well. "statistics": these move, and nothing else trains.
        only: path of a backbone's variable -> whether it trains where its stage does; None for all.
        head, grafts: learning-rate factors of the head and of what was grafted.
    """

    rates: Rates
    norms: Literal["frozen", "affine", "update", "statistics"] = "frozen"
    only: Callable[[str], bool] | None = None
    head: float = 1.0
    grafts: float = 1.0

    def rate(self, operation: Any, stage_of: Mapping[str, str]) -> float:
        """The rate of an operation: its stage's, or that of the grafts where it belongs to none."""
        stage = stage_of.get(operation.name)
        return self.grafts if stage is None else self.rates[stage]


class PhaseNet:
    """The rest of the network, the head and the parts of one phase; implements `contracts.Net`.

    Args:
        cut: the graph, cut for this phase.
        living: what trains.
        stage_of: layer name -> stage name.
        head: the options object whose loss is used.
        layer: the head's built layer.
        parts: name -> layer.

    Attributes:
        share: the rows of each batch that this process trains on, where others train on the rest; None for all.
    """

    def __init__(self, cut: Cut, living: Living, stage_of: Mapping[str, str], head: Head, layer: Any, parts: Mapping[str, Any]):
        import keras

        self.cut, self.living, self.layer, self.parts = cut, living, layer, parts
        self._stage_of, self._head = stage_of, head
        self._train = fold(cut.rest, [cut.output], lambda norm: not self._in_training(norm), self._call)
        self._infer = fold(cut.rest, [cut.output], lambda norm: True, infer)
        self.progress: Any = keras.ops.convert_to_tensor(0.0)
        self.share: Share | None = None

    def learns(self, operation: Any) -> bool:
        """Whether an operation's variables train: its stage lives and, being a batch norm, it is not to stay as it is."""
        live = self.living.rate(operation, self._stage_of) > 0
        if self.living.norms == "statistics":
            return live and is_batch_norm(operation)
        return live and (self.living.norms != "frozen" or not is_batch_norm(operation))

    def _in_training(self, operation: Any) -> bool:
        """Whether an operation is in training mode: it learns and, being a batch norm, moves its statistics too."""
        return self.learns(operation) and (self.living.norms in ("update", "statistics") or not is_batch_norm(operation))

    def _chosen(self, operation: Any) -> list[Any]:
        """The variables of an operation that train."""
        if self.living.only is None or operation.name not in self._stage_of:
            return operation.trainable_variables
        return [variable for variable in operation.trainable_variables if self.living.only(variable.path)]

    def _call(self, step: Step, values: dict[int, Any]) -> list[Any]:
        if not takes_training(type(step.operation)):
            return [*step.call(values)]
        training = self._in_training(step.operation)
        if self.share is None or not (training and draws(step.operation)):
            return step.call(values, training=training)
        places = [id(tensor) for tensor in step.inputs]

        def call(*tensors: Any) -> Any:
            return step.call({**values, **dict(zip(places, tensors, strict=True))}, training=True)

        return self.share.in_place(call, *(values[place] for place in places))

    def _features(self, x: Any, call: Any) -> Any:
        import keras

        tensors = x if isinstance(x, (tuple, list)) else (x,)
        values = {id(s): keras.ops.cast(t, s.dtype) for s, t in zip(self.cut.boundary, tensors, strict=True)}
        return keras.ops.cast(replay(self.cut.rest, values, call)[id(self.cut.output)], self.cut.output.dtype)

    def features(self, x: Any) -> Any:
        return self._features(x, self._train)

    def head(self, features: Any) -> Any:
        training = self.living.head > 0
        if self.share is None or not (training and draws(self.layer)):
            return self.layer(features, training=training)
        return self.share.in_place(lambda whole: self.layer(whole, training=True), features)[0]

    def part(self, name: str) -> Any:
        return self.parts[name]

    def task_loss(self, batch: Batch, outputs: Any = None) -> Any:
        import keras

        losses = self._head.loss(batch.y, self.head(self.features(batch.x)) if outputs is None else outputs)
        return keras.ops.mean(losses * batch.weight)

    def describe(self, x: Any) -> Any:
        """Features (batch, size) in inference mode."""
        return self._features(x, self._infer)

    def predict(self, x: Any) -> Any:
        """Outputs (batch, classes) in inference mode."""
        return self.layer(self.describe(x), training=False)

    def trainable(self) -> dict[float, list[Any]]:
        """Rate -> the variables that learn at it; everything else is frozen."""
        groups: dict[float, list[Any]] = {}
        for operation in self._living():
            known = groups.setdefault(self.living.rate(operation, self._stage_of), [])
            known += [v for v in self._chosen(operation) if not any(v is other for other in known)]
        if self.living.head > 0:
            groups.setdefault(self.living.head, []).extend(self.layer.trainable_variables)
        for layer in self.parts.values():
            groups.setdefault(1.0, []).extend(layer.trainable_variables)
        return groups

    def weights(self) -> dict[str, Any]:
        """Path -> variable that trains; a path of the head begins with "head/". Those of parts are left out."""
        parts = {id(v) for part in self.parts.values() for v in part.variables}
        head = {id(v) for v in self.layer.variables}
        trained = [v for group in self.trainable().values() for v in group if id(v) not in parts]
        return {f"head/{v.path.partition('/')[2] or v.path}" if id(v) in head else v.path: v for v in trained}

    def reads_batch(self) -> bool:
        """Whether what it computes of an example in training depends on others of the batch, as a batch norm that moves does."""
        own = getattr(self.layer, "layers", [self.layer]) if self.living.head > 0 else []
        layers = [step.operation for step in self.cut.rest if self._in_training(step.operation)]
        return any(is_batch_norm(layer) for layer in (*layers, *own))

    def trained_in_backbone(self) -> list[Any]:
        """The variables that learn, those of the head and the parts excepted."""
        others = {id(v) for layer in (self.layer, *self.parts.values()) for v in layer.variables}
        return [variable for group in self.trainable().values() for variable in group if id(variable) not in others]

    def state(self) -> list[Any]:
        """Every variable that training may change, random states excepted."""
        by_id = {id(v): v for layer in (*self._living(), self.layer, *self.parts.values()) for v in layer.weights}
        return list(by_id.values())

    def everything(self) -> list[Any]:
        """Every weight behind the cut, frozen ones too."""
        layers = [step.operation for step in self.cut.rest]
        by_id = {id(v): v for layer in (*layers, self.layer, *self.parts.values()) for v in getattr(layer, "weights", ())}
        return list(by_id.values())

    def variables(self) -> list[Any]:
        """As `state`, and the random states of every layer that runs in training mode."""
        layers = [s.operation for s in self.cut.rest if hasattr(s.operation, "variables") and self.learns(s.operation)]
        by_id = {id(v): v for layer in (*layers, self.layer, *self.parts.values()) for v in layer.variables}
        return list(by_id.values())

    def random(self) -> list[Any]:
        """The random states of the backbone's layers that run in training mode."""
        saved = {id(v) for v in self.state()}
        layers = [s.operation for s in self.cut.rest if hasattr(s.operation, "variables") and self.learns(s.operation)]
        return list({id(v): v for layer in layers for v in layer.variables if id(v) not in saved}.values())

    def _living(self) -> list[Any]:
        """The layers of the rest that are in training mode."""
        by_id = {id(s.operation): s.operation for s in self.cut.rest if getattr(s.operation, "weights", ())}
        return [operation for operation in by_id.values() if self.learns(operation)]
