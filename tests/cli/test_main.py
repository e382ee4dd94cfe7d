"""The command line: what it answers, how it fails, what it does not import."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
import yaml
from helpers.command import tlapp

from tlapp.cli import main
from tlapp.cli.main import run
from tlapp.testing import pictures


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["plugins", "list"],
        ["plugins", "show", "partial"],
        ["train", "--plugin", "partial", "--help"],
        ["preview", "--plugin", "augment-adapt", "--help"],
    ],
)
def test_answers_without_tensorflow(arguments):
    code = (
        "import sys; from tlapp.cli.main import run; code = run(sys.argv[1:]);"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'PIL', 'numpy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy & {'tensorflow', 'keras', 'sklearn'} else code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_help_grows_with_the_plugin_and_the_head(capsys):
    run(["train", "--plugin", "partial", "--head", "mlp", "--help"])
    text = capsys.readouterr().out
    assert "Strategy partial" in text and "--last" in text and "--head-hidden" in text
    run(["train", "--plugin", "freeze", "--help"])
    assert "--last" not in capsys.readouterr().out


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    pictures(root / "good", each=8)
    pictures(root / "one", each=4, classes=["circle"])
    pictures(root / "broken", each=8)
    (root / "broken" / "circle" / "bad.png").write_bytes(b"no picture")
    (root / "unknown.yaml").write_text("lst: 3\n")
    (root / "value.yaml").write_text("last: many\n")
    (root / "list.yaml").write_text("- plugin\n")
    (root / "full").mkdir()
    (root / "full" / "file").write_text("")
    return root


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--plugin", "partil"], ["--plugin partil", "did you mean partial"]),
        (["--head", "liner"], ["--head liner", "did you mean linear"]),
        (["--backbone", "lite0"], ["--backbone lite0", "PROVIDER:NAME"]),
        (["--backbone", "keras-cv:efficientnet-lit0"], ["--backbone keras-cv:efficientnet-lit0", "did you mean"]),
        (["--backbone", "kera:x"], ["did you mean keras"]),
        (["--last", "0"], ["--last 0", "greater than or equal to 1", "Received: 0"]),
        (["--last", "two"], ["--last two", "integer", "Received: two"]),
        (["--schedule", "linear"], ["--schedule linear", "'cosine' or 'constant'"]),
        (["--data", "{root}/nowhere"], ["--data", "nowhere"]),
        (["--data", "{root}/one"], ["--data", "two classes"]),
        (["--data", "{root}/broken"], ["bad.png", "--on-bad skip"]),
        (["--config", "{root}/nowhere.yaml"], ["--config", "No such file"]),
        (["--config", "{root}/unknown.yaml"], ["unknown.yaml: lst", "did you mean last"]),
        (["--config", "{root}/value.yaml"], ["value.yaml: last", "integer", "Received: many"]),
        (["--config", "{root}/list.yaml"], ["list.yaml", "mapping"]),
        (["--run", "{root}/full"], ["--run", "already exists"]),
        (
            ["--last", "19", "--data", "{root}/good", "--image-size", "32"],
            ["--last 19", "8 stages (stem ... top)", "Received: 19"],
        ),
        (["--plugin", "feature-extract", "--head", "mlp", "--data", "{root}/good"], ["--head mlp", "its own head"]),
    ],
)
def test_bad_input_gets_one_sentence(arguments, fragments, folders, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    code = run(["train", *[word.format(root=folders) for word in arguments]])
    said = capfd.readouterr().err.strip().splitlines()
    assert code == 2
    assert said[-1].startswith("tlapp: ")
    for fragment in fragments:
        assert fragment in said[-1]
    assert not (tmp_path / "saved_models").exists()


def test_an_unknown_flag_names_the_near_one(capsys):
    assert run(["train", "--lst", "3"]) == 2
    assert "--last" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(folders, tiny_network, tmp_path_factory):
    """A run by the command line itself: its folder and what it wrote. That of the default network is in test_messy_data.py."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["train", "--plugin", "freeze", "--epochs", "3", "--data", "good", "--image-size", "32"]
    done = tlapp(*arguments, "--backbone", tiny_network, "--run", folder, "--json", cwd=folders)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_json_is_one_object_and_tensorflow_is_silent(trained):
    folder, done = trained
    found = json.loads(done.stdout)
    assert found["run"] == str(folder)
    assert found["test"]["n"] == found["images"]["test"]
    assert "plan: freeze" in done.stderr and "head 3:" in done.stderr
    for chatter in ("oneDNN", "cuda", "cpu_feature_guard", "WARNING"):
        assert chatter not in done.stderr


