"""A tiny backbone for texts, and small sets of texts to train it on."""

from __future__ import annotations

import csv

import numpy as np

from tlapp.contracts import Backbone, BackboneProvider, LoadedBackbone, Stage, TextInput, UserError

WORDS = {
    "food": ["soup", "bread", "apple", "cheese", "rice", "salad", "lemon", "pepper", "cake", "onion"],
    "sea": ["ship", "wave", "harbour", "sail", "anchor", "tide", "island", "fish", "storm", "deck"],
    "night": ["moon", "star", "dark", "sleep", "dream", "owl", "candle", "quiet", "shadow", "bed"],
}
FILLERS = ["the", "a", "very", "some", "of", "and", "in", "with", "little", "big"]
VOCABULARY = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *FILLERS,
    *(word for words in WORDS.values() for word in words),
    "##s",
    "e",
    "##t",
    "t",
    ".",
)
LONGEST, WIDTH = 64, 12


class TextBackbones(BackboneProvider):
    """An embedding, a dense layer with a convolution beside it, and the mean over the tokens: two stages, texts of any length."""

    def names(self):
        return ("small",)

    def facts(self, name, image_size=None):
        return Backbone("texts:small", TextInput(VOCABULARY, longest=LONGEST), STAGES)

    def load(self, name, *, image_size=None, weights=None):
        if name not in self.names():
            raise UserError(f"there is no {name}")
        import keras

        layers, rng = keras.layers, np.random.default_rng(5)
        ids = keras.Input((None,), dtype="int32", name="ids")
        mask = keras.ops.expand_dims(keras.ops.cast(keras.ops.not_equal(ids, 0), "float32"), -1)
        made = [layers.Embedding(len(VOCABULARY), WIDTH, name="embed"), layers.Dense(WIDTH, activation="tanh", name="mix")]
        x = made[1](made[0](ids)) * mask
        x = keras.ops.sum(x, axis=1) / keras.ops.maximum(keras.ops.sum(mask, axis=1), 1.0)
        for layer in made:
            layer.set_weights([rng.normal(0, 0.5, weight.shape) for weight in layer.weights])
        return LoadedBackbone(
            self.facts(name), keras.Model(ids, x, name="texts"), {"embed": "embeddings", "mix": "layer0"}, weights="random"
        )


STAGES = (
    Stage("embeddings", len(VOCABULARY) * WIDTH, (None, WIDTH), ("embed",)),
    Stage("layer0", (WIDTH + 1) * WIDTH, (WIDTH,), ("mix",)),
)


def sentence(label, rng, most=20):
    """A sentence of a class: some of its words among fillers."""
    words = [*rng.choice(WORDS[label], int(rng.integers(2, 5))), *rng.choice(FILLERS, int(rng.integers(1, most)))]
    return " ".join(rng.permutation(words))


def write_texts(path, each=24, seed=0, most=20):
    """A CSV of labelled sentences."""
    rng = np.random.default_rng(seed)
    rows = [(sentence(label, rng, most), label) for label in WORDS for _ in range(each)]
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path
