"""What a run changed, in one small file, and the run's model again from it."""

from __future__ import annotations

import json
import os
import re
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.report import Silent
from tlapp.engine.runs.delta import with_places, without_places
from tlapp.engine.runs.folder import DELTA, MODEL
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones

GRAFTED = {"plugin": "adapters", "warmup": 1, "epochs": 1, "learning_rate": 0.01}
RUNS = {
    "lora": {**GRAFTED, "method": "lora", "rank": 1},
    "bottleneck": {**GRAFTED, "method": "bottleneck"},
    "bias": {**GRAFTED, "method": "bias"},
    "freeze": {"plugin": "freeze", "epochs": 2, "head": "mlp"},
    "full": {"plugin": "full", "epochs": 1},
    "solved": {"plugin": "feature-extract"},
}


@pytest.fixture(scope="module")
def runs(shapes, tmp_path_factory, tensorflow):
    """Finished runs of the tiny network, by what they did."""
    folder = tmp_path_factory.mktemp("merge")
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    made: dict[str, object] = {}

    def run(name):
        if name not in made:
            settings = {"data": str(shapes), "backbone": f"file:{folder}/tiny.keras", "image_size": SIZE, **RUNS[name]}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tlapp.engine.merge.MOST", 0.9)  # the tiny network is small beside its modules
                made[name] = tlapp.train(run=str(folder / name), **settings)
        return made[name]

    return run


def answers(run):
    return run.probabilities(np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype("float32"))


@pytest.mark.parametrize("name", ["lora", pytest.param("bottleneck", marks=pytest.mark.slow), "bias", "freeze"])
def test_a_run_is_made_again_of_its_delta_to_the_bit(name, runs, tmp_path):
    run = runs(name)
    (tmp_path / "mailed").mkdir()
    alone = tmp_path / "mailed" / DELTA
    alone.write_bytes((run.folder / DELTA).read_bytes())
    shutil.copy(run.settings["backbone"].removeprefix("file:"), tmp_path / "mailed")
    merged = tlapp.merge(alone, tmp_path / "merged")
    np.testing.assert_array_equal(answers(merged), answers(run))
    assert merged.labels == run.labels and merged.metrics == run.metrics
    backbone = str(tmp_path / "mailed" / "tiny.keras")
    assert merged.settings == {
        **run.settings,
        "data": f"./{os.path.basename(run.settings['data'])}",
        "backbone": f"file:{backbone}",
    }
    assert tlapp.merge(run.folder, tmp_path / "beside").settings == run.settings
    assert any("_up" in layer.name for layer in merged.model.layers) == (name == "bottleneck")
    again = tlapp.merge(merged.folder, tmp_path / "again")  # a merged run has its delta too
    np.testing.assert_array_equal(answers(again), answers(run))


def test_a_delta_holds_what_is_not_the_backbones(runs):
    names = [name.partition(" ")[2] for name in load_file(runs("lora").folder / DELTA)]
    assert all(re.search("_(down|up)/kernel$", name) or name.startswith(("head", "dense", "sequential")) for name in names), names
    biases = [name.partition(" ")[2] for name in load_file(runs("bias").folder / DELTA)]
    assert all(name.endswith(("/bias", "/beta")) or name.startswith(("head", "dense", "sequential")) for name in biases), biases
    assert (runs("lora").folder / DELTA).stat().st_size < (runs("lora").folder / MODEL).stat().st_size


def test_a_delta_names_no_place_of_the_machine(runs):
    run = runs("lora")
    with safe_open(run.folder / DELTA, framework="np") as file:
        facts = file.metadata()["tlapp"]
    assert os.path.isabs(run.settings["data"]) and str(run.folder.parent) not in facts and run.settings["data"] not in facts
    assert json.loads(facts)["settings"]["backbone"] == "file:./tiny.keras"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("/home/ann/pets/", "./pets"),
        ("file:/home/ann/net.keras", "file:./net.keras"),
        (["/home/ann/a", "b"], ["./a", "b"]),
        ({"kept": "/x/y"}, {"kept": "./y"}),
        *((each, each) for each in ("builtin:digits", "keras-cv:efficientnet-lite0", "none", None, 3, "hub:https://a.org/b")),
    ],
)
def test_paths_become_names(value, written):
    assert without_places(value) == written


