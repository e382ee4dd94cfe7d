"""The learning rate that is found: by the shape of losses, for the phase that reads it, and in the settings of the run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.tiny_place import furnish, of

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.report import Silent
from tlapp.engine.training.rate_search import HIGH, LOW, STEPS, smoothed, valley
from tlapp.errors import UserError

RATES = np.geomspace(LOW, HIGH, STEPS)


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    return furnish(tmp_path_factory.mktemp("rates"), each=20)


class Noting(Silent):
    """Keeps notes."""

    def __init__(self):
        self.notes = []

    def note(self, sentence):
        self.notes.append(sentence)


def losses(start, end, noise=0.0):
    """Level, falling between two rates, then rising."""
    way = np.clip(np.log(RATES / start) / np.log(end / start), 0, None)
    curve = np.where(way < 1, 2 - way, 1 + 3 * (way - 1))
    return curve + np.random.default_rng(0).normal(0, noise, STEPS)


@pytest.mark.parametrize(("start", "end"), [(1e-5, 1e-3), (1e-4, 1e-2), (1e-3, 1e-1)])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_middle_of_the_valley_is_found(start, end, noise):
    assert 0.5 < valley(RATES, losses(start, end, noise)) / np.sqrt(start * end) < 2


@pytest.mark.parametrize("losses", [np.linspace(1, 3, STEPS), np.ones(STEPS), np.linspace(3, 2, 5), np.linspace(1, 0.995, STEPS)])
def test_where_nothing_falls_there_is_none(losses):
    assert valley(RATES[: len(losses)], losses) is None


def test_smoothing_keeps_a_line_and_its_place():
    line = np.linspace(3, 1, STEPS)
    assert smoothed(line)[20:-20] == pytest.approx(line[20:-20])
    assert smoothed(np.eye(STEPS)[50]).argmax() == 50


def test_it_is_the_first_phase_that_reads_the_option(place):
    found = tlapp.find_lr(plugin="partial", warmup=1, **of(place))
    assert found["phase"] == "tune"
    assert found["rates"][0] == LOW and len(found["rates"]) == len(found["losses"]) > 10
    assert tlapp.find_lr(plugin="partial", warmup=1, **of(place)) == found


def test_train_finds_it_and_keeps_the_number(place, tmp_path):
    reporter = Noting()
    found = tlapp.find_lr(plugin="freeze", **of(place))
    run = tlapp.train(plugin="freeze", learning_rate="auto", epochs=1, run=str(tmp_path / "run"), reporter=reporter, **of(place))
    assert run.settings["learning_rate"] == found["learning_rate"] != 1e-3
    assert any(f"{found['learning_rate']:g}" in note for note in reporter.notes)


@pytest.mark.parametrize("plugin", ["feature-extract", "auto"])
def test_without_the_option_there_is_nothing_to_find(place, plugin):
    with pytest.raises(UserError, match="has no option learning_rate"):
        tlapp.find_lr(plugin=plugin, **of(place))
    with pytest.raises(UserError, match="no such option"):
        tlapp.train(plugin=plugin, learning_rate="auto", **of(place))


def test_the_command_writes_a_plot(place, tmp_path, capfd):
    words = ["find-lr", "--plugin", "freeze", *(f"--{key.replace('_', '-')}={value}" for key, value in of(place).items())]
    plot = tmp_path / "rates.png"
    assert command([*words, "--output", str(plot), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["learning_rate"] > 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert command([*words, "--output", str(plot)]) == 2
    assert "already exists" in capfd.readouterr().err
    assert command([*words, "--output", str(tmp_path / "rates.gif")]) == 2
    assert ".png" in capfd.readouterr().err
