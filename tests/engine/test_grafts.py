"""Rates of their own for what was grafted and the head, solvers behind grafts, and plans that finish their model."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.image_sets import two_classes

from tlapp.contracts import Backbone, Fit, ImageInput, LoadedBackbone, Plan, PluginError, Solve, Stage, Strategy
from tlapp.contracts.graph import after, rebuild, steps
from tlapp.engine.network.graft import check_graft
from tlapp.testing import tiny_run


class Grafted(Strategy):
    """Train behind the first stage, at the rates given; `finish` is None or what changes the model."""

    contract = "1.2"
    head: float = 1.0
    graft: float = 1.0
    solve: bool = False
    finish: str = ""

    def plan(self, task, backbone):
        frozen = backbone.frozen()
        fit = Fit(
            name="fit", rates=frozen, epochs=2, learning_rate=1e-2, head_rate=self.head, graft_rate=self.graft, select="last"
        )
        solve = Solve(name="solve", rates=frozen, solver=ones)
        name = backbone.stages[0].name
        finish = FINISHES.get(self.finish)
        return Plan((fit, solve) if self.solve else (fit,), graft=lambda loaded: after(loaded, {name: behind}), finish=finish)


def behind(x):
    import keras

    return x + keras.layers.Conv2D(x.shape[-1], 1, kernel_initializer="zeros", name="grafted")(x)


def ones(features, labels, classes):
    """A layer that tells how many features a solver got."""
    import keras

    layer = keras.layers.Dense(classes, name=f"of_{features.shape[1]}", kernel_initializer="ones")
    layer.build((None, features.shape[1]))
    return layer, f"{features.ndim} dimensions"


def renamed(model):
    """The same answers by other operations."""
    import keras

    def call(step, values):
        return [each * 1.0 for each in step.call(values)] if step.operation.name == "probabilities" else step.call(values)

    return keras.Model(model.inputs, rebuild(model, call, model.inputs).outputs[0], name="finished")


def halved(model):
    import keras

    return keras.Model(model.inputs, model.outputs[0] * 0.5)


def cut_short(model):
    import keras

    return keras.Model(model.inputs, model.outputs[0][:, :1])


def of_another_input(model):
    import keras

    image = keras.Input(model.inputs[0].shape[1:], name="photo")
    return keras.Model(image, model(image))


FINISHES = {
    "renamed": renamed, "halved": halved, "cut_short": cut_short, "of_another_input": of_another_input, "nothing": lambda _: None,
}  # fmt: skip


def kernels(run):
    """The grafted layer's and the head's."""
    return np.array(run.work.graph.get_layer("grafted").kernel), np.array(run.work.layer.kernel)


@pytest.fixture(scope="module")
def start(shapes, tmp_path_factory, tensorflow):
    """The head's kernel before anything trains: what is left where its rate is 0."""
    return kernels(tiny_run(Grafted(head=0.0), shapes, tmp_path_factory.mktemp("start") / "run"))


def test_a_rate_of_zero_freezes_the_head_or_what_was_grafted(shapes, tmp_path, start):
    grafted, head = start
    assert grafted.any()
    run = tiny_run(Grafted(graft=0.0), shapes, tmp_path / "run")
    assert not kernels(run)[0].any() and not np.array_equal(kernels(run)[1], head)
    # What is frozen is computed once: the cut is behind it, where the head begins.
    assert [len(tensor.shape) for tensor in run.work.slots[0].cut.boundary] == [2]


def test_a_rate_is_a_factor_of_the_learning_rate(shapes, tmp_path, start):
    run = tiny_run(Grafted(head=0.01), shapes, tmp_path / "slow")
    slow = np.abs(kernels(run)[1] - start[1]).max()
    fast = np.abs(kernels(tiny_run(Grafted(), shapes, tmp_path / "fast"))[1] - start[1]).max()
    assert 0 < slow < 0.05 * fast


def test_the_outline_tells_of_what_was_grafted(shapes, tmp_path, tensorflow):
    said = {
        (1.0, 1.0): "what was grafted and the head train (",
        (0.0, 1.0): "what was grafted trains (",
        (0.1, 0.0): "the head trains, at most",
        (1.0, 0.5): "what was grafted x0.5 and the head train (",
    }
    for (head, graft), words in said.items():
        run = tiny_run(Grafted(head=head, graft=graft), shapes, tmp_path / f"{head}-{graft}")
        assert run.outline.phases[0].does.startswith(words)


