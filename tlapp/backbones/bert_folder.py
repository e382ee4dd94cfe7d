"""A Hugging Face folder of the BERT family: what its files say of the network, its tokenizer and its pooling."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlapp.contracts import TextInput
from tlapp.errors import UserError
from tlapp.words import in_a_line

CONFIG, WEIGHTS, VOCABULARY, TOKENIZER = "config.json", "model.safetensors", "vocab.txt", "tokenizer.json"
TOKENIZER_CONFIG, POOLING = "tokenizer_config.json", "1_Pooling/config.json"
NEEDS = "the package safetensors: pip install 'tlapp[text]'"
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_UNSAID = 10**6
"""Hugging Face writes a huge number where a tokenizer states no length."""


class Shape(NamedTuple):
    """The sizes of a network of the BERT family, by their names in config.json."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    embedding_size: int = 0
    """Numbers of a token before the blocks; 0 for `hidden_size`."""


class Folder(NamedTuple):
    """A folder that was read; `pooling` is "mean" over the tokens, or the "first" token."""

    path: Path
    shape: Shape
    input: TextInput
    pooling: str


def read(path: Path, name: str) -> Folder:
    """Read all but the weights; `name` is the backbone's ID, for sentences.

    Raises:
        UserError: a file is missing or damaged, or the network is of another family.
    """
    config = _json(path / CONFIG, name)
    shape = _shape(config, name)
    stated = _text_input(path, shape, name)
    check(stated.vocabulary, shape, name)
    return Folder(path, shape, stated, _pooling(path, name))


def check(vocabulary: Sequence[str], shape: Shape, name: str) -> None:
    """Check that a vocabulary is one of BERT's, and of a network of this shape, which can be built.

    Raises:
        UserError: it is not.
    """
    if shape.hidden_size % shape.num_attention_heads:
        raise _bad(name, f"its {CONFIG} divides {shape.hidden_size} numbers a token among {shape.num_attention_heads} heads")
    if missing := [token for token in SPECIAL if token not in vocabulary]:
        raise _bad(name, f"its vocabulary lacks {missing[0]}")
    if vocabulary[0] != SPECIAL[0]:
        raise _bad(name, f"its vocabulary must begin with {SPECIAL[0]}, as 0 means padding; it begins with {vocabulary[0]}")
    if len(vocabulary) > shape.vocab_size:
        counts = f"{len(vocabulary)} tokens, and {CONFIG} has vocab_size {shape.vocab_size}"
        raise _bad(name, f"its vocabulary has {counts}: the two are of different networks")


def tokens(file: Path, name: str) -> tuple[str, ...]:
    """A vocabulary, from a file with a token a line.

    Raises:
        UserError: it cannot be read.
    """
    return tuple(_text(file, name).removesuffix("\n").split("\n"))


def arrays(file: Path, name: str) -> dict[str, np.ndarray]:
    """The weights, float32, by their names in a BertModel, whatever stands before these names.

    Raises:
        UserError: the file is missing or damaged, or the package that reads it is.
    """
    if not file.is_file():
        raise _bad(name, f"there is no {file.name} in {file.parent}; transformers' save_pretrained() writes one")
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise _bad(name, f"to read its weights needs {NEEDS}") from error
    try:
        with safe_open(file, framework="np") as opened:
            every = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise _bad(name, f"{file.name} cannot be read: {in_a_line(error)}") from error
    marker = "embeddings.word_embeddings.weight"
    prefix = next((key.removesuffix(marker) for key in every if key.endswith(marker)), "")
    return {key.removeprefix(prefix): np.asarray(value, np.float32) for key, value in every.items() if key.startswith(prefix)}


def _shape(config: Mapping[str, Any], name: str) -> Shape:
    family = config.get("model_type", "bert")
    if family != "bert":
        raise _bad(name, f"is of the family {family}; bert: reads BERT, MiniLM, BGE, E5, GTE and others whose model_type is bert")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise _bad(name, f"has {config['position_embedding_type']} positions; only absolute ones are known")
    try:
        shape = Shape(**{key: config[key] for key in Shape._fields if key in config})
    except TypeError as error:
        raise _bad(name, f"its {CONFIG} lacks a size of the network: {in_a_line(error)}") from error
    if shape.hidden_act not in ACTIVATIONS:
        raise _bad(name, f"has the activation {shape.hidden_act}; known are {', '.join(ACTIVATIONS)}")
    return shape


def _text_input(path: Path, shape: Shape, name: str) -> TextInput:
    """The tokenizer's facts, from vocab.txt, or tokenizer.json where there is none."""
    told = _json(path / TOKENIZER_CONFIG, name) if (path / TOKENIZER_CONFIG).is_file() else {}
    if (path / VOCABULARY).is_file():
        vocabulary = tokens(path / VOCABULARY, name)
    elif (path / TOKENIZER).is_file():
        whole = _json(path / TOKENIZER, name)
        by_token = whole.get("model", {}).get("vocab", {})
        if whole.get("model", {}).get("type") != "WordPiece" or not isinstance(by_token, dict):
            raise _bad(name, f"its {TOKENIZER} is of another kind; bert: knows WordPiece")
        vocabulary = tuple(sorted(by_token, key=by_token.__getitem__))
        normal = whole.get("normalizer") or {}
        told = {"do_lower_case": normal.get("lowercase"), "strip_accents": normal.get("strip_accents"), **told}
    else:
        raise _bad(name, f"there is neither {VOCABULARY} nor {TOKENIZER} in {path}")
    lowercase = bool(told.get("do_lower_case") if told.get("do_lower_case") is not None else True)
    strip = told.get("strip_accents")
    stated = told.get("model_max_length") or shape.max_position_embeddings
    longest = min(int(stated), shape.max_position_embeddings) if stated < _UNSAID else shape.max_position_embeddings
    return TextInput(vocabulary, lowercase, lowercase if strip is None else bool(strip), longest, shape.type_vocab_size > 1)


def _pooling(path: Path, name: str) -> str:
    """How sentence-transformers pools; the mean where the folder says nothing of it."""
    if not (path / POOLING).is_file():
        return "mean"
    config = _json(path / POOLING, name)
    if config.get("pooling_mode_cls_token"):
        return "first"
    if config.get("pooling_mode_mean_tokens", True):
        return "mean"
    raise _bad(name, f"its {POOLING} asks for neither the mean over the tokens nor the first one; no other pooling is known")


def _json(path: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(_text(path, name))
    except ValueError as error:
        raise _bad(name, f"{path.name} is damaged: {in_a_line(error)}") from error
    if not isinstance(content, dict):
        raise _bad(name, f"{path.name} is damaged: it must hold names and values")
    return content


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(name, f"{path.name} cannot be read: {in_a_line(error)}") from error


def _bad(name: str, reason: str) -> UserError:
    return UserError(reason, name, "backbone")
