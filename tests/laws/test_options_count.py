"""Law: an option changes the plan wherever its condition says that it counts, and nowhere else."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from helpers.teachers import untrained
from pydantic import ValidationError

from tlapp import registry
from tlapp.contracts import UserError
from tlapp.contracts.options import condition_of
from tlapp.errors import each_of
from tlapp.settings import is_changed, resolve
from tlapp.testing.anatomy import STAGES, TASK, backbone
from tlapp.testing.same import difference

TRIED = (None, 0, 1, 2, 3, 0.25, 0.5, (0.5,), (0.5, 2.0), (4,), (4, 2))
OTHERS: dict[str, list[str]] = {
    "stages": [("stage1",)],
    "time": ["5m"],
    "backbones": ["a,b"],
}
"""Name of an option -> what to try instead."""
OUTPUTS = np.array([[0.2, 3.0, -1.0], [-4.0, 0.5, 2.0], [9.0, 1.0, 1.0]], np.float32)
"""Outputs of a head for three pictures."""
LABELS = {
    "one": np.eye(3, dtype=np.float32),
    "many": np.float32([[1, 1, 0], [0, 0, 0], [1, 0, 1]]),
    "number": np.zeros((3, 1), np.float32),
}
"""Labels of these pictures, by the kind that the head takes."""
SAMPLES = 20
"""Random settings of all options, beside those of one."""
STRATEGIES = sorted(registry.installed("strategy"))
LONG = ("mlp", "multilabel", "regression")
"""Heads with so many settings that trying them takes long."""
HEADS = sorted(registry.installed("head"))


def values_of(plugin, name):
    """A few values that an option takes, its default among them."""
    found = {}
    tried = OTHERS.get(name, TRIED)
    for value in (plugin.model_fields[name].default, *literals(plugin.model_fields[name].annotation), *tried):
        try:
            found[repr(getattr(plugin(**{name: value}), name))] = value
        except ValidationError:
            continue
    return list(found.values())


def literals(annotation):
    parts = get_args(annotation)
    return [each for part in parts for each in (literals(part) or ([part] if isinstance(part, str) else []))]


def settings_of(plugin):
    """Settings to see each option in: one other option at a value, then all of them at random ones."""
    values = {name: values_of(plugin, name) for name in plugin.model_fields}
    yield {}
    yield from ({name: value} for name, several in values.items() for value in several)
    draw = random.Random(0)
    for _ in range(SAMPLES):
        yield {name: draw.choice(values[name]) for name in values}


def outcomes(plugin, settings):
    """The plan, and the race, for each made-up backbone, or the sentence that refuses it."""
    strategy, results = plugin(**settings), []
    for facts in map(backbone, STAGES):
        try:
            results.append((strategy.plan(TASK, facts), strategy.rungs(), strategy.seconds))
        except UserError as error:
            results.append(str(error))
    return results


def builds(plugin, settings):
    import keras

    keras.backend.clear_session()
    head = plugin(**settings)
    labels = LABELS[plugin.labels]
    losses = head.loss(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(OUTPUTS[:, : labels.shape[1]]))
    outputs = OUTPUTS[:, : labels.shape[1]]
    chosen = head.thresholds(1 / (1 + np.exp(-outputs)), labels > 0) if plugin.labels == "many" else None
    thresholds = "none" if chosen is None else [float(each) for each in chosen]
    return [named_alike(head.build(keras.Input((8,)), TASK).get_config()), [float(each) for each in losses], thresholds]


def named_alike(config):
    """A layer's configuration without what Keras numbers."""
    if isinstance(config, dict):
        return {key: named_alike(value) for key, value in config.items() if key not in ("name", "shared_object_id")}
    return [named_alike(each) for each in config] if isinstance(config, (list, tuple)) else config


def check(plugin, name, settings, outcomes):
    """Whether an option changes anything in a setting of others, held against its condition; None where all is refused."""
    others = {key: value for key, value in settings.items() if key != name}
    results = [outcomes(plugin, {**others, name: value}) for value in values_of(plugin, name)]
    if all(isinstance(each, str) for result in results for each in result):
        return None
    changes = any(difference(results[0], other) for other in results[1:])
    condition = condition_of(plugin.model_fields[name])
    counts = condition is None or condition.holds(plugin(**others))
    assert changes == counts, f"{name} with {others}: {'changes' if changes else 'does not change'} the plan"
    return changes


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """Two runs that can teach."""
    folder = tmp_path_factory.mktemp("teachers")
    for name in "ab":
        (untrained(folder / name, TASK.classes) / "model.keras").write_bytes(name.encode())
    return [str(folder / name) for name in "ab"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_option_of_a_strategy_changes_the_plan_exactly_where_it_counts(strategy, teachers, tmp_path, monkeypatch):
    plugin = registry.load("strategy", strategy)
    if "hold_out" in plugin.model_fields:  # a share of three classes would be none
        monkeypatch.setitem(globals(), "TASK", replace(TASK, classes=tuple(map(str, range(40)))))
    if "teacher" in plugin.model_fields:  # an option that has no value of its own
        monkeypatch.setattr(plugin.model_fields["teacher"], "default", teachers[0])
        plugin.model_rebuild(force=True)
        monkeypatch.setitem(OTHERS, "teacher", teachers[1:])
    if "earlier" in plugin.model_fields:
        run = untrained(tmp_path / "earlier", TASK.classes)
        (run / "settings.yaml").write_text(f"plugin: {strategy}\nbackbone: {backbone(STAGES[-1]).name}\nlast: 3\n")
        monkeypatch.setitem(OTHERS, "earlier", [str(run)])
    settings = list(settings_of(plugin))
    for name in plugin.model_fields:
        assert any([check(plugin, name, each, outcomes) for each in settings]), f"{name} never changes the plan"


@pytest.mark.parametrize("head", [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in HEADS])
def test_an_option_of_a_head_changes_its_layer_or_loss_exactly_where_it_counts(head, tensorflow):
    plugin = registry.load("head", head)
    for name in plugin.model_fields:
        settings = ({other: value} for other in plugin.model_fields if other != name for value in values_of(plugin, other))
        assert any([check(plugin, name, each, builds) for each in ({}, *settings)]), f"{name} never changes the layer or the loss"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_option_that_does_not_count_is_refused(strategy):
    plugin = registry.load("strategy", strategy)
    conditions = {name: condition for name, field in plugin.model_fields.items() if (condition := condition_of(field))}
    assert not any(name in condition.names() for name, condition in conditions.items())
    values = {name: values_of(plugin, name) for name in conditions}
    pairs = [{**others, name: value} for others in settings_of(plugin) for name in conditions for value in values[name]]
    for settings in random.Random(0).sample(pairs, min(len(pairs), 150)):
        options = plugin(**settings)
        dead = [name for name, each in conditions.items() if not each.holds(options) and is_changed(options, name)]
        refused_as(dead, {"plugin": strategy, **settings})


def refused_as(dead, settings):
    if not dead:
        resolve(settings)
        return
    with pytest.raises(UserError, match="counts only when option") as error:
        resolve(settings)
    assert {each.option for each in each_of(error.value)} == set(dead)
