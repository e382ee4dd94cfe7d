"""A heat map lies where the evidence is, for every kind of network that has a map, and is refused for those that have none."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tlapp.engine.visuals import heat_map as module
from tlapp.engine.visuals.heat_map import heat_map, place_of
from tlapp.errors import UserError
from tlapp.testing import TinyBackbones

SIZE, COLOURS = 32, 3
QUADRANTS = ((4, 4), (4, 20), (20, 4), (20, 20))


def blobs(seed=0):
    """Pictures of three blobs, red, green and blue, each in a quadrant of its own: what is class 0, 1 and 2; and the corners."""
    rng = np.random.default_rng(seed)
    pictures, corners = rng.integers(0, 40, (12, SIZE, SIZE, 3)).astype("float32"), []
    for picture in pictures:
        chosen = [QUADRANTS[i] for i in rng.permutation(4)[:COLOURS]]
        for colour, (top, left) in enumerate(chosen):
            picture[top : top + 8, left : left + 8, colour] = 240
        corners.append(chosen)
    return pictures, corners


def network(side=8, squeeze=False, branches=1, activation="softmax"):
    """A network that has one class a colour, by maps of so many places a side."""
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(COLOURS, 2, strides=2, activation="relu")(x)
    while x.shape[1] > side:
        x = keras.layers.AveragePooling2D(2)(x)
    if squeeze:  # a pooled path that leads back into the map
        gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        gate = keras.layers.Conv2D(COLOURS, 1, activation="sigmoid")(gate)
        x = keras.layers.Multiply()([x, gate])
    maps = [keras.layers.Conv2D(COLOURS, 1, use_bias=False)(x) for _ in range(branches)]
    features = [keras.layers.GlobalAveragePooling2D()(each) for each in maps]
    x = features[0] if branches == 1 else keras.layers.Average()(features)
    model = keras.Model(image, keras.layers.Activation(activation)(keras.layers.Dense(COLOURS, use_bias=False)(x)))
    first, *pointwise = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    first.set_weights([np.broadcast_to(np.eye(COLOURS) / 4, (2, 2, 3, COLOURS)), np.full(COLOURS, -0.2)])
    for layer in pointwise:
        layer.set_weights([np.eye(COLOURS)[None, None], *[np.zeros(COLOURS)] * layer.use_bias])
    model.layers[-2].set_weights([20 * np.eye(COLOURS)])
    return model


def transformer(first=1, pooled=False):
    """As `network`, by tokens of 64 patches behind so many others; the answer reads the first token, or the mean of all."""
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(COLOURS, 4, strides=4, activation="relu", name="patches")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.ZeroPadding1D((first, 0))(keras.layers.Reshape((64, COLOURS))(x))
    attention = keras.layers.MultiHeadAttention(1, COLOURS, use_bias=False)
    x = keras.layers.Add()([x, attention(x, x)])
    x = keras.layers.LayerNormalization(center=False, scale=False, epsilon=1)(x)
    x = keras.layers.GlobalAveragePooling1D()(x) if pooled else x[:, 0]
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(COLOURS, use_bias=False)(x)))
    model.get_layer("patches").set_weights([np.broadcast_to(np.eye(COLOURS) / 16, (4, 4, 3, COLOURS)), np.full(COLOURS, -0.2)])
    same = np.eye(COLOURS)[:, None]
    attention.set_weights([0 * same, 0 * same, same, same.reshape(1, COLOURS, COLOURS)])  # looks at all tokens alike
    model.layers[-2].set_weights([20 * np.eye(COLOURS)])
    return model


def share_inside(heat, corner):
    """The share of a picture's heat that lies in the quadrant around a blob."""
    top, left = (16 * (place // 16) for place in corner)
    return heat[top : top + 16, left : left + 16].sum() / heat.sum()


def shares(model, method="grad-cam"):
    """Of each picture and class: how much of the heat lies where the class's blob is."""
    pictures, corners = blobs()
    found = []
    for colour in range(COLOURS):
        heat = heat_map(model, pictures, [colour] * len(pictures), method)
        found += [share_inside(one, corner[colour]) for one, corner in zip(heat, corners, strict=True)]
    return np.array(found)


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ({}, "grad-cam"), ({}, "layer-cam"), ({"squeeze": True}, "grad-cam"), ({"branches": 2}, "grad-cam"),
        ({"activation": "sigmoid"}, "grad-cam"), ({"side": 2}, "grad-cam"), ({"activation": "linear"}, "grad-cam"),
    ],
)  # fmt: skip
def test_the_heat_of_a_class_lies_on_its_blob(tensorflow, model, method):
    assert shares(network(**model), method).min() > 0.75  # a quarter by chance


