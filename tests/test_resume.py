"""A run that was stopped anywhere ends as one that was not, to the bit."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest

from tlapp.cli.main import run
from tlapp.engine.runs import checkpoint, record
from tlapp.engine.runs.record import Record
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
    from tlapp.engine.training import steps
    from tlapp.engine.training.phases import Phases

    monkeypatch.setattr(steps, "BLOCK_BYTES", 1)
    expected = whole(name)
    before, count = Phases.save_state, [0]

    def interrupt(self, *arguments):
        count[0] += 1
        if count[0] == at:
            raise KeyboardInterrupt
        before(self)

    monkeypatch.setattr("tlapp.engine.training.phases.CHECKPOINT_SECONDS", 0.0)
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
    from tlapp.cli.watchdog import witness

    with witness("gone") as add:
        add(" and away")
    with contextlib.suppress(KeyboardInterrupt), witness("gone"):
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""


FIRST = """
import contextlib
from tlapp.cli import watchdog
def interrupt(words):
    raise KeyboardInterrupt
watchdog.printable = interrupt
with contextlib.suppress(KeyboardInterrupt), watchdog.witness("gone"):
    pass
"""


def test_a_witness_is_silent_where_an_interrupt_comes_before_its_words():
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("place", ["", None])
def test_no_witness_where_no_process_can_be_had(place, monkeypatch, capfd):
    from tlapp.cli import watchdog

    monkeypatch.setattr(sys, "executable", place)
    with watchdog.witness("gone") as add:
        add("on")
    assert capfd.readouterr().err == ""


DIES = r"""
import os, signal, subprocess
from tlapp.cli.watchdog import witness
with witness("gone, caf\u00e9 \udcff\x1b") as add:
    add("; and away")
    {}
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "en_US.ISO-8859-1"])
def test_the_witness_says_the_same_in_every_language(locale):
    done = subprocess.run(
        [sys.executable, "-c", DIES.format("")],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "LC_ALL": locale},
    )
    assert done.returncode == -signal.SIGKILL and done.stdout == b""
    assert done.stderr.decode() == "gone, café \\udcff\\x1b; and away\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_witness_does_not_heed_an_interrupt():
    found = "int(open(f'/proc/self/task/{os.getpid()}/children').read())"
    act = f"import time; time.sleep(0.5); os.kill({found}, signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", DIES.format(act)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL and done.stderr.startswith("gone") and len(done.stderr.splitlines()) == 1


def test_interrupted_while_its_result_is_written(whole, shapes, tmp_path, monkeypatch, capfd):
    def interrupt(self, metrics):
        raise KeyboardInterrupt

    folder = tmp_path / "it's a run"
    with monkeypatch.context() as patch:
        patch.setattr(Record, "finish", interrupt)
        assert run(command(shapes, folder, "mlp")) == 130
    words = shlex.split(capfd.readouterr().err.partition("go on with: tlapp ")[2])
    assert words == ["train", "--resume", str(folder)]
    assert run(words) == 0
    assert outcome(folder) == outcome(whole("mlp"))


def test_a_finished_run_has_its_whole_history(whole, shapes, tmp_path, monkeypatch):
    """Whatever became of the lines that were added, as when power is lost after the end."""
    monkeypatch.setattr(Record, "epoch", lambda self, epoch: None)
    assert run(command(shapes, tmp_path / "run", "mlp")) == 0
    assert outcome(tmp_path / "run") == outcome(whole("mlp"))


def test_a_screen_that_goes_away_does_not_end_the_run(shapes, tmp_path, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as gone, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", gone)
        assert run(command(shapes, tmp_path / "run", "mlp")) == 0
    assert (tmp_path / "run" / "metrics.json").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such shell")
def test_a_run_without_standard_files(shapes, tmp_path):
    words = [sys.executable, "-m", "tlapp", *command(shapes, tmp_path / "run", "mlp")]
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
    with pytest.raises(UserError, match="already exists"):
        both[1].begin({}, {}, (), ())


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
    given = checkpoint.State(1, 2, 3, {"loss": 0.5}, (0.25, 2), [["a", 1, {}, {}, True]], arrays, arrays, b"head")
    path = tmp_path / "state.npz"
    checkpoint.write(path, given)
    found = checkpoint.read(path)
    assert found._replace(variables=[], kept=[]) == given._replace(variables=[], kept=[])
    assert np.array_equal(found.variables[0], arrays[0]) and list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged"):
        checkpoint.read(path)
    assert checkpoint.read(tmp_path / "none.npz") is None


def test_a_checkpoint_with_anything_changed_is_read_or_told(tmp_path):
    arrays, path, dice = [np.arange(6.0).reshape(2, 3)], tmp_path / "state.npz", random.Random(0)
    checkpoint.write(path, checkpoint.State(1, 2, 3, {"loss": 0.5}, (0.25, 2), [], arrays, arrays))
    whole = path.read_bytes()
    for _ in range(600):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken)
        with contextlib.suppress(UserError):
            assert checkpoint.read(path).phase == 1


def test_a_checkpoint_that_is_not_what_was_written_does_not_replace_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    given = checkpoint.State(1, 2, 3, {}, (0.25, 2), [], [], [])
    checkpoint.write(path, given)
    monkeypatch.setattr(checkpoint.np, "savez", lambda file, **arrays: file.write(b"no archive"))
    with pytest.raises(UserError, match="cannot be written"):
        checkpoint.write(path, given._replace(phase=2))
    monkeypatch.undo()
    assert checkpoint.read(path).phase == 1 and list(tmp_path.iterdir()) == [path]


def test_a_head_in_a_checkpoint_that_holds_code_is_refused(tmp_path, tensorflow):
    import keras

    image = keras.Input((4,))
    keras.Model(image, keras.layers.Lambda(lambda x: x)(image)).save(tmp_path / "a.keras")
    with pytest.raises(UserError, match=r"state\.npz: its head is not to be trusted: it holds a Lambda"):
        checkpoint.unpack_layer((tmp_path / "a.keras").read_bytes(), tmp_path / "state.npz")
