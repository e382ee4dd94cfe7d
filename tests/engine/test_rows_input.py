"""The engine does not take every input for a picture: rows of numbers, two tensors an example, through all of it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml
from helpers.number_rows import NumberRow, RowBackbones, write_rows
from tlapp_plugins.feature_extract import FeatureExtract
from tlapp_plugins.freeze import Freeze
from tlapp_plugins.partial import Partial

from tlapp.engine.inputs import stated_input
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError
from tlapp.testing import tiny_run

STRATEGIES = {
    "freeze": Freeze(epochs=30, learning_rate=1e-2),
    "partial": Partial(last=1, warmup=5, epochs=15, learning_rate=1e-2),
    "feature-extract": FeatureExtract(classifier="logistic"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.csv", each=24)


def trained(name, data, folder, **options):
    return tiny_run(STRATEGIES[name], data, folder, provider=RowBackbones(), **options)


def weights(run):
    return [variable.numpy() for variable in run.work.model().weights]


def saved(folder):
    return SavedRun(folder, facts=lambda: stated_input(RowBackbones(), "small", None))


@pytest.mark.parametrize("name", [n if n == "partial" else pytest.param(n, marks=pytest.mark.slow) for n in STRATEGIES])
def test_it_trains_alike_with_and_without_the_cache(name, data, tmp_path, tensorflow):
    cached, plain = (trained(name, data, tmp_path / use, cache=use) for use in ("auto", "off"))
    for one, other in zip(weights(cached), weights(plain), strict=True):
        # Not to the bit: on some CPUs a row's place in a matrix product changes its last bits, and the cache's rows have others.
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=5e-3 if name == "feature-extract" else 1e-5)
    metrics = json.loads((tmp_path / "auto" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.5
    # Where the last stage trains, an input crosses the cut beside the activations, in its own type.
    crossing = {tensor.name: tensor.dtype for tensor in cached.work.slots[-1].cut.boundary}
    assert ("int32" in crossing.values()) == (name == "partial")


def test_its_run_folder_and_its_answers(data, tmp_path, tensorflow):
    run = trained("partial", data, tmp_path / "run")
    with open(tmp_path / "run" / "splits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"values", "label", "split"} and len(rows) == 72
    assert "resize" in yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["input"] == "numbers"
    finished = saved(tmp_path / "run")
    assert finished.input == NumberRow()
    assert [tuple(t.dtype for t in finished.model.inputs)] == [("float32", "int32")]
    test = [row for row in rows if row["split"] == "test"]
    answers = finished.predict([row["values"] for row in test])
    share = np.mean([answer.label == row["label"] for answer, row in zip(answers, test, strict=True)])
    assert share == pytest.approx(json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]["accuracy"])
    assert finished.evaluate(str(tmp_path / "run" / "splits.csv"))["accuracy"] == pytest.approx(share)
    assert run.dataset.streams["test"].files == tuple(row["values"] for row in test)


def test_it_resumes(data, tmp_path, tensorflow):
    from tlapp.testing.trial import Interrupter, Trial

    whole = Trial(job(data, tmp_path / "whole"))
    whole.all()
    stopped = Trial(job(data, tmp_path / "run"), listener=Interrupter(whole.work.slots[-1].phase.name))
    with pytest.raises(KeyboardInterrupt):
        stopped.all()
    stopped.work.save_state()
    stopped.release()
    again = Trial(job(data, tmp_path / "run"), resume=True)
    again.all()
    for one, other in zip(weights(again), weights(whole), strict=True):
        np.testing.assert_array_equal(one, other)


def job(data, folder):
    from tlapp.engine.job import Job
    from tlapp.engine.options import RunOptions
    from tlapp.testing import Dense

    options = RunOptions(data=str(data), run=str(folder), batch_size=8)
    settings = options.model_dump(mode="json")
    return Job(options, STRATEGIES["partial"], Dense(), RowBackbones(), "small", settings, (), "strategy partial")


def test_what_is_no_row_is_refused(data, tmp_path, tensorflow):
    bad = tmp_path / "bad.csv"
    bad.write_text(data.read_text() + "0.1 much,rising\n")
    with pytest.raises(UserError, match=r"1 row cannot be read: 0\.1 much: holds what is no number"):
        trained("freeze", bad, tmp_path / "run")
    with pytest.raises(UserError, match=r"expected a \.csv or \.jsonl file of rows"):
        trained("freeze", tmp_path, tmp_path / "run")
    with pytest.raises(UserError, match="expected the columns values,label"):
        (tmp_path / "other.csv").write_text("path,label\na,b\n")
        trained("freeze", tmp_path / "other.csv", tmp_path / "run")


@pytest.mark.parametrize(("option", "value"), [("resize", "crop"), ("augment", "basic")])
def test_what_is_for_pictures_is_refused(option, value, data, tmp_path):
    from dataclasses import replace

    from tlapp.engine.report import Silent
    from tlapp.engine.run import train

    one = job(data, tmp_path / "run")
    options = one.options.model_copy(update={option: value})
    with pytest.raises(UserError, match="has no effect, because its examples are rows; leave it out") as error:
        train(replace(one, options=options, given=(option,)), Silent())
    assert error.value.option == option


def test_an_input_that_fails_is_blamed_and_not_the_strategy(tmp_path, monkeypatch):
    from tlapp import blame
    from tlapp.engine.report import Silent
    from tlapp.engine.run import train
    from tlapp.errors import PluginError

    monkeypatch.setattr(NumberRow, "read", lambda self, source: 1 / 0)
    with pytest.raises(PluginError) as error, blame.naming("strategy partial"):
        train(job(write_rows(tmp_path / "new.csv", seed=77), tmp_path / "run"), Silent())  # not in the cache yet
    assert str(error.value).startswith("NumberRow: read() failed on ")
