"""As a stranger has it: wheels of tlapp and of the examples in a fresh environment, used outside the checkout."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tlapp.testing import pictures

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
CLEAN = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV", "TLAPP_CACHE")}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with an environment of its own that holds the three wheels."""
    folder = tmp_path_factory.mktemp("stranger")
    wheels, source = folder / "wheels", folder / "source"
    # A copy: pip builds inside a checkout, and takes up what earlier builds left there.
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "saved_models"))
    for project in (source, source / "examples" / "tlapp-bitfit", source / "examples" / "tlapp-mean-teacher"):
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(project)]
        subprocess.run(command, check=True, cwd=folder, env=CLEAN)
    shutil.rmtree(source)
    venv.create(folder / "venv", with_pip=True)
    command = [str(folder / "venv/bin/pip"), "install", "--quiet", "-c", str(ROOT / "constraints.txt"), "pytest"]
    command += map(str, wheels.iterdir())
    subprocess.run(command, check=True, cwd=folder, env=CLEAN)
    return folder


def call(place, *words):
    """Run something of the environment's, away from the checkout; its standard output."""
    command = [str(place / "venv/bin" / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=place, env=CLEAN, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_they_come_from_the_wheels_and_are_listed(place):
    code = "import tlapp, tlapp_bitfit; print(tlapp.__file__, tlapp_bitfit.__file__)"
    assert str(ROOT) not in call(place, "python", "-c", code)
    rows = json.loads(call(place, "tlapp", "plugins", "list", "--check", "--json"))["plugins"]
    found = {(row["kind"], row["name"]): row for row in rows}
    assert found["strategy", "bitfit"]["from"] == "tlapp-bitfit 0.1.0"
    assert found["strategy", "mean-teacher"]["from"] == "tlapp-mean-teacher 0.1.0"
    assert not [row for row in rows if row["broken"]]


@pytest.mark.parametrize("name", ["bitfit", "mean-teacher"])
def test_they_keep_every_rule(name, place):
    found = json.loads(call(place, "tlapp", "plugins", "check", name, "--json"))
    assert found["kept"] and {rule["state"] for rule in found["rules"]} == {"kept"}


@pytest.mark.parametrize("name", ["tlapp-bitfit", "tlapp-mean-teacher"])
def test_their_own_tests_pass(name, place):
    (place / name).mkdir()
    module = f"test_{name.replace('-', '_')}.py"
    (place / name / module).write_bytes((ROOT / "examples" / name / module).read_bytes())
    call(place, "python", "-m", "pytest", "-q", str(place / name))


def test_bitfit_trains_a_hundredth_of_the_network(place):
    data = pictures(place / "shapes", each=8)
    arguments = ["--data", str(data), "--image-size", "64", "--epochs", "2", "--warmup", "2", "--run", "bitfit-run", "--json"]
    found = json.loads(call(place, "tlapp", "train", "--plugin", "bitfit", *arguments))
    assert found["test"]["n"] > 0
    phases = json.loads((place / "bitfit-run" / "plan.json").read_text())
    assert 0 < phases["phases"][1]["trains"] < 0.02 * phases["params"]


def test_several_labels_a_picture(place):
    data = pictures(place / "several", each=12)
    files = sorted(data.rglob("*.png"))
    rows = [(path, f"{path.parent.name};bright" if i % 2 else path.parent.name) for i, path in enumerate(files)]
    with open(place / "several.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    arguments = ["--data", "several.csv", "--head", "multilabel", "--image-size", "64", "--epochs", "5", "--run", "several-run"]
    call(place, "tlapp", "train", "--plugin", "freeze", *arguments)
    answer = call(place, "tlapp", "predict", "several-run", str(files[0]), "--top", "6", "--json")
    (found,) = json.loads(answer)["predictions"]
    assert set(found["labels"]) == {"bright", "circle", "square", "stripe"}
    judged = json.loads(call(place, "tlapp", "evaluate", "several-run", "--data", "several.csv", "--json"))
    assert judged["n"] == len(rows) and judged["map"] > 0.5 and judged["classes"]["bright"]["n"] == len(rows) // 2
    call(place, "pip", "uninstall", "--quiet", "--yes", "tlapp-multilabel")  # what it trained does not need it
    call(place, "tlapp", "export", "several-run", "--format", "tflite")
    tested = json.loads((place / "several-run" / "metrics.json").read_text())["images"]["test"]
    assert json.loads(call(place, "tlapp", "verify", "several-run/export/tflite", "--json"))["images"] == min(8, tested) > 0


def test_a_project_that_new_writes_installs_trains_and_is_certified(place):
    call(place, "tlapp", "plugins", "new", "last-one")
    call(place, "pip", "install", "--quiet", "--no-deps", "-e", "tlapp-last-one")
    data = pictures(place / "more", each=8)
    arguments = ["--data", str(data), "--image-size", "64", "--epochs", "1", "--run", "last-run", "--json"]
    assert json.loads(call(place, "tlapp", "train", "--plugin", "last-one", *arguments))["test"]["n"] > 0
    assert "BROKEN" not in call(place, "tlapp", "plugins", "check", "last-one")
    call(place, "python", "-m", "pytest", "-q", "tlapp-last-one")
