"""BERT of Keras's own layers, so that a saved model opens with Keras alone and adapters reach inside its blocks.

Source: Devlin et al. 2019, BERT (https://arxiv.org/abs/1810.04805). The input is the ids alone: 0 is padding, which nothing
attends to, and what follows the first [SEP] is the second segment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tlapp.backbones.bert_folder import Shape
from tlapp.contracts import Stage

EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings", "embeddings_norm")
PROJECTION = "embeddings_projection"
"""The layer behind embeddings that have fewer or more numbers than the blocks take, as ELECTRA's have."""
LAYERS = ("query", "key", "value", "attention_output", "attention_norm", "intermediate", "output", "output_norm")
"""Layers of a block that have weights, in order; a block's index stands before each name."""

_BLOCK = re.compile(r"layer\d+(?=_)")

NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}
"""Layer of a block -> what Hugging Face calls it."""


def stages(shape: Shape) -> tuple[Stage, ...]:
    """The stages, computed without Keras."""
    width, inner, own = shape.hidden_size, shape.intermediate_size, shape.embedding_size or shape.hidden_size
    rows = shape.vocab_size + shape.max_position_embeddings + shape.type_vocab_size
    block = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    names = EMBEDDINGS if shape.type_vocab_size else tuple(name for name in EMBEDDINGS if name != "token_type_embeddings")
    projection = (own + 1) * width if own != width else 0
    first = Stage("embeddings", (rows + 2) * own + projection, (None, width), (*names, PROJECTION) if projection else names)
    others = (
        Stage(f"layer{number}", block, (None, width), tuple(f"layer{number}_{name}" for name in LAYERS))
        for number in range(shape.num_hidden_layers)
    )
    return (first, *others)


def stages_by_name(graph: Any) -> tuple[tuple[Stage, ...], dict[str, str]] | None:
    """The stages of a graph whose layers are named as here, and layer name -> stage name; None where they are not.

    What was put inside a block, and is named after it, belongs to the block.
    """
    layers = {layer.name: layer for layer in graph.layers if layer.weights}
    if EMBEDDINGS[0] not in layers:
        return None
    stage_of = {name: match[0] if (match := _BLOCK.match(name)) else "embeddings" for name in layers}
    found, embedded = [], PROJECTION if PROJECTION in layers else EMBEDDINGS[0]
    for stage in dict.fromkeys(stage_of.values()):
        own = tuple(name for name in layers if stage_of[name] == stage)
        width = layers[embedded].output.shape[-1]
        found.append(Stage(stage, sum(layers[name].count_params() for name in own), (None, width), own))
    return tuple(found), stage_of


def takes_pairs(graph: Any) -> bool:
    """Whether a graph whose layers are named as here knows a second text from the first."""
    types = next((layer for layer in graph.layers if layer.name == EMBEDDINGS[2]), None)
    return types is not None and types.input_dim > 1


def build(shape: Shape, separator: int, pooling: str) -> Any:
    """The functional model `backbone` from ids (batch, length) int32 of any length to features (batch, hidden_size).

    Args:
        separator: the id of [SEP].
        pooling: "mean" over all tokens, or the "first" one.
    """
    import keras

    ids = keras.Input((None,), dtype="int32", name="ids")
    there = keras.ops.not_equal(ids, 0)
    attended = keras.ops.expand_dims(there, (1, 2))
    x = _embedded(shape, separator, ids)
    for number in range(shape.num_hidden_layers):
        x = _block(shape, f"layer{number}", x, attended)
    if pooling == "first":
        return keras.Model(ids, keras.ops.take(x, 0, axis=1), name="backbone")
    return keras.Model(ids, keras.layers.GlobalAveragePooling1D(name="pool")(x, mask=there), name="backbone")


def _embedded(shape: Shape, separator: int, ids: Any) -> Any:
    import keras

    width = shape.embedding_size or shape.hidden_size
    places = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1) - 1
    parts = [
        keras.layers.Embedding(shape.vocab_size, width, name=EMBEDDINGS[0])(ids),
        keras.layers.Embedding(shape.max_position_embeddings, width, name=EMBEDDINGS[1])(places),
    ]
    if shape.type_vocab_size:
        ends = keras.ops.cast(keras.ops.equal(ids, separator), "int32")
        before = keras.ops.cumsum(ends, axis=1) - ends
        segments = keras.ops.minimum(before, min(shape.type_vocab_size - 1, 1))
        parts.append(keras.layers.Embedding(shape.type_vocab_size, width, name=EMBEDDINGS[2])(segments))
    x = keras.layers.Add(name="embeddings_add")(parts)
    x = keras.layers.LayerNormalization(epsilon=shape.layer_norm_eps, name=EMBEDDINGS[3])(x)
    x = keras.layers.Dropout(shape.hidden_dropout_prob, name="embeddings_dropout")(x)
    return x if width == shape.hidden_size else keras.layers.Dense(shape.hidden_size, name=PROJECTION)(x)


