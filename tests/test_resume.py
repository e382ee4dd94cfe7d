"""A run that was stopped anywhere ends as one that was not, to the bit."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest

from tlapp.cli.main import run
from tlapp.engine import state
from tlapp.errors import UserError

OPTIONS = ["--image-size", "32", "--batch-size", "4", "--backbone-weights", "none", "--epochs", "6", "--patience", "100"]
PLANS = {
    "partial": ["--plugin", "partial", "--warmup", "6"],
    "gradual": ["--plugin", "gradual", "--warmup", "2", "--last", "2"],
    "mlp": ["--plugin", "freeze", "--head", "mlp"],
}


def command(shapes, folder, name):
    return ["train", *PLANS[name], *OPTIONS, "--data", str(shapes), "--run", str(folder)]


def outcome(folder):
    metrics = json.loads((folder / "metrics.json").read_text())
    with zipfile.ZipFile(folder / "model.keras") as archive:
        weights = archive.read("model.weights.h5")
    return (folder / "history.csv").read_text(), {key: metrics[key] for key in ("val", "test")}, len(weights)


def weights(folder):
    import keras

    return [v.numpy() for v in keras.saving.load_model(folder / "model.keras").weights]


@pytest.fixture(scope="module")
def whole(shapes, tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("whole") / name
            assert run(command(shapes, folder, name)) == 0
            made[name] = folder
        return made[name]

    return get


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("partial", 3),
        ("partial", 37),
        ("mlp", 11),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("partial", 62), ("gradual", 60))),
    ],
)
def test_stopped_at_any_block_and_resumed(name, at, whole, shapes, tmp_path, monkeypatch, capfd):
    """Blocks of one step, so that `at` counts steps and ends of epochs."""
    from tlapp.engine import trainer
    from tlapp.engine.phases import Phases

    monkeypatch.setattr(trainer, "BLOCK_BYTES", 1)
    expected = whole(name)
    before, count = Phases.save_state, [0]

    def interrupt(self, *arguments):
        count[0] += 1
        if count[0] == at:
            raise KeyboardInterrupt
        before(self)

    monkeypatch.setattr("tlapp.engine.phases.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(Phases, "save_state", interrupt)
    folder = tmp_path / "run"
    assert run(command(shapes, folder, name)) == 130
    assert f"tlapp train --resume {folder}" in capfd.readouterr().err
    monkeypatch.setattr(Phases, "save_state", before)
    assert run(["train", "--resume", str(folder)]) == 0
    assert outcome(folder) == outcome(expected)
    for one, other in zip(weights(folder), weights(expected), strict=True):
        assert np.array_equal(one, other)


def test_terminated_by_the_system(shapes, tmp_path):
    arguments = [*command(shapes, tmp_path / "run", "mlp"), "--epochs", "100000"]
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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_outright(number, shapes, tmp_path):
    """Another process says what to do, and ends with it."""
    arguments = [*command(shapes, tmp_path / "run", "mlp"), "--epochs", "100000"]
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


def test_the_witness_is_silent_otherwise(capfd):
    from tlapp.cli.witness import witness

    with witness("gone") as add:
        add(" and away")
    with contextlib.suppress(KeyboardInterrupt), witness("gone"):
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""


def test_no_witness_where_no_process_can_be_had(monkeypatch):
    from tlapp.cli import witness

    def refuse(*arguments, **options):
        raise OSError

    monkeypatch.setattr(witness.subprocess, "Popen", refuse)
    with witness.witness("gone") as add:
        add("on")


def test_what_cannot_be_resumed(whole, tmp_path, capfd):
    for arguments, fragment in (
        ([str(whole("mlp"))], "is finished"),
        ([str(tmp_path)], "is no run"),
        ([str(whole("mlp")), "--epochs", "3"], "leave --epochs out"),
    ):
        assert run(["train", "--resume", *arguments]) == 2
        assert fragment in capfd.readouterr().err


def test_a_damaged_checkpoint_is_named(tmp_path):
    arrays = [np.arange(6.0).reshape(2, 3)]
    given = state.State(1, 2, 3, {"loss": 0.5}, (0.25, 2), [["a", 1, {}, {}, True]], arrays, arrays, b"head")
    path = tmp_path / "state.npz"
    state.write(path, given)
    found = state.read(path)
    assert found._replace(variables=[], kept=[]) == given._replace(variables=[], kept=[])
    assert np.array_equal(found.variables[0], arrays[0]) and list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged"):
        state.read(path)
    assert state.read(tmp_path / "none.npz") is None