def test_settings_repeat_the_run_from_any_folder(trained, folders, tmp_path, monkeypatch):
    folder, _ = trained
    monkeypatch.chdir(tmp_path)
    assert run(["train", "--config", str(folder / "settings.yaml"), "--json"]) == 0
    (again,) = (tmp_path / "saved_models").iterdir()
    for name in ("history.csv", "splits.csv", "settings.yaml"):
        assert (folder / name).read_text() == (again / name).read_text()
    text = (folder / "settings.yaml").read_text()
    settings = yaml.safe_load(text)
    assert text.startswith("# tlapp train --config settings.yaml repeats this run")
    assert settings["data"] == str(folders / "good") and "run" not in settings
    assert settings["plugin"] == "freeze" and settings["epochs"] == 3 and "head_dropout" in settings


def test_dry_run_tells_the_plan_and_writes_nothing(folders, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(["train", "--data", str(folders / "good"), "--image-size", "32", "--dry-run", "--json"]) == 0
    plan = json.loads(capfd.readouterr().out)["plan"]
    assert [phase["name"] for phase in plan["phases"]] == ["warm-up", "tune"]
    assert list(plan["phases"][1]["stages"]) == ["stage7", "top"]
    assert not list(tmp_path.iterdir())


def test_predict_and_evaluate(trained, folders, capfd):
    folder, _ = trained
    picture = str(folders / "good" / "circle" / "000.png")
    assert run(["predict", str(folder), picture, "--top", "3", "--json"]) == 0
    (found,) = json.loads(capfd.readouterr().out)["predictions"]
    assert set(found["labels"]) == {"circle", "square", "stripe"} and found["file"] == picture
    assert sum(found["labels"].values()) == pytest.approx(1, abs=1e-4)
    assert run(["evaluate", str(folder), "--data", str(folders / "good"), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["n"] == 24


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["predict", "{root}/good", "x.png"], "is neither a run nor an export"),
        (["predict", "{run}", "{root}/nowhere.png"], "no such file"),
        (["predict", "{run}", "{root}/broken/circle/bad.png"], "bad.png"),
        (["evaluate", "{run}", "--data", "{root}/nowhere"], "nowhere"),
    ],
)
def test_other_commands_fail_in_a_sentence(arguments, fragment, trained, folders, capfd):
    assert run([word.format(root=folders, run=trained[0]) for word in arguments]) == 2
    assert fragment in capfd.readouterr().err


def test_an_unfinished_run_is_not_taken_for_a_finished_one(trained, tmp_path, capfd):
    (tmp_path / "settings.yaml").write_text("plugin: freeze\n")
    assert run(["predict", str(tmp_path), "x.png"]) == 2
    assert "did not finish" in capfd.readouterr().err


def test_interrupted_keeps_the_best_weights_and_says_where(folders, tiny_network, tmp_path):
    arguments = ["train", "--plugin", "freeze", "--epochs", "100000", "--patience", "100000", "--image-size", "32"]
    arguments += ["--backbone", tiny_network, "--data", str(folders / "good"), "--run", str(tmp_path / "run")]
    command = [sys.executable, "-m", "tlapp", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if "head 3:" in line:
                process.send_signal(signal.SIGINT)
                break
        late = threading.Timer(60, process.kill)
        late.start()
        said += process.stderr.readlines()
        assert process.wait() == 130, "".join(said)
        late.cancel()
    assert "interrupted.keras" in said[-1]
    assert (tmp_path / "run" / "checkpoints" / "interrupted.keras").is_file()
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert run(["predict", str(tmp_path / "run"), "x.png"]) == 2


def test_a_swallowed_ctrl_c_is_raised_at_the_next_report(monkeypatch):
    from tlapp.cli import signals
    from tlapp.cli.screen import Screen

    monkeypatch.setattr(signals, "received", [signal.SIGINT])
    with Screen() as screen, pytest.raises(KeyboardInterrupt):
        screen.progress("head", 1, 2)


@pytest.mark.parametrize(("error", "shown"), [(RuntimeError(os.strerror(errno.EAGAIN)), False), (ValueError("odd"), True)])
def test_a_finalizer_that_fails_for_want_of_memory_adds_nothing(error, shown, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "__unraisablehook__", told.append)
    failed = SimpleNamespace(exc_value=error)
    main._unraisable(failed)
    assert told == [failed] * shown