def _block(shape: Shape, name: str, x: Any, attended: Any) -> Any:
    """Self-attention and the two dense layers, each added to what it read and normalized."""
    import keras

    width = shape.hidden_size
    inside = keras.layers.Dense(width, name=f"{name}_attention_output")(_attention(shape, name, x, attended))
    x = _added(shape, f"{name}_attention", x, inside)
    inside = keras.layers.Dense(shape.intermediate_size, name=f"{name}_intermediate")(x)
    inside = keras.layers.Dense(width, name=f"{name}_output")(activated(shape.hidden_act, inside))
    return _added(shape, f"{name}_output", x, inside)


def _added(shape: Shape, name: str, x: Any, inside: Any) -> Any:
    import keras

    inside = keras.layers.Dropout(shape.hidden_dropout_prob, name=f"{name}_dropout")(inside)
    x = keras.layers.Add(name=f"{name}_add")([x, inside])
    return keras.layers.LayerNormalization(epsilon=shape.layer_norm_eps, name=f"{name}_norm")(x)


def _attention(shape: Shape, name: str, x: Any, attended: Any) -> Any:
    """What each token takes from all others, (batch, length, hidden_size)."""
    import keras

    heads, size = shape.num_attention_heads, shape.hidden_size // shape.num_attention_heads

    def projected(part: str, axes: tuple[int, ...]) -> Any:
        y = keras.layers.Dense(shape.hidden_size, name=f"{name}_{part}")(x)
        y = keras.layers.Reshape((-1, heads, size), name=f"{name}_{part}_heads")(y)
        return keras.layers.Permute(axes, name=f"{name}_{part}_permuted")(y)

    query, key, value = (projected(part, axes) for part, axes in zip(LAYERS, ((2, 1, 3), (2, 3, 1), (2, 1, 3)), strict=False))
    scores = keras.ops.matmul(query, key) / math.sqrt(size)
    shares = keras.layers.Softmax(name=f"{name}_softmax")(scores, mask=attended)
    shares = keras.layers.Dropout(shape.attention_probs_dropout_prob, name=f"{name}_attention_probs_dropout")(shares)
    y = keras.layers.Permute((2, 1, 3), name=f"{name}_merged")(keras.ops.matmul(shares, value))
    return keras.layers.Reshape((-1, shape.hidden_size), name=f"{name}_context")(y)


def activated(activation: str, x: Any) -> Any:
    """An activation by its name in config.json; exact gelu is written with erf, as TensorFlow's own does not convert to ONNX."""
    import keras

    if activation == "gelu":
        return 0.5 * x * (1 + keras.ops.erf(x / math.sqrt(2)))
    if activation in ("gelu_new", "gelu_pytorch_tanh"):
        return keras.ops.gelu(x, approximate=True)
    return keras.ops.relu(x) if activation == "relu" else keras.ops.silu(x)


def fill(model: Any, shape: Shape, arrays: Mapping[str, np.ndarray]) -> None:
    """Give the network its weights, by their names in Hugging Face's BertModel.

    Raises:
        KeyError: one is missing. ValueError: one is of another shape.
    """
    for name in stages(shape)[0].layers:
        stem = f"embeddings.{'LayerNorm' if name == EMBEDDINGS[3] else name}"
        weights = (arrays[f"{stem}.weight"], arrays[f"{stem}.bias"]) if name == EMBEDDINGS[3] else (arrays[f"{stem}.weight"],)
        model.get_layer(name).set_weights(weights)
    for number in range(shape.num_hidden_layers):
        for layer, theirs in NAMES.items():
            stem = f"encoder.layer.{number}.{theirs}"
            weight, bias = arrays[f"{stem}.weight"], arrays[f"{stem}.bias"]
            model.get_layer(f"layer{number}_{layer}").set_weights([weight.T, bias])  # .T of a norm's scale is itself
