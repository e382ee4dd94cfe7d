"""Heads build, start neutral, learn, save and convert."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tflite import run_tflite
from pydantic import ValidationError
from tlapp_plugins.cosine import Cosine
from tlapp_plugins.linear import Linear
from tlapp_plugins.mlp import Mlp

from tlapp.contracts import Task
from tlapp.settings import resolve

TASK = Task(("a", "b", "c"), {"train": 60})
HEADS = (Linear(), Linear(dropout=0.2), Mlp(), Mlp(hidden=(32, 16), dropout=0.0), Cosine())
LABELS = np.arange(60) % 3
FEATURES = np.maximum(np.eye(3)[LABELS] @ np.ones((3, 8)) * 0.2 + np.random.default_rng(0).normal(0, 0.1, (60, 8)), 0)
FEATURES = (FEATURES + np.eye(8)[LABELS] * 0.5).astype("float32")


def names(head):
    return type(head).__name__


def build(head):
    import keras

    features = keras.Input((8,))
    return keras.Model(features, head.build(features, TASK)(features))


def train(head, steps=200):
    import keras
    import tensorflow as tf

    model, optimizer = build(head), keras.optimizers.AdamW(1e-2)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(head.loss(tf.one_hot(LABELS, 3), model(FEATURES, training=True)))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    for _ in range(steps):
        step()
    return model


@pytest.mark.parametrize("head", HEADS, ids=names)
def test_learns_and_opens_and_converts(head, tmp_path):
    import keras

    model = train(head)
    expected = np.asarray(model(FEATURES, training=False))
    assert (expected.argmax(1) == LABELS).mean() > 0.95
    model.save(tmp_path / "model.keras")
    opened = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(opened(FEATURES, training=False)), expected)
    np.testing.assert_allclose(run_tflite(opened, FEATURES, tmp_path), expected, atol=1e-4)


@pytest.mark.parametrize("head", HEADS[:4], ids=names)
def test_every_class_is_as_likely_before_training(head):
    np.testing.assert_array_equal(np.asarray(build(head)(FEATURES)), np.zeros((60, 3)))


def test_cosine_outputs_are_cosines_times_the_scale():
    model = train(Cosine(scale=8.0), steps=30)
    vectors = next(w.numpy() for w in model.weights if "kernel" in w.path)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=0), 1, rtol=1e-4)
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(model(FEATURES)), 8 * unit @ vectors, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("head", "options"), [(Mlp, {"hidden": ()}), (Mlp, {"hidden": (0,)}), (Linear, {"dropout": 1}), (Cosine, {"scale": 0})]
)
def test_bad_options_are_refused(head, options):
    with pytest.raises(ValidationError):
        head(**options)


def test_hidden_sizes_are_read_from_lists():
    assert Mlp(hidden=[8, 4]).hidden == (8, 4)


@pytest.mark.parametrize(("typed", "hidden"), [("64", (64,)), ("64,32", (64, 32)), (64, (64,))])
def test_hidden_sizes_are_read_from_the_command_line_and_a_number_alone(typed, hidden):
    assert resolve({"head": "mlp", "head_hidden": typed}).head.hidden == hidden
