"""Options, backbones and graphs, drawn by hypothesis."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import numpy as np
from hypothesis import strategies as st

from tlapp.contracts import Backbone, ImageInput, Stage

NAMES = st.text(st.characters(exclude_categories=["Cs"]) | st.integers(0xDC80, 0xDCFF).map(chr), min_size=1, max_size=6)
"""Whatever a file may be called, bytes that are not UTF-8 included."""


WORDS = st.text("abc_019", min_size=1, max_size=6)
"""What a stage may be called."""


STREAMS = {"train": 24, "val": 6, "test": 12, "target": 24, "aux": 24}


def values(field) -> st.SearchStrategy[Any]:
    """What an option takes, by its annotation and bounds."""
    names = ("ge", "gt", "le", "lt", "min_length")
    bounds = {name: getattr(item, name) for item in field.metadata for name in names if hasattr(item, name)}
    return of(field.annotation, bounds)


def of(kind: Any, bounds: dict[str, Any]) -> st.SearchStrategy[Any]:
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is tuple:
        each = WORDS if get_args(kind)[0] is str else st.integers(1, 99)
        return st.lists(each, min_size=bounds.get("min_length", 0), max_size=3).map(tuple)
    if len(parts := get_args(kind)) > 1:  # such as float | None
        return st.one_of(*(of(part, bounds) for part in parts))
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if kind is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False, exclude_min="gt" in bounds, exclude_max="lt" in bounds)
    if kind is int:
        return st.integers(low, low + 30 if high is None else high - ("lt" in bounds))
    return {bool: st.booleans(), str: NAMES, type(None): st.none()}[kind]


def options(kind) -> st.SearchStrategy[dict[str, Any]]:
    """Some options of a class, with values that it takes; the rest are left to their defaults."""
    return st.fixed_dictionaries({}, optional={name: values(field) for name, field in kind.model_fields.items()})


@st.composite
def backbones(draw) -> Backbone:
    names = draw(st.lists(WORDS, min_size=1, max_size=20, unique=True))
    return Backbone("made-up", ImageInput(64), tuple(Stage(name, draw(st.integers(0, 9999)), (4, 4, 8)) for name in names))


def words(value: Any) -> str:
    """A value as one types it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


STAGES = ("one", "two", "three", "four")


LAYERS = {
    "norm": lambda layers, name: layers.BatchNormalization(name=name),
    "dropout": lambda layers, name: layers.Dropout(0.5, name=name),
    "relu": lambda layers, name: layers.ReLU(name=name),
    "add": lambda layers, name: layers.Add(name=name),
    "concatenate": lambda layers, name: layers.Concatenate(name=name),
}


MERGING = ("add", "concatenate")


OPERATIONS = ("dense", "norm", "dropout", "relu", "add", "concatenate", "again", "grafted", "operation")


@st.composite
def graphs(draw) -> list[tuple[str, list[int], str]]:
    """Operations in order: what each is, which of the tensors before it it reads, its stage. Stages come in any order."""
    found = []
    for at in range(draw(st.integers(1, 10))):
        kind = draw(st.sampled_from(OPERATIONS))
        count = draw(st.integers(1, 3)) if kind in MERGING else 1
        found.append((kind, [draw(st.integers(0, at)) for _ in range(count)], draw(st.sampled_from(STAGES))))
    return found


RATES = st.fixed_dictionaries({stage: st.sampled_from((0.0, 0.0, 0.1, 1.0)) for stage in STAGES})


def built(todo):
    """A functional model of such operations on four numbers, what they leave added up; and layer name -> stage."""
    import keras

    rng, image, stage_of, made = np.random.default_rng(3), keras.Input((4,)), {}, {}
    tensors = [image]
    for number, (kind, reads, stage) in enumerate(todo):
        inputs = [tensors[i] for i in reads]
        if kind == "operation":  # neither a layer nor weights
            tensors.append(keras.ops.tanh(inputs[0]))
            continue
        name = f"{kind}{number}"
        if kind == "again":  # a layer that is called twice
            name = next((other for other in made if not other.startswith(MERGING)), name)
        layer = made.setdefault(name, LAYERS.get(kind, lambda layers, name: layers.Dense(4, name=name))(keras.layers, name))
        if kind in MERGING:
            inputs = [layer(inputs if len(inputs) > 1 else [inputs[0], inputs[0]])]
            stage_of[name] = stage
            layer = keras.layers.Dense(4, name=f"narrow{number}")
        tensors.append(layer(inputs[0]))
        if kind != "grafted":
            stage_of.setdefault(layer.name, stage)
        for weight in layer.weights:
            if weight.dtype == "float32":
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    read = {i for _, reads, _ in todo for i in reads}
    ends = [tensor for i, tensor in enumerate(tensors) if i not in read]
    return keras.Model(image, keras.layers.Add(name="end")(ends) if len(ends) > 1 else ends[0]), stage_of
