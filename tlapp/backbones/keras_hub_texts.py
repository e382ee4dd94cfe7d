"""Presets of keras-hub for texts, read into the network of `bert:`: what their files say, and their weights.

Keras-hub makes a layer of each block, which nothing reaches into, and a saved model of which opens with keras-hub alone.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.backbones import bert_folder, bert_network
from tlapp.backbones.bert_folder import Shape
from tlapp.contracts import Backbone, LoadedBackbone, TextInput, UserError

CONFIG, TOKENIZER, TASK, PICTURES = "config.json", "tokenizer.json", "task.json", "image_converter.json"
VOCABULARY = "assets/tokenizer/vocabulary.txt"
ACTIVATIONS = {"BertBackbone": "gelu_new", "DistilBertBackbone": "gelu", "ElectraBackbone": "gelu_new"}
"""Networks that are BERT's -> their activation, which their files do not tell."""
WORDPIECE = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "WordPieceTokenizer")
INSTEAD = (
    "take a preset of BERT, DistilBERT or ELECTRA, such as keras-hub:bert_small_en_uncased, or bert:FOLDER with a folder of "
    "Hugging Face's whose model_type is bert"
)
_SIZES = {
    "vocabulary_size": "vocab_size", "vocab_size": "vocab_size", "hidden_dim": "hidden_size", "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads", "intermediate_dim": "intermediate_size", "num_segments": "type_vocab_size",
    "max_sequence_length": "max_position_embeddings", "embedding_dim": "embedding_size",
}  # fmt: skip
"""A size's name in keras-hub -> in Hugging Face's config.json."""
_POOLINGS = {"mean": "mean", "cls": "first"}
_INSIDE = {
    "query": "self_attention_layer/query", "key": "self_attention_layer/key", "value": "self_attention_layer/value",
    "attention_output": "self_attention_layer/attention_output", "attention_norm": "self_attention_layer_norm",
    "intermediate": "feedforward_intermediate_dense", "output": "feedforward_output_dense",
    "output_norm": "feedforward_layer_norm",
}  # fmt: skip
"""Layer of a block of `bert_network` -> the layer's path in keras-hub's block."""
_AGREES = 1e-5
"""The largest difference of features, in shares of the largest one: rounding makes 1e-6, another form of GELU 2e-5 and more."""

Find = Callable[[str], Path]
"""Gives a file of a preset, by its name there; raises FileNotFoundError where the preset has none of that name."""


class Preset(NamedTuple):
    """A preset that was read; `padding` is the row of [PAD] in its own vocabulary, which stands first in ours."""

    shape: Shape
    input: TextInput
    pooling: str
    padding: int

    def facts(self, identity: str) -> Backbone:
        return Backbone(identity, self.input, bert_network.stages(self.shape))


def read(find: Find, identity: str) -> Preset | None:
    """Read all but the weights of a preset for texts; None of one for pictures.

    Raises:
        UserError: a file is missing or damaged, or the preset is of a network or a tokenizer that is not known.
    """
    config = _json(find, CONFIG, identity)
    if "model_type" in config and "vocab_size" in config:
        raise _bad(identity, "it is Hugging Face's, and no preset of keras-hub; a local folder of it is bert:FOLDER")
    kind = str(config.get("class_name", ""))
    if kind not in ACTIVATIONS and (_path(find, PICTURES) or not _path(find, TOKENIZER)):
        return None
    told, path = _json(find, TOKENIZER, identity), _path(find, VOCABULARY)
    if not told or not kind:
        missing, part = (TOKENIZER, "tokenizer") if kind else (CONFIG, "backbone")
        raise _bad(identity, f"the preset is for texts and has no {missing}; {part}.save_to_preset(FOLDER) writes it")
    _check_tokenizer(told, kind, identity)
    if path is None:
        raise _bad(identity, f"there is no {VOCABULARY}; tokenizer.save_to_preset(FOLDER) writes it")
    shape = _shape(config.get("config", {}), ACTIVATIONS[kind], identity)
    vocabulary = bert_folder.tokens(path, identity)
    padding = vocabulary.index(bert_folder.SPECIAL[0]) if bert_folder.SPECIAL[0] in vocabulary else 0
    vocabulary = (*vocabulary[padding : padding + 1], *vocabulary[:padding], *vocabulary[padding + 1 :])
    bert_folder.check(vocabulary, shape, identity)
    stated = TextInput(vocabulary, *_normal(told["config"], vocabulary), shape.max_position_embeddings, shape.type_vocab_size > 1)
    return Preset(shape, stated, _pooling(find, identity), padding)


def load(preset: Preset, network: Any | None, identity: str) -> LoadedBackbone:
    """The network of a preset.

    Args:
        network: keras-hub's own, with its weights, which are read; None for random ones.

    Raises:
        UserError: keras-hub's own gives other features.
    """
    graph = bert_network.build(preset.shape, preset.input.vocabulary.index("[SEP]"), preset.pooling)
    facts = preset.facts(identity)
    if network is not None:
        _fill(graph, preset, network)
        _check_features(graph, preset, network, identity)
    source = "random" if network is None else f"{Path(identity.partition(':')[2]).name}, of keras-hub"
    return LoadedBackbone(facts, graph, {layer: stage.name for stage in facts.stages for layer in stage.layers}, "", source)


