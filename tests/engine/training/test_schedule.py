"""The learning rate over a phase: Keras's cosine, computed once a step."""

import keras
import numpy as np
import tensorflow as tf

from tlapp.engine.training.schedule import learning_rate


def test_it_is_keras_cosine_and_computed_once_however_many_variables_there_are():
    ours = learning_rate(0.01, 5, 40, "cosine")
    theirs = keras.optimizers.schedules.CosineDecay(0.01 / 4, 36, warmup_target=0.01, warmup_steps=4)
    optimizers = [keras.optimizers.AdamW(schedule, weight_decay=0.1) for schedule in (ours, theirs)]
    weights = [[keras.Variable(np.full(2, float(i))) for i in range(3)] for _ in optimizers]

    def stepping(optimizer, variables):
        return tf.function(lambda: optimizer.apply([tf.ones(2)] * 3, variables), autograph=False)

    for optimizer, variables in zip(optimizers, weights, strict=True):
        optimizer.build(variables)
        optimizer.apply([tf.ones(2)] * 3, variables)  # eagerly
        for _ in range(2):
            step = stepping(optimizer, variables)
            for _ in range(3):
                step()
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
    graph = stepping(optimizers[0], weights[0]).get_concrete_function().graph
    assert sum("CosineDecay" in each.name and each.type in ("If", "StatelessIf") for each in graph.get_operations()) == 1


def test_a_constant_rate_is_a_number():
    assert learning_rate(0.01, 5, 40, "constant") == 0.01
