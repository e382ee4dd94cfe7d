"""Interrupted, terminated or killed: the command line says how to go on, and going on works."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import zipfile

import pytest

from tlapp.cli.main import run
from tlapp.engine.runs import record
from tlapp.engine.runs.record import Record
from tlapp.errors import UserError

OPTIONS = ["--image-size", "32", "--batch-size", "4", "--epochs", "6", "--patience", "100"]


PLANS = {
    "mlp": ["--plugin", "freeze", "--head", "mlp"],
}


@pytest.fixture(scope="module")
def command(shapes, tiny_network):
    """The words that train by a plan into a folder."""

    def words(folder, name):
        return ["train", *PLANS[name], *OPTIONS, "--data", str(shapes), "--backbone", tiny_network, "--run", str(folder)]

    return words


def outcome(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    with zipfile.ZipFile(folder / "model.keras") as archive:
        weights = archive.read("model.weights.h5")
    return (folder / "history.csv").read_text(), {key: metrics[key] for key in ("val", "test")}, len(weights)


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("whole") / name
            assert run(command(folder, name)) == 0
            made[name] = folder
        return made[name]

    return get


def test_an_interrupted_run_says_how_to_go_on(whole, command, tmp_path, monkeypatch, capfd):
    from tlapp.engine.training.session import Session

    folder, save_state, count = tmp_path / "run", Session.save_state, [0]

    def interrupt(self):
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt
        save_state(self)

    monkeypatch.setattr("tlapp.engine.training.session.CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Session, "save_state", interrupt)
        assert run(command(folder, "mlp")) == 130
    assert f"tlapp train --resume {folder}" in capfd.readouterr().err
    assert run(["train", "--resume", str(folder)]) == 0
    assert outcome(folder) == outcome(whole("mlp"))
    assert not (folder / "checkpoints").exists(), "only resuming needs them"


def test_terminated_by_the_system(command, tmp_path):
    arguments = [*command(tmp_path / "run", "mlp"), "--epochs", "100000"]
    with subprocess.Popen([sys.executable, "-m", "tlapp", *arguments], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "head 2:" in line:
                process.send_signal(signal.SIGTERM)
                break
        late = threading.Timer(60, process.kill)
        late.start()
        said = process.stderr.read()
        assert process.wait() == 143, said
        late.cancel()
    assert "--resume" in said
    assert (tmp_path / "run" / "checkpoints" / "state.npz").is_file()


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSEGV, marks=pytest.mark.slow)])
def test_killed_outright(number, command, tmp_path):
    """Another process says what to do, and ends with it."""
    arguments = [*command(tmp_path / "run", "mlp"), "--epochs", "100000"]
    with subprocess.Popen([sys.executable, "-m", "tlapp", *arguments], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "head 1:" in line:
                process.send_signal(number)
                break
        late = threading.Timer(60, process.kill)
        late.start()
        said = process.stderr.read()
        assert process.wait() == -number, said
        late.cancel()
    last = said.splitlines()[-1]
    assert last.startswith("tlapp: was killed or crashed") and "--batch-size (now 4)" in last and "--image-size (now 32)" in last
    assert last.endswith(f"tlapp train --resume {tmp_path / 'run'}")


@pytest.mark.slow
def test_interrupted_while_its_result_is_written(whole, command, tmp_path, monkeypatch, capfd):
    def interrupt(self, metrics):
        raise KeyboardInterrupt

    folder = tmp_path / "it's a run"
    with monkeypatch.context() as patch:
        patch.setattr(Record, "finish", interrupt)
        assert run(command(folder, "mlp")) == 130
    words = shlex.split(capfd.readouterr().err.partition("to resume it: tlapp ")[2])
    assert words == ["train", "--resume", str(folder)]
    assert run(words) == 0
    assert outcome(folder) == outcome(whole("mlp"))


def test_a_finished_run_has_its_whole_history(whole, command, tmp_path, monkeypatch):
    """Whatever became of the lines that were added, as when power is lost after the end."""
    monkeypatch.setattr(Record, "epoch", lambda self, epoch: None)
    assert run(command(tmp_path / "run", "mlp")) == 0
    assert outcome(tmp_path / "run") == outcome(whole("mlp"))


def test_a_screen_that_goes_away_does_not_end_the_run(command, tmp_path, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as gone, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", gone)
        assert run(command(tmp_path / "run", "mlp")) == 0
    assert (tmp_path / "run" / "metrics.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no such shell")
def test_a_run_without_standard_files(command, tmp_path):
    words = [sys.executable, "-m", "tlapp", *command(tmp_path / "run", "mlp")]
    done = subprocess.run(["sh", "-c", f"exec {shlex.join(words)} <&- >&- 2>&-"], check=False, timeout=120)
    assert done.returncode == 0 and (tmp_path / "run" / "metrics.json").is_file()


def test_runs_that_begin_at_once_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "ROOT", tmp_path / "saved")
    monkeypatch.setattr(record.time, "strftime", lambda form: "now")
    several = [Record(None, "freeze") for _ in range(3)]  # each still loads when the next one starts
    for each in several:
        each.begin({}, {}, (), ())
    assert [each.folder.name for each in several] == ["freeze-now", "freeze-now-2", "freeze-now-3"]
    assert all(each.state.parents[1] == each.folder for each in several)
    both = [Record(str(tmp_path / "named"), "freeze") for _ in range(2)]
    both[0].begin({}, {}, (), ())
    with pytest.raises(UserError, match="another process trains this run now"):
        both[1].begin({}, {}, (), ())
    both[0].release()
    with pytest.raises(UserError, match="already exists"):
        both[1].begin({}, {}, (), ())


def test_what_cannot_be_resumed(whole, tmp_path, capfd):
    for arguments, fragment in (
        ([str(whole("mlp"))], "is finished"),
        ([str(tmp_path)], "is not a run"),
        ([str(whole("mlp")), "--epochs", "3"], "leave --epochs out"),
    ):
        assert run(["train", "--resume", *arguments]) == 2
        assert fragment in capfd.readouterr().err


def test_before_an_epoch_there_is_no_best_model_to_tell_of(command, shapes, tmp_path, monkeypatch, capfd):
    from tlapp.engine.training.phases import Phases

    def interrupt(self):
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Phases, "carry_out", interrupt)
        assert run(command(folder, "mlp")) == 130
    told = capfd.readouterr().err
    assert f"tlapp: interrupted; to resume it: tlapp train --resume {folder}" in told and "best model" not in told
    assert not list(folder.rglob("interrupted.keras"))
    assert run(["predict", str(folder), str(shapes), "--unfinished"]) == 2
    assert f"tlapp train --resume {folder}" in capfd.readouterr().err
