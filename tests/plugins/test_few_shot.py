"""few-shot: its losses are the papers', and a run tells how well it learns classes that it has not seen."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tlapp_plugins.few_shot import FewShot
from tlapp_plugins.shared.episodes import Learner, Maml, Prototypes, Reptile, prototype_outputs

import tlapp
from tlapp.contracts import Batch, Episodes, Weight
from tlapp.engine.training.episodes import judge, possible
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures

DRAWN = Episodes(way=3, shot=2, query=2)
EACH = DRAWN.shot + DRAWN.query
RATE = 0.3


class LinearNet:
    """Features x @ w, with w the only weight of the network; and the part "start"."""

    def __init__(self, w, start):
        import keras
        import tensorflow as tf

        self.w = tf.Variable(w, dtype="float32")
        self._start = keras.layers.Dense(1, name="start")
        self._start.build((None, w.shape[1]))
        self._start.set_weights([start[:, None], np.zeros(1)])

    def features(self, x, weights=None):
        return x @ (self.w if weights is None else weights["w"])

    def weights(self):
        return (Weight("w", self.w, None),)

    def part(self, name):
        return {"start": self._start}[name]


@pytest.fixture
def episode(tensorflow):
    """Examples, one class after the other, a network and what its classes begin with."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(DRAWN.way * EACH, 4)).astype("float32")
    w, start = rng.normal(size=(4, 5)).astype("float32"), rng.normal(size=5).astype("float32")
    return x, w, start, LinearNet(w, start)


def is_support():
    return np.tile(np.arange(EACH), DRAWN.way) < DRAWN.shot


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss_of(x, hot, w, kernel, bias):
    return -np.mean(np.log((softmax(x @ w @ kernel + bias) * hot).sum(axis=1)))


def descend(x, hot, w, kernel, bias, steps=1):
    """The weights after steps of gradient descent, by hand."""
    for _ in range(steps):
        gap = (softmax(x @ w @ kernel + bias) - hot) / len(x)
        w, kernel, bias = w - RATE * x.T @ gap @ kernel.T, kernel - RATE * (x @ w).T @ gap, bias - RATE * gap.sum(axis=0)
    return w, kernel, bias


def hot(each):
    return np.eye(DRAWN.way)[np.repeat(np.arange(DRAWN.way), each)]


def test_outputs_of_prototypes_are_minus_the_mean_squared_distance_to_the_class_means(episode):
    x = episode[0]
    support, query = x[is_support()], x[~is_support()]
    means = np.stack([support[n * DRAWN.shot : (n + 1) * DRAWN.shot].mean(axis=0) for n in range(DRAWN.way)])
    expected = [[-np.mean((q - mean) ** 2) for mean in means] for q in query]
    np.testing.assert_allclose(np.asarray(prototype_outputs(support, query, DRAWN.way)), expected, atol=1e-6)