def _check_tokenizer(told: Mapping[str, Any], kind: str, identity: str) -> None:
    """Check that a tokenizer, and the network behind it, are of BERT's kind.

    Raises:
        UserError: they are not.
    """
    tokenizer, config = told.get("class_name"), told.get("config") or {}
    if tokenizer not in WORDPIECE:
        raise _bad(identity, f"its tokenizer is a {tokenizer}, and tlapp knows WordPiece alone; {INSTEAD}")
    if kind not in ACTIVATIONS:
        raise _bad(identity, f"is for texts, and its network is a {kind}, which is not known; {INSTEAD}")
    wanted = {"split": True, "suffix_indicator": "##", "oov_token": "[UNK]"}
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise _bad(identity, f"its {TOKENIZER} sets {key} to {config[key]!r}; only {value!r} is known; {INSTEAD}")


def _shape(told: Mapping[str, Any], activation: str, identity: str) -> Shape:
    sizes = {ours: told[theirs] for theirs, ours in _SIZES.items() if theirs in told}
    share = told.get("dropout", 0.1)
    try:
        return Shape(
            **{"type_vocab_size": 0, **sizes}, hidden_act=activation, hidden_dropout_prob=share,
            attention_probs_dropout_prob=share,
        )  # fmt: skip
    except TypeError as error:
        raise _bad(identity, f"its {CONFIG} lacks a size of the network: {error}") from error


def _normal(told: Mapping[str, Any], vocabulary: Iterable[str]) -> tuple[bool, bool]:
    """Whether texts are lower-cased, and whether accents are taken off.

    Keras-hub's tokenizer leaves accents where the network was trained without, so that each word with one is unknown. A
    vocabulary of lower-cased words shows it: none has an accent.
    """
    lowercase = bool(told.get("lowercase"))
    return lowercase, bool(told.get("strip_accents")) or (lowercase and not any(map(_has_accent, vocabulary)))


def _has_accent(token: str) -> bool:
    return not token.isascii() and any(unicodedata.category(char) == "Mn" for char in unicodedata.normalize("NFD", token))


def _pooling(find: Find, identity: str) -> str:
    """How a preset of keras-hub's BertTextEmbedder pools; the mean of any other."""
    told = _json(find, TASK, identity).get("config", {}) if _path(find, TASK) else {}
    pooling = told.get("pooling_mode", "mean")
    if pooling not in _POOLINGS:
        raise _bad(identity, f"its {TASK} pools by {pooling!r}; known are {' and '.join(map(repr, _POOLINGS))}")
    return _POOLINGS[pooling]


def _fill(graph: Any, preset: Preset, network: Any) -> None:
    """Give a network the weights of keras-hub's."""
    holder = getattr(network, "embeddings", network)
    rows = np.array(holder.token_embedding.get_weights()[0])
    rows[: preset.padding + 1] = np.roll(rows[: preset.padding + 1], 1, axis=0)
    types = network.segment_embedding.get_weights() if preset.shape.type_vocab_size else []
    projection = getattr(network, "embeddings_projection", None)
    given = [
        [rows], holder.position_embedding.get_weights(), types, network.embeddings_layer_norm.get_weights(),
        projection.get_weights() if projection else [],
    ]  # fmt: skip
    for name, arrays in zip((*bert_network.EMBEDDINGS, bert_network.PROJECTION), given, strict=True):
        if arrays:
            graph.get_layer(name).set_weights(arrays)
    for number in range(preset.shape.num_hidden_layers):
        block = network.get_layer(f"transformer_layer_{number}")
        within = {weight.path.partition(f"{block.name}/")[2]: weight.numpy() for weight in block.weights}
        for ours, theirs in _INSIDE.items():
            layer = graph.get_layer(f"layer{number}_{ours}")
            layer.set_weights([within[f"{theirs}/{each.name}"].reshape(each.shape) for each in layer.weights])


def _check_features(graph: Any, preset: Preset, network: Any, identity: str) -> None:
    """Check that a network gives what keras-hub's does.

    Raises:
        UserError: it does not.
    """
    import keras

    length = min(16, preset.input.longest)
    ids = np.linspace(1, len(preset.input.vocabulary) - 1, length, dtype="int32")[None]
    ends = ids == preset.input.vocabulary.index("[SEP]")
    segments = np.minimum(np.cumsum(ends, axis=1) - ends, max(min(preset.shape.type_vocab_size - 1, 1), 0)).astype("int32")
    own = np.where(ids <= preset.padding, ids - 1, ids)
    inputs = {"token_ids": own, "segment_ids": segments, "padding_mask": np.ones_like(ids)}
    with keras.device("cpu"):  # others round more
        tokens = network({name: inputs[name] for name in network.input}, training=False)
        ours = np.asarray(graph(ids, training=False))
    tokens = np.asarray(tokens["sequence_output"] if isinstance(tokens, Mapping) else tokens)
    theirs = tokens[:, 0] if preset.pooling == "first" else tokens.mean(1)
    if not np.allclose(ours, theirs, rtol=0, atol=_AGREES * float(np.abs(theirs).max())):
        raise _bad(identity, f"this release of keras-hub computes it otherwise than tlapp knows; {INSTEAD}")


def _path(find: Find, file: str) -> Path | None:
    try:
        return find(file)
    except FileNotFoundError:
        return None


def _json(find: Find, file: str, identity: str) -> dict[str, Any]:
    """What a file says; nothing where the preset has none."""
    path = _path(find, file)
    try:
        content = {} if path is None else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(identity, f"its {file} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}


def _bad(identity: str, reason: str) -> UserError:
    return UserError(reason, identity, "backbone")
