"""Each mistake that a strategy can make ends in one sentence that names its distribution and version, and in exit code 3."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tlapp import registry
from tlapp.cli.main import run
from tlapp.testing import pictures

BROKEN = Path(__file__).parent / "broken"
sys.path.append(str(BROKEN))
from stranger_mistakes import FITS, PLANS, class_name  # noqa: E402

SCALARS = 'its loss must return a dict of scalars, such as {"loss": net.task_loss(batch["train"])}'
SENTENCES = {
    "loss-vector": f"phase head: {SCALARS}; its term mine has the shape (4,): average it over the batch",
    "loss-tensor": f"phase head: {SCALARS}. Received: a tensor of shape ()",
    "loss-none": f"phase head: {SCALARS}. Received: None",
    "loss-empty": f"phase head: {SCALARS}. Received: {{}}",
    "loss-text": f"phase head: {SCALARS}; its term mine is not a number. Received: 'high'",
    "loss-exits": "phase head: its loss failed: SystemExit: go away",
    "loss-part": "there is no part projector; the phase's parts: none",
    "loss-average": "net.average() needs a phase that keeps a moving average: Fit(average=0.99)",
    "loss-weight": "there is no weight top_conv/kernal that trains (did you mean top_conv/kernel?)",
    "loss-inside": "its loss failed: AttributeError: 'LossNet' object has no attribute 'layer'",
    "loss-not": "phase head: loss must be a function, or None. Received: 'crossentropy'",
    "rates-text": "phase head: rates must be a dict of stage to number. Received: {'stem': 'low'",
    "rates-list": "phase head: rates must be a dict of stage to number. Received: [0, 0, 1]",
    "rates-unknown": "phase head: gives a rate for tail, but the stages of tiny:tiny are stem, middle, top",
    "rates-nan": "phase head: the rate of stage top must be a finite number of at least 0. Received: nan",
    "rates-negative": "phase head: the rate of stage top must be a finite number of at least 0. Received: -1.0",
    "epochs-text": "phase head: epochs must be a whole number. Received: 'ten'",
    "epochs-none": "phase head: epochs must be at least 1. Received: 0",
    "epochs-half": "phase head: epochs must be a whole number. Received: 1.5",
    "rate-huge": "phase head: learning_rate must be above 0 and at most 10. Received: 1000000000000.0",
    "rate-negative": "phase head: learning_rate must be above 0 and at most 10. Received: -0.001",
    "rate-text": "phase head: learning_rate must be a number. Received: '1e-3'",
    "name-empty": "name must be a word. Received: ''",
    "name-number": "name must be a word. Received: 1",
    "streams-text": "phase head: streams must be a tuple of names, such as (\"train\",). Received: 'train'",
    "streams-empty": 'phase head: streams must be a tuple of names, such as ("train",). Received: ()',
    "streams-unknown": "phase head: phases train on the streams train, target, aux, support, query. Received: extra",
    "streams-test": "phase head: phases train on the streams train, target, aux, support, query. Received: test",
    "select-unknown": "phase head: select must be one of val, accuracy, last, target, features, or a function. Received: best",
    "batch-norm": "phase head: batch_norm must be one of frozen, affine, update. Received: off",
    "only-nothing": "phase head: `only` lets no variable of its live stages (top) train",
    "only-text": "phase head: only must be a function, or None. Received: 'kernel'",
    "only-raises": "phase head: its only failed: AttributeError",
    "average-one": "phase head: average must be from 0 to below 1. Received: 1.0",
    "decay-text": "phase head: weight_decay must be a number, or None. Received: 'small'",
    "parts-list": "phase head: parts must be a dict of name to function. Received: [",
    "part-nothing": "part mine is not a Keras layer",
    "augment-function": "phase head: augment must be an Augment, or None. Received: <function",
    "augment-shape": "augmentation shake must keep the shape (1, 32, 32, 3). Received: (1, 16, 32, 3)",
    "augment-range": "augmentation shake must keep values from 0 to 255. Received: -1.5 to",
    "augment-nan": "augmentation shake gives values that are not finite numbers",
    "augment-views": "phase head: per_step must be from 1 to views, here 2. Received: 3",
    "augment-stored": "augmentation shake must keep the shape (15, 32, 32, 3). Received: (2, 32, 32, 3)",
    "sampler-range": "phase head: its sampler must yield row numbers from 0 to 14. Received: 0 to 15",
    "sampler-uneven": "phase head: its sampler must yield batches of one length, above 0. Received: lengths 2, 3",
    "sampler-few": "phase head: its sampler must yield 3 batches, one a step. Received: 2",
    "sampler-floats": "phase head: its sampler must yield arrays (batch,) of row numbers. Received: shape (2,), float64",
    "sampler-nothing": "phase head: its sampler must yield arrays (batch,) of row numbers. Received: shape (0,), float64",
    "sampler-class": "phase head: sampler must be an object with batches(), or None. Received: 'balanced'",
    "plan-no-tuple": "plan() must return a Plan with a tuple of at least one phase. Received: Plan(phases=Fit(",
    "plan-list": "plan() must return a Plan with a tuple of at least one phase. Received: Plan(phases=[Fit(",
    "plan-empty": "plan() must return a Plan with a tuple of at least one phase. Received: Plan(phases=()",
    "plan-text": "a plan's phases must each be a Fit or a Statistics or a Solve or a Blend, or a OneOf of them. Received: 'head'",
    "plan-bare": "plan() must return a Plan with a tuple of at least one phase. Received: Fit(",
    "plan-exits": "plan() failed: SystemExit: go away",
    "plan-twice": "phase head occurs 2 times; names of phases must be unique",
    "plan-graft": "its graft must be a function. Received: 'deeper'",
    "graft-own-layer": "its graft adds the layer own of a class of its own, stranger_mistakes.own_layer.<locals>.Own",
    "one-of-phase": "a OneOf must hold a tuple of at least one phase. Received: Fit(",
    "one-of-empty": "a OneOf must hold a tuple of at least one phase. Received: ()",
    "one-of-last": 'a OneOf compares its alternatives, so that its select cannot be "last"',
    "one-of-solve": "phase solve: it fits a new head, which a OneOf cannot undo",
    "solve-live": "phase solve: it solves in closed form, so every rate must be 0",
    "solve-nothing": "phase solve: a solver must return a built Keras layer, or a pair of it and a sentence. Received: None",
    "solver-text": "phase solve: solver must be a function. Received: 'ridge'",
    "statistics-test": "phase statistics: phases train on the streams train, target, aux, support, query. Received: test",
}


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """A distribution with a strategy for each mistake."""
    root = tmp_path_factory.mktemp("site")
    folder = root / "stranger-0.3.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 0.3\n")
    points = [f"{name} = stranger_mistakes:{class_name(name)}" for name in (*FITS, *PLANS)]
    groups = ["[tlapp.strategies]", *points, "partial = stranger_mistakes:Nothing"]
    groups += ["[tlapp.backbones]", "tiny = tlapp.testing:TinyBackbones", "[tlapp.strategy]", "mine = stranger_mistakes:Nothing"]
    (folder / "entry_points.txt").write_text("\n".join(groups) + "\n")
    sys.path.insert(0, str(root))
    registry.installed.cache_clear()
    yield
    sys.path.remove(str(root))
    registry.installed.cache_clear()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("pictures"), each=8)


def test_every_mistake_has_its_sentence():
    assert {*SENTENCES, "loss-user-error"} == {*FITS, *PLANS}


@pytest.mark.parametrize("mistake", SENTENCES)
def test_a_mistake_ends_in_one_sentence(mistake, strangers, data, tmp_path, tensorflow, capfd):
    code, told = trained(mistake, data, tmp_path, capfd)
    assert code == 3 and len(told) == 1, told
    assert SENTENCES[mistake] in told[0]
    assert len(re.findall(r"strategy [\w-]+ of stranger 0\.3:", told[0])) == 1
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_what_a_strategy_says_to_the_user_is_the_user_s(strangers, data, tmp_path, tensorflow, capfd):
    sentence = "tlapp: strategy loss-user-error of stranger 0.3: it wants another target"
    assert trained("loss-user-error", data, tmp_path, capfd) == (2, [sentence])


def trained(mistake, data, folder, capfd):
    """The exit code, and what is told on standard error."""
    config = folder / "run.yaml"
    config.write_text(f"plugin: {mistake}\ndata: {data}\nbackbone: tiny:tiny\nrun: {folder / 'run'}\n")
    batch = [] if mistake.startswith("solve") else ["--batch-size", "4"]
    code = run(["train", "--config", str(config), *batch])
    return code, [line for line in capfd.readouterr().err.splitlines() if line.startswith("tlapp: ")]


def test_a_name_of_tlapp_s_own_stays_its_own(strangers, capfd):
    assert [registry.origin(point).split()[0] for point in registry.installed("strategy")["partial"]] == ["tlapp"]
    assert registry.load("strategy", "partial").__module__ == "tlapp_plugins.partial"
    assert run(["plugins", "list"]) == 0
    told = capfd.readouterr().out
    assert "note: strategy partial of stranger 0.3 is not used: tlapp's own has this name" in told
    group = "the entry points of group tlapp.strategy of stranger 0.3 are not used (did you mean tlapp.strategies?)"
    assert f"note: {group}" in told
    assert run(["plugins", "list", "--json"]) == 0
    assert group in json.loads(capfd.readouterr().out)["unused"]
