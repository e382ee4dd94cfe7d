"""compare trains each trial in its own process, once; what fails is told; diff says what differs. Figures are recomputed."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import time
from contextlib import closing

import numpy as np
import pytest
from helpers.tiny_place import furnish, of

import tlapp
from tlapp.cli import plots
from tlapp.cli.main import run as command
from tlapp.engine.advice import comparison
from tlapp.engine.advice.comparison import answers, flipped, measured, paired
from tlapp.engine.data.intervals import difference
from tlapp.engine.report import Silent
from tlapp.engine.runs.folder import HISTORY, RunFolder
from tlapp.errors import UserError
from tlapp.testing import SIZE
from tlapp.trials import compare as trials
from tlapp.trials import trial


class Ended:
    """A process that has ended."""

    def __init__(self, code):
        self.code, self.stdin = code, io.BytesIO()

    def poll(self):
        return self.code


def until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """A comparison of two strategies on one split."""
    return furnish(tmp_path_factory.mktemp("compare"), each=20)


def asked(place, output, *more):
    settings = ["--set", f"backbone=file:{place}/tiny.keras", "--set", f"image_size={SIZE}", "--output", str(output), *more]
    return ["compare", "--data", str(place / "data"), "--plugins", "freeze:epochs=1,feature-extract", "--seeds", "1", *settings]


@pytest.fixture(scope="module")
def output(place):
    assert command(asked(place, place / "out")) == 0
    return place / "out"


def test_the_table_is_of_the_runs_own_files(place, output, capfd):
    assert command(asked(place, output, "--json")) == 0
    report = json.loads(capfd.readouterr().out)
    assert [*report["rows"]] == ["freeze:epochs=1", "feature-extract"] and not report["failed"]
    one, other = (tlapp.load(output / name) for name in ("freeze-epochs-1-0", "feature-extract-0"))
    for run, row in zip((one, other), report["rows"].values(), strict=True):
        assert row["accuracy"] == row["lowest"] == run.metrics["test"]["accuracy"]
        assert not (run.folder / "report.html").exists()
        assert row["accuracy_interval"] == pytest.approx(run.metrics["test"]["accuracy_interval"])
    right = [np.array([row.right for row in answers(run.files).values()]) for run in (one, other)]
    paths = [list(answers(run.files)) for run in (one, other)]
    order = [paths[1].index(path) for path in paths[0]]
    found = report["rows"]["feature-extract"]
    assert found["difference"] == pytest.approx(right[1].mean() - right[0].mean())
    assert found["difference_interval"] == pytest.approx(difference(right[1][order], right[0]))
    assert report["rows"]["freeze:epochs=1"]["difference"] is None


def test_what_is_there_is_not_trained_again_and_what_was_stopped_goes_on(place, output, tmp_path, monkeypatch):
    copy = shutil.copytree(output, tmp_path / "out")
    (copy / "feature-extract-0" / "metrics.json").unlink()
    started, real = [], subprocess.Popen

    def run(words, **how):
        started.append(words[3:])
        return real(words, **how)

    monkeypatch.setattr(trial.subprocess, "Popen", run)
    assert command(asked(place, copy)) == 0
    assert started == [["train", "--resume", str(copy / "feature-extract-0")]]
    assert (copy / "feature-extract-0" / "metrics.json").exists()


def test_a_trial_that_fails_costs_no_other(place, output, tmp_path, monkeypatch, capfd):
    copy = shutil.copytree(output, tmp_path / "out")
    shutil.rmtree(copy / "feature-extract-0")

    def run(words, stdout, **how):
        stdout.write("tlapp: something is wrong\n")
        stdout.flush()
        return Ended(3)

    monkeypatch.setattr(trial.subprocess, "Popen", run)
    assert command(asked(place, copy)) == 0
    out = capfd.readouterr().out
    assert "freeze:epochs=1 | " in out and "feature-extract, seed 0: failed with exit code 3: something is wrong (see " in out
    shutil.rmtree(copy / "freeze-epochs-1-0")
    assert command(asked(place, copy)) == 2
    assert "every trial failed" in capfd.readouterr().err


def test_ctrl_c_in_a_trial_stops_all(place, tmp_path, monkeypatch):
    monkeypatch.setattr(trial.subprocess, "Popen", lambda words, **how: Ended(130))
    kinds = trials.kinds(["freeze", "probe"], [], {"data": str(place / "data")})
    with pytest.raises(KeyboardInterrupt):
        trials.compare(kinds, 1, tmp_path / "out", Silent(), trial.Processes())


@pytest.mark.slow
def test_what_is_under_way_is_stopped_with_its_parent_too_and_can_go_on(place, tmp_path):
    workers = trial.Processes()
    settings = {"plugin": "freeze", "epochs": 2000, "patience": 2000, **of(place)}
    one = trial.Trial("long", settings, tmp_path / "run")
    with closing(workers):
        workers.start(one)
        until(lambda: one.run.has(HISTORY), 60)
        assert [*workers.ended()] == []
    assert not one.done and one.begun() and "resume" in one.log.read_text()
    assert [*workers.ended()] == []
    workers.start(one)
    child = workers._running[one]
    epochs = (one.place / HISTORY).read_text()
    until(lambda: (one.place / HISTORY).read_text() != epochs, 60)
    child.stdin.close()  # as the system does where this process is killed
    assert child.wait(60) == 143 and not one.done and one.begun()


def test_the_phones_columns_and_the_plot(place, output, tmp_path, capfd):
    plot = tmp_path / "plot.png"
    assert command(asked(place, output, "--tflite", "--plot", str(plot), "--json")) == 0
    rows = json.loads(capfd.readouterr().out)["rows"]
    for folder, row in zip(("freeze-epochs-1-0", "feature-extract-0"), rows.values(), strict=True):
        artifact = output / folder / "export" / "tflite" / "model.tflite"
        assert row["tflite_bytes"] == artifact.stat().st_size and row["tflite_ms"] > 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert command(asked(place, output, "--tflite")) == 0
    out = capfd.readouterr().out
    assert "TFLite MB | TFLite ms |" in out and f"| {rows['feature-extract']['tflite_bytes'] / 1e6:.1f} |" in out


def test_the_front_holds_what_none_beats_in_both():
    points = [(3, 0.9), (1, 0.7), (2, 0.6), (2, 0.8), (4, 0.9), (5, 0.95)]
    assert plots.front(points) == [(1, 0.7), (2, 0.8), (3, 0.9), (5, 0.95)]


@pytest.mark.parametrize(("on", "words"), [("slurm", "expected ray"), ("ray:127.0.0.1:1", "cannot be reached")])
def test_a_cluster_that_is_not_there_is_told(place, tmp_path, on, words, capfd):
    assert command(asked(place, tmp_path / "out", "--on", on)) == 2
    assert words in capfd.readouterr().err


@pytest.mark.parametrize(
    ("plugins", "words"),
    [
        ("freeze,nothing", "nothing: no strategy of that name is installed"),
        ("freeze,freeze", "freeze is named twice"),
        ("partial:last=many", "last"),
        (",", "names no strategy"),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_is_trained(place, tmp_path, plugins, words, capfd):
    arguments = ["compare", "--data", str(place / "data"), "--plugins", plugins, "--output", str(tmp_path / "out")]
    assert command(arguments) == 2
    assert words in capfd.readouterr().err and not (tmp_path / "out").exists()
    assert command([*arguments[:-1], str(tmp_path / "out"), "--set", "image_size"]) == 2
    assert "expected KEY=VALUE" in capfd.readouterr().err or plugins == ","


def test_several_seeds_of_one_picture_count_once():
    ours, theirs = [{"a": True, "b": True}, {"a": True, "c": False}], [{"a": False, "b": True}, {"a": True, "c": True}]
    found = paired(ours, theirs)
    assert found["difference"] == pytest.approx(np.mean([0.5, 0, -1]))
    assert found["difference_interval"][0] < found["difference"] < found["difference_interval"][1]


def test_diff_names_settings_and_flips(place, output, capfd):
    one, other = output / "freeze-epochs-1-0", output / "feature-extract-0"
    found = flipped(RunFolder(one), RunFolder(other))
    before, after = answers(RunFolder(one)), answers(RunFolder(other))
    assert found["settings"]["plugin"] == ["freeze", "feature-extract"] and "seed" not in found["settings"]
    assert {name for name, *_ in found["flips"]} == {name for name in before if before[name].predicted != after[name].predicted}
    assert command(["diff", str(one), str(other)]) == 0
    out = capfd.readouterr().out
    assert "plugin: freeze -> feature-extract" in out and f"test: {len(before)} examples in common" in out
    assert command(["diff", str(one), str(place)]) == 2


def test_a_folder_with_trials_of_other_settings_is_refused(place, output, capfd):
    assert command(asked(place, output, "--set", "label_smoothing=0.2")) == 2
    assert "was begun with label_smoothing=0.05, now 0.2; name another folder" in capfd.readouterr().err


def test_what_is_found_later_and_who_wins_a_race_are_no_other_settings(tmp_path):
    for number, (own, written) in enumerate([({"learning_rate": "auto"}, "learning_rate: 0.5\n"), ({"plugin": "auto"}, "")]):
        place = tmp_path / str(number)
        place.mkdir()
        (place / "settings.yaml").write_text(f"plugin: freeze\nreport: 'on'\n{written}")
        trial.Trial("one", {"plugin": "freeze", "report": "off", **own}, place).must_fit()
    with pytest.raises(UserError, match=r"was begun with learning_rate=0\.5, now 0\.001"):
        trial.Trial("one", {"plugin": "freeze"}, tmp_path / "0").must_fit()


def test_what_has_no_accuracy_is_not_compared(place, output):
    copy = trial.Trial("number", {}, output.parent / "number")
    copy.place.mkdir()
    (copy.place / "metrics.json").write_text('{"test": {"r2": 0.5}}')
    assert not measured(copy.run)
    with pytest.raises(UserError, match="has no accuracy of a test"):
        comparison.row({0: copy.run}, {})