def test_operations_of_the_backbone_that_are_no_layers_stay_its_own(tensorflow):
    """Such as x + y, which Keras names itself."""
    import keras

    image = keras.Input((8, 8, 3), name="image")
    first = keras.layers.Conv2D(4, 1, name="first")(image)
    x = first + keras.layers.Conv2D(4, 1, name="second")(first)
    graph = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x))
    stage_of = {step.operation.name: "stem" if step.operation.name == "first" else "top" for step in steps(graph)}
    assert len(stage_of) > len(graph.layers) - 1  # the sum is no layer
    facts = Backbone("x:y", ImageInput(8), (Stage("stem", 16, (8, 8, 4), ("first",)), Stage("top", 20, (4,), ("second",))))
    loaded = LoadedBackbone(facts, graph, stage_of)
    check_graft(after(loaded, {"stem": behind}), loaded)


def test_a_solver_gets_the_features_of_a_network_with_trained_grafts(shapes, tmp_path, tensorflow):
    run = tiny_run(Grafted(solve=True), shapes, tmp_path / "run")
    assert run.work.layer.name == f"of_{run.work.graph.outputs[0].shape[-1]}"


def test_nothing_that_trains_is_told(shapes, tmp_path, tensorflow):
    with pytest.raises(PluginError, match="phase fit: nothing trains: its stages, its head and what was grafted are frozen"):
        tiny_run(Grafted(head=0.0, graft=0.0), shapes, tmp_path / "run")
    with pytest.raises(PluginError, match=r"phase fit: head_rate must be at least 0\. Received: -1\.0"):
        tiny_run(Grafted(head=-1.0), shapes, tmp_path / "run")


class Still(Strategy):
    """Freeze all there is, without a graft."""

    contract = "1.2"

    def plan(self, task, backbone):
        return Plan((Fit(name="fit", rates=backbone.frozen(), epochs=1, learning_rate=1e-2, head_rate=0),))


def test_nothing_that_trains_is_told_where_nothing_was_grafted(shapes, tmp_path, tensorflow):
    with pytest.raises(PluginError, match="phase fit: nothing trains"):
        tiny_run(Still(), shapes, tmp_path / "run")


def test_the_finished_model_is_the_one_that_is_saved(shapes, tmp_path, tensorflow):
    run = tiny_run(Grafted(finish="renamed"), shapes, tmp_path / "run")
    run.finish()
    from tlapp.engine.runs.saved import SavedRun

    saved = SavedRun(tmp_path / "run").model
    assert saved.name == "finished" and run.work.model().name != "finished"
    batch = run.dataset.streams["test"].examples.take(range(4))[0]
    np.testing.assert_allclose(np.array(saved([batch])), np.array(run.work.model()([batch])), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("halved", "its finish must leave the answers as they are, but they differ by up to 0."),
        ("cut_short", r"its finish must keep the shape of the answers, \(\d+, 3\)\. Received: \(\d+, 1\)"),
        ("of_another_input", r"its finish must keep the inputs \[\('image', .*Received: \[\('photo'"),
        ("nothing", "its finish must return a functional keras.Model. Received: NoneType"),
    ],
)
def test_a_model_that_finish_spoils_is_refused_before_training(name, sentence, shapes, tmp_path, tensorflow):
    with pytest.raises(PluginError, match=sentence):
        tiny_run(Grafted(finish=name), shapes, tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Counting(Strategy):
    """Leave a random layer behind the first stage as it is; remember for how many training pictures plans were made."""

    contract = "1.2"
    graft: float = 0.0

    def plan(self, task, backbone):
        ASKED.append(task.streams["train"])
        name = backbone.stages[0].name
        fit = Fit(name="fit", rates=backbone.frozen(), epochs=1, learning_rate=1e-2, graft_rate=self.graft)
        return Plan((fit,), graft=lambda loaded: after(loaded, {name: randomly}))


ASKED: list[int] = []


def randomly(x):
    import keras

    return keras.layers.Conv2D(x.shape[-1], 1, name="grafted")(x)


def test_a_graft_draws_the_same_where_reading_changes_the_plan(tmp_path, tensorflow):
    drawn = []
    for name in ("whole", "damaged"):
        data = two_classes(tmp_path / name, 12)
        if name == "damaged":
            (data / "cats" / "z.png").write_bytes(b"no picture")
        ASKED.clear()
        run = tiny_run(Counting(), data, tmp_path / f"run-{name}", on_bad="skip")
        assert len(ASKED) == 1 + (name == "damaged")
        drawn.append(run.graph.get_layer("grafted").get_weights()[0])
    assert drawn[0].std() > 0
    np.testing.assert_array_equal(*drawn)
