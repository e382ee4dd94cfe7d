"""Stages are found where least crosses from one layer to the next."""

import keras
from helpers.networks import chain

from tlapp.contracts.anatomy import anatomy


def test_one_kernel_is_one_stage():
    stages, stage_of = anatomy(chain(keras.layers.Rescaling(1.0), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()))
    assert [(s.name, s.params, s.shape) for s in stages] == [("all", 112, (4,))] and set(stage_of.values()) == {"all"}
    assert anatomy(chain(keras.layers.Rescaling(2.0)))[0][0].params == 0


def test_a_stage_ends_where_least_crosses():
    """Pooling closes a stage, padding opens the next, and normalization makes none."""
    layers = keras.layers
    stages, stage_of = anatomy(
        chain(
            layers.Conv2D(4, 3, padding="same", name="a"),
            layers.BatchNormalization(name="a_bn"),
            layers.MaxPooling2D(name="pool"),
            layers.BatchNormalization(name="b_bn"),
            layers.ZeroPadding2D(name="pad"),
            layers.Conv2D(8, 3, name="b"),
            layers.Conv2D(32, 1, name="expand"),
            layers.Conv2D(16, 1, name="project"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.LayerNormalization(name="ln"),
        )
    )
    assert [(s.name, s.shape, s.layers) for s in stages] == [
        ("stem", (8, 8, 4), ("a", "a_bn", "b_bn")),
        ("stage2", (8, 8, 8), ("b",)),
        ("top", (16,), ("expand", "project", "ln")),
    ]
    assert stage_of["pool"] == "stem" and stage_of["pad"] == "stage2" and stage_of["gap"] == "top"


def test_a_transformer_is_split_evenly():
    x = inputs = keras.Input((16, 12))
    for _ in range(12):
        x = keras.layers.Add()([x, keras.layers.Dense(12)(keras.layers.LayerNormalization()(x))])
    stages, _ = anatomy(keras.Model(inputs, x))
    assert len(stages) == 8 and {len(stage.layers) for stage in stages} == {2, 4}
