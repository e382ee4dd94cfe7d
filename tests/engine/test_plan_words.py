"""What a plan says of a phase is true, and said once: on the screen, in plan.json and in the model card."""

from __future__ import annotations

import json

import pytest

from tlapp import registry
from tlapp.cli.screen import outline_lines
from tlapp.contracts import Fit, OneOf, Plan, Solve, Statistics, Strategy
from tlapp.engine.outline import phase_words, plan_lines
from tlapp.testing import pictures, tiny_run
from tlapp.testing.anatomy import TASK, backbone

RATES = {"stage1": 0.0, "stage2": 0.5, "stage3": 1.0}
FROZEN = dict.fromkeys(RATES, 0.0)


def loss(net, batches):
    return {}


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Fit(name="a", rates=FROZEN, epochs=3, learning_rate=0.1), "the head trains, at most 3 epochs at 0.1"),
        (
            Fit(name="a", rates=RATES, epochs=3, learning_rate=0.1),
            "stage2 x0.5, stage3 and the head train, at most 3 epochs at 0.1",
        ),
        (
            Fit(name="a", rates=RATES, epochs=3, learning_rate=0.1, streams=("target",), loss=loss, parts={"project": list}),
            "stage2 x0.5, stage3 train, at most 3 epochs at 0.1, its own loss, parts project, on target",
        ),
        (
            Fit(name="a", rates=FROZEN, epochs=3, learning_rate=0.1, streams=("target",), loss=loss, parts={"project": list}),
            "the part project trains, at most 3 epochs at 0.1, its own loss, parts project, on target",
        ),
        (Statistics(name="a", rates=FROZEN), "nothing trains; batch-norm statistics are recomputed from train"),
        (
            Statistics(name="a", rates=RATES, streams=("target",)),
            "nothing trains; batch-norm statistics of stage2 x0.5, stage3 are recomputed from target",
        ),
        (Solve(name="a", rates=FROZEN, solver=loss), "the head is fitted in closed form"),
    ],
)
def test_a_phase_in_words(phase, words):
    assert phase_words(phase) == words


def test_alternatives_stand_under_a_line_of_their_own():
    fits = [Fit(name=name, rates=FROZEN, epochs=1, learning_rate=0.1) for name in "abc"]
    lines = list(plan_lines(Plan((fits[0], OneOf(phases=(fits[1], fits[2])))), backbone(3)))
    assert [line.split(":")[0] for line in lines[1:]] == ["  a", "  alternatives; the best one is kept", "    b", "    c"]


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    return pictures(folder / "source", each=10), pictures(folder / "target", each=8, seed=9)


def test_the_screen_the_plan_and_the_card_say_the_same(domains, tmp_path, tensorflow):
    from tlapp.engine.export.card import _training
    from tlapp.engine.runs.saved import SavedRun

    strategy = registry.load("strategy", "adversarial")(method="adabn", warmup=1, source_epochs=1, views=2)
    run = tiny_run(strategy, domains[0], tmp_path / "run", target=str(domains[1]))
    phases = json.loads((tmp_path / "run" / "plan.json").read_text())["phases"]
    sentences = {phase["name"]: phase["does"] for phase in phases}
    assert sentences["adabn"] == "nothing trains; batch-norm statistics of stem, middle, top are recomputed from target"
    assert sentences["target-statistics"] == "nothing trains; batch-norm statistics are recomputed from target"
    assert [phase["trains"] for phase in phases if phase["kind"] == "statistics"] == [0] * 5
    shown = "\n".join(outline_lines(run.outline))
    card = "\n".join(_training(SavedRun(tmp_path / "run", run.job.provider.custom_layers)))
    for name, sentence in sentences.items():
        assert f"{name}: {sentence}" in shown and f"- phase {name}: {sentence}" in card


def test_what_trains_is_counted_variable_by_variable(shapes, tmp_path, tensorflow):
    run = tiny_run(registry.load("strategy", "partial")(last=1, epochs=1, warmup=0), shapes, tmp_path / "run")
    (phase,) = run.outline.phases
    kernel = run.backbone.graph.get_layer("top_conv").kernel
    assert phase.trains == kernel.shape.num_elements()  # its batch norm is frozen
    assert f"({phase.trains:,} of {run.outline.params:,} parameters)" in phase.does


class Looks(Strategy):
    """One statistics phase, then the head."""

    def plan(self, task, backbone):
        rates = backbone.frozen()
        return Plan((Statistics(name="look", rates=rates), Fit(name="head", rates=rates, epochs=1, learning_rate=0.1)))


def test_plan_lines_need_nothing_loaded():
    assert "nothing trains" in "\n".join(plan_lines(Looks().plan(TASK, backbone(3)), backbone(3)))