def test_what_was_sent_along_is_found(tmp_path):
    (tmp_path / "net.keras").touch()
    settings = {"backbone": "file:./net.keras", "data": "./pets", "plugin": "net.keras"}
    assert with_places(settings, tmp_path) == {**settings, "backbone": f"file:{tmp_path}/net.keras"}


def test_what_changed_much_or_was_solved_has_none(runs):
    assert not (runs("full").folder / DELTA).exists()
    assert not (runs("solved").folder / DELTA).exists()
    with pytest.raises(UserError, match=r"full/adapter\.safetensors: there is no such file; a run has one if it changed at"):
        tlapp.merge(runs("full").folder, "never")


def test_a_backbone_with_other_weights_is_refused(runs, tmp_path):
    run = runs("lora")
    backbone = run.settings["backbone"].removeprefix("file:")
    network = TinyBackbones().load("tiny").graph
    first = next(layer for layer in network.layers if layer.weights)
    first.set_weights([weight + 1e-3 for weight in first.get_weights()])
    with open(backbone, "rb") as file:
        before = file.read()
    try:
        network.save(backbone)
        with pytest.raises(UserError, match=r"tiny\.keras has other weights here \(.{32}\) than those that it was trained on"):
            tlapp.merge(run.folder, tmp_path / "merged")
    finally:
        with open(backbone, "wb") as file:
            file.write(before)
    assert not (tmp_path / "merged").exists()


def test_what_is_no_delta_and_a_folder_that_is_taken_are_told(runs, tmp_path, monkeypatch):
    run = runs("lora")
    with pytest.raises(UserError, match=r"settings\.yaml: cannot be read as adapter\.safetensors of a run"):
        tlapp.merge(run.folder / "settings.yaml", tmp_path / "merged")
    save_file({"a": np.zeros(2)}, tmp_path / "others.safetensors")
    with pytest.raises(UserError, match=r"others\.safetensors: was not written by tlapp"):
        tlapp.merge(tmp_path / "others.safetensors", tmp_path / "merged")
    save_file({"a": np.zeros(2)}, tmp_path / "odd.safetensors", {"tlapp": json.dumps({"settings": {}})})
    with pytest.raises(UserError, match=r"odd\.safetensors: cannot be read as"):
        tlapp.merge(tmp_path / "odd.safetensors", tmp_path / "merged")
    with pytest.raises(UserError, match="already exists; remove it, or name another"):
        tlapp.merge(run.folder, run.folder)
    monkeypatch.setattr("tlapp.engine.runs.delta.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the package safetensors: pip install 'tlapp\[adapters\]'"):
        tlapp.merge(run.folder, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_weight_without_a_place_is_told(runs, tmp_path):
    from tlapp.engine.runs.delta import content, read

    run = runs("lora")
    delta = read(run.folder / DELTA)
    shutil.copy(run.settings["backbone"].removeprefix("file:"), tmp_path)
    name, array = next(iter(delta.weights.items()))
    for wrong in ({**delta.weights, name: array[..., None]}, {**delta.weights, "99999 x": array}, {"x": array}):
        path = tmp_path / "wrong.safetensors"
        path.write_bytes(content(delta._replace(weights=wrong)))
        with pytest.raises(UserError, match="has no place in the network that its settings build now"):
            tlapp.merge(path, tmp_path / "merged")


def test_without_the_package_what_was_grafted_is_told_to_have_no_delta(runs, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr("tlapp.engine.merge.can_be_written", lambda: False)
    notes = Notes()
    settings = {**RUNS["lora"], "data": str(shapes), "backbone": runs("lora").settings["backbone"], "image_size": SIZE}
    run = tlapp.train(run=str(tmp_path / "run"), reporter=notes, **settings)
    assert not (run.folder / DELTA).exists()
    assert [note for note in notes.sentences if DELTA in note] == [
        f"{DELTA}, what was trained in one small file, is not written: it needs the package safetensors: "
        "pip install 'tlapp[adapters]'"
    ]


def test_the_command(runs, tmp_path, capfd):
    run = runs("lora")
    assert command(["merge", str(run.folder), "--output", str(tmp_path / "merged")]) == 0
    assert capfd.readouterr().out == f"run: {tmp_path}/merged\n"
    assert command(["merge", str(run.folder), "--output", str(tmp_path / "merged")]) == 2
    assert f"--output {tmp_path}/merged: already exists" in capfd.readouterr().err


class Notes(Silent):
    def __init__(self):
        self.sentences = []

    def note(self, sentence):
        self.sentences.append(sentence)