@pytest.mark.parametrize(("model", "method"), [({}, "grad-cam"), ({}, "layer-cam"), ({"first": 5}, "grad-cam"),
                                              ({"first": 0, "pooled": True}, "grad-cam")])  # fmt: skip
def test_tokens_in_a_grid_are_a_map(tensorflow, model, method):
    whole = transformer(**model)
    assert place_of(whole, method).sizes == [[8, 8]]
    assert shares(whole, method).min() > 0.75


@pytest.mark.parametrize("plant", ["other class", "no gradients", "turned around"])
def test_a_broken_map_is_found(tensorflow, monkeypatch, plant):
    true_gradients, true_heat = module._gradients, module._heat

    def gradients(rest, place, maps, classes, output):
        classes = (classes + 1) % COLOURS if plant == "other class" else classes
        maps, found, answer = true_gradients(rest, place, maps, classes, output)
        return maps, [each * 0 + 1 for each in found] if plant == "no gradients" else found, answer

    def heat(*arguments):
        return true_heat(*arguments)[:, ::-1, ::-1] if plant == "turned around" else true_heat(*arguments)

    monkeypatch.setattr(module, "_gradients", gradients)
    monkeypatch.setattr(module, "_heat", heat)
    assert shares(network()).min() < 0.5


def test_without_a_class_the_answer_is_explained(tensorflow):
    model, (pictures, _) = network(), blobs()
    pictures[0, :, :, 2] = 240
    answers = model(pictures, training=False).numpy().argmax(1)
    assert answers[0] == 2
    np.testing.assert_array_equal(heat_map(model, pictures), heat_map(model, pictures, answers))


def test_heat_is_from_0_to_1_and_0_where_nothing_speaks_for_a_class(tensorflow):
    pictures, _ = blobs()
    pictures[0] = 0
    heat = heat_map(network(), pictures)
    assert heat.shape == (12, SIZE, SIZE) and heat.dtype == np.float32
    assert heat[0].max() == 0 and heat[1:].max((1, 2)) == pytest.approx(1) and heat.min() >= 0
    assert heat_map(network(), pictures[:0]).shape == (0, SIZE, SIZE)


def test_many_pictures_are_as_one_at_a_time(tensorflow, monkeypatch):
    pictures, _ = blobs()
    whole = heat_map(network(), (pictures,))
    monkeypatch.setattr(module, "BLOCK", 5)
    np.testing.assert_allclose(heat_map(network(), pictures), whole, atol=1e-6)


def test_a_coarse_last_map_is_left_for_a_finer_one():
    tiny = TinyBackbones().load("tiny").graph
    assert (place_of(tiny).method, place_of(tiny).sizes) == ("grad-cam", [[4, 4]])
    assert place_of(network(2)).sizes == [[4, 4]] and place_of(network(16)).sizes == [[16, 16]]
    finer = place_of(network(8), "layer-cam")
    assert (finer.method, finer.sizes) == ("layer-cam", [[16, 16]])


def test_a_network_without_a_map_is_refused():
    image = keras.Input((SIZE, SIZE, 3))
    opaque = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))))
    with pytest.raises(UserError, match="shows none of its inside"):
        heat_map(opaque, blobs()[0])
    tokens = keras.layers.Reshape((48, 4))(keras.layers.Conv2D(3, 4, strides=4)(image))
    with pytest.raises(UserError, match="cuts it into tokens that are no square grid"):
        heat_map(keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(tokens))), blobs()[0])


def test_what_no_later_layer_takes_is_dropped_on_the_way():
    model = network(side=8, squeeze=True, branches=2)
    maps, values, held = place_of(model).maps, {id(model.inputs[0]): blobs()[0]}, []
    todo = module.needed(module.steps(model), maps)
    for step in module._forgetting(todo, values, maps):
        module.replay([step], values)
        held.append(len(values))
    assert {*values} == {id(each) for each in maps} and max(held) <= 4 < len(todo)
