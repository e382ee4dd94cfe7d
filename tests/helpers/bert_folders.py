"""A tiny network of the BERT family as Hugging Face saves one, and its features by NumPy."""

import json
import math

import numpy as np

WORDS = (
    *("good", "bad", "great", "awful", "fine", "poor", "film", "book", "day", "night", "the", "a", "is", "was", "very", "not"),
    *("it", "this", "and", "of", "cat", "dog", "sun", "rain", "home", "work", "food", "##s", "##ed", "##ing", "##ly"),
    *(".", ",", "!", "?", "'", "-", ":", "1", "2", "3"),
)
VOCABULARY = tuple(dict.fromkeys(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *"abcdefghijklmnopqrstuvwxyz")))
CONFIG = {
    "model_type": "bert", "vocab_size": len(VOCABULARY), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 32, "max_position_embeddings": 48, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
}  # fmt: skip


def weights(config=None, seed=0, prefix=""):
    """Name -> random array, as in a BertModel."""
    config = {**CONFIG, **(config or {})}
    width, inner, rng = config["hidden_size"], config["intermediate_size"], np.random.default_rng(seed)
    arrays = {}

    def put(name, *shape, around=0.0):
        arrays[prefix + name] = (around + rng.normal(0, 0.3, shape)).astype("float32")

    put("embeddings.word_embeddings.weight", config["vocab_size"], width)
    put("embeddings.position_embeddings.weight", config["max_position_embeddings"], width)
    put("embeddings.token_type_embeddings.weight", config["type_vocab_size"], width)
    norms = ["embeddings.LayerNorm"]
    for number in range(config["num_hidden_layers"]):
        stem = f"encoder.layer.{number}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            put(f"{stem}{name}.weight", width, width)
            put(f"{stem}{name}.bias", width)
        put(f"{stem}intermediate.dense.weight", inner, width)
        put(f"{stem}intermediate.dense.bias", inner)
        put(f"{stem}output.dense.weight", width, inner)
        put(f"{stem}output.dense.bias", width)
        norms += [f"{stem}attention.output.LayerNorm", f"{stem}output.LayerNorm"]
    for name in norms:
        put(f"{name}.weight", width, around=1.0)
        put(f"{name}.bias", width)
    put("pooler.dense.weight", width, width)
    return arrays


def bert_folder(path, config=None, seed=0, prefix="", pooling=None, tokenizer=None):
    """Write a folder and return its path."""
    from safetensors.numpy import save_file

    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    (path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    save_file(weights(config, seed, prefix), path / "model.safetensors")
    if tokenizer is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    if pooling is not None:
        (path / "1_Pooling").mkdir(exist_ok=True)
        (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return path


def features(arrays, ids, config=None, first=False, segments=None):
    """The features (n, width) of ids (n, length), in double precision: BERT as Devlin et al. 2019 write it."""
    config = {**CONFIG, **(config or {})}
    arrays = {name: value.astype("float64") for name, value in arrays.items()}
    heads, there = config["num_attention_heads"], np.asarray(ids) != 0
    size = config["hidden_size"] // heads

    def dense(x, name):
        return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + config["layer_norm_eps"])
        return x * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def split(x):
        return x.reshape(*x.shape[:2], heads, size).transpose(0, 2, 1, 3)

    embeddings = [arrays[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    segments = np.zeros_like(ids) if segments is None else segments
    x = embeddings[0][ids] + embeddings[1][: np.shape(ids)[1]] + embeddings[2][segments]
    x = norm(x, "embeddings.LayerNorm")
    for number in range(config["num_hidden_layers"]):
        stem = f"encoder.layer.{number}."
        query, key, value = (split(dense(x, f"{stem}attention.self.{name}")) for name in ("query", "key", "value"))
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(size) + np.where(there, 0, -np.inf)[:, None, None]
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        inside = (shares / shares.sum(-1, keepdims=True) @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + dense(inside, f"{stem}attention.output.dense"), f"{stem}attention.output.LayerNorm")
        y = dense(x, f"{stem}intermediate.dense")
        y = dense(0.5 * y * (1 + np.vectorize(math.erf)(y / math.sqrt(2))), f"{stem}output.dense")
        x = norm(x + y, f"{stem}output.LayerNorm")
    return x[:, 0] if first else (x * there[..., None]).sum(1) / there.sum(1, keepdims=True)