def test_the_loss_of_prototypes_is_the_cross_entropy_of_the_queries(episode):
    x, w, _, net = episode
    terms = Prototypes(DRAWN, sharpness=3.0)(net, {"train": Batch(x)})
    f = x @ w
    outputs = 3 * np.asarray(prototype_outputs(f[is_support()], f[~is_support()], DRAWN.way))
    expected = -np.mean(np.log((softmax(outputs) * hot(DRAWN.query)).sum(axis=1)))
    assert float(terms["loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(terms["episode_accuracy"]) == pytest.approx(np.mean(outputs.argmax(1) == hot(DRAWN.query).argmax(1)))


def test_the_inner_loop_is_gradient_descent_on_the_support(episode):
    x, w, start, net = episode
    support = x[is_support()]
    learner = Learner.begin(net, support, DRAWN.way)
    for _ in range(3):
        learner = learner.step(net, support, DRAWN.shot, RATE, True)
    expected = descend(support, hot(DRAWN.shot), w, np.tile(start[:, None], DRAWN.way), np.zeros(DRAWN.way), steps=3)
    for got, wanted in zip(learner.values(), expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), wanted, atol=2e-5)


@pytest.mark.parametrize("first_order", [False, True])
def test_mamls_gradient_goes_through_the_steps_and_its_first_order_form_is_that_at_their_end(first_order, episode):
    import tensorflow as tf

    x, w, start, net = episode
    support, query = x[is_support()], x[~is_support()]
    with tf.GradientTape() as tape:
        terms = Maml(DRAWN, RATE, 2, first_order)(net, {"train": Batch(x)})
    got = np.asarray(tape.gradient(terms["loss"], net.w))
    begin = (np.tile(start[:, None], DRAWN.way).astype(float), np.zeros(DRAWN.way))

    def after(w):
        return descend(support, hot(DRAWN.shot), w, *begin, steps=2)

    def through(w):
        return loss_of(query, hot(DRAWN.query), *after(w))

    ends = after(w.astype(float))

    def at_the_end(w):
        return loss_of(query, hot(DRAWN.query), ends[0] + w, *ends[1:])

    true, shortened = slope(through, w.astype(float)), slope(at_the_end, np.zeros_like(w, float))
    assert float(terms["loss"]) == pytest.approx(through(w), rel=1e-4)
    assert np.abs(true - shortened).max() > 1e-3, "else this test would prove nothing"
    np.testing.assert_allclose(got, shortened if first_order else true, atol=2e-4)


def slope(function, at, gap=1e-5):
    """The gradient by differences."""
    found = np.zeros_like(at)
    for place in np.ndindex(*at.shape):
        step = np.zeros_like(at)
        step[place] = gap
        found[place] = (function(at + step) - function(at - step)) / (2 * gap)
    return found


def test_reptiles_gradient_is_the_way_back_from_where_the_steps_lead(episode):
    import tensorflow as tf

    x, w, start, net = episode
    with tf.GradientTape() as tape:
        terms = Reptile(DRAWN, RATE, 2)(net, {"train": Batch(x)})
        total = sum(terms.values())
    end, *_ = descend(x, hot(EACH), w, np.tile(start[:, None], DRAWN.way), np.zeros(DRAWN.way), steps=2)
    np.testing.assert_allclose(np.asarray(tape.gradient(total, net.w)), w - end, atol=2e-5)


def test_an_episode_is_of_different_classes_one_after_the_other_and_of_different_examples():
    labels = np.repeat(np.arange(7), 6)
    for rows in DRAWN.batches(labels, np.random.default_rng(0), 20):
        by_class = labels[rows].reshape(DRAWN.way, EACH)
        assert (by_class == by_class[:, :1]).all() and len({*by_class[:, 0]}) == DRAWN.way
        assert len({*rows}) == len(rows)
    few = next(DRAWN.batches(np.array([0, 0, 1, 1, 2, 2]), np.random.default_rng(0), 1))
    assert sorted(few) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "classes of two examples repeat both"


def test_episodes_are_as_large_as_the_examples_allow():
    labels = np.repeat([0, 1, 2, 3], [5, 4, 2, 9])
    assert possible(Episodes(20, 2, 15), labels) == Episodes(3, 2, 2)
    assert possible(Episodes(2, 1, 1), labels) == Episodes(2, 1, 1)
    assert possible(Episodes(20, 5, 15), labels) is None, "one class is left"


def test_episodes_are_judged_on_what_was_not_learnt_from():
    labels, seen = np.repeat(np.arange(5), 4), []
    features = np.arange(20.0)[:, None]

    def learn(x, y, classes):
        seen.append({*x[:, 0]})
        answers = {int(each // 4): number for each, number in zip(x[:, 0], y, strict=True)}

        def layer(asked):
            assert not seen[-1] & {*asked[:, 0]}
            return np.eye(classes)[[answers[int(each // 4)] for each in asked[:, 0]]]

        return layer

    result = judge(Episodes(3, 1, 2, 10), learn, features, labels, 0)
    assert (result["accuracy"], result["interval"], len(seen)) == (1.0, [1.0, 1.0], 10)


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """Pictures of three shapes; of two that are called new, some to learn from and others to be judged by; a backbone."""
    folder = tmp_path_factory.mktemp("few-shot")
    pictures(folder / "every", each=20)
    others = pictures(folder / "others", each=12, seed=7)
    for shape in sorted(path.name for path in others.iterdir())[:2]:
        for number, file in enumerate(sorted((others / shape).iterdir())):
            to = folder / ("support" if number < 6 else "query") / f"new {shape}"
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    return folder


def train(place, run, **more):
    return tlapp.train(
        data=str(place / "every"), backbone=f"file:{place}/tiny.keras", image_size=SIZE, plugin="few-shot", run=str(run),
        queries=2, episodes=30, **more,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["prototypes", "fomaml"])
def test_a_run_tells_of_other_classes_what_adapt_then_finds(method, place, tmp_path):
    support, query = str(place / "support"), str(place / "query")
    run = train(place, tmp_path / "run", method=method, epochs=2, last=1, support=support, query=query)
    drawn = run.metrics["episodes"]
    assert (drawn["way"], drawn["shot"], drawn["query"], drawn["number"]) == (2, 1, 2, 30)
    low, high = drawn["interval"]
    assert low < drawn["accuracy"] < high
    assert run.metrics["test"]["accuracy"] > 0.4, "of the classes that it was trained on"
    made = tlapp.adapt(run.folder, support, tmp_path / "made", query=query)
    assert made.metrics["test"]["accuracy"] == pytest.approx(run.metrics["query"]["accuracy"])
    head = (run.folder / "history.csv").read_text().splitlines()[1]
    assert head.startswith("episodes,1,"), "there is no line of the head, which is made at the end"


def test_without_other_classes_nothing_is_said_of_them(place, tmp_path):
    assert not {"episodes", "query"} & {*train(place, tmp_path / "run", method="covariance").metrics}


def test_options_of_other_methods_are_refused(place, tmp_path):
    with pytest.raises(UserError, match="inner_rate"):
        train(place, tmp_path / "run", method="prototypes", inner_rate=0.1)


def test_an_episode_has_no_more_classes_than_there_are():
    from tlapp.contracts import Backbone, ImageInput, Stage, Task

    task = Task(("a", "b", "c"), {"train": 30})
    plan = FewShot().plan(task, Backbone("toy", ImageInput(32), (Stage("one", 1), Stage("two", 1))))
    assert plan.phases[0].sampler.episodes.way == 3
