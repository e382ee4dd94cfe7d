"""Code in a Keras file is refused with its reason by every command that opens one, and nothing of it has run."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.archives import poisoned

from tlapp.cli.main import run
from tlapp.untrusted_files import keras_fault


def test_an_honest_model_has_no_fault(model, finished):
    assert keras_fault(model) == "" == keras_fault(finished / "model.keras")
    assert keras_fault(Path(__file__)) == ""  # Keras says itself that it is none


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class_name": "Lambda"}, "holds a Lambda"),
        ({"class_name": "TFSMLayer"}, "holds a TFSMLayer"),
        ({"class_name": "TorchModuleWrapper"}, "holds a TorchModuleWrapper"),
        ({"class_name": "__lambda__"}, "holds a lambda"),
        ({"class_name": "__typespec__"}, "holds a typespec"),
        ({"class_name": "Popen", "module": "subprocess"}, "Popen of the module subprocess"),
        ({"class_name": "function", "module": "os", "config": "system"}, "function of the module os"),
        ({"class_name": "Mine", "module": "somebody.elses", "registered_name": "theirs>Mine"}, "not part of Keras"),
    ],
)
def test_code_in_a_model_is_refused_by_every_command_that_opens_one(changes, reason, model, finished, tmp_path, shapes, capfd):
    poisoned(model, **changes)
    assert reason in keras_fault(model)
    assert run(["backbones", "show", f"file:{model}"]) == 2
    assert reason in (said := capfd.readouterr().err) and "--trust" in said
    other = tmp_path / "run"
    other.mkdir()
    for path in finished.iterdir():
        if path.is_file():
            (other / path.name).write_bytes(path.read_bytes())
    poisoned(other / "model.keras", **changes)
    settings = (other / "settings.yaml").read_text()
    (other / "settings.yaml").write_text(settings.replace("plugin: freeze", "plugin: freeze\ntrust: true"))
    picture = str(next(shapes.rglob("*.png")))
    for words in (
        ["predict", str(other), picture],
        ["evaluate", str(other), "--data", str(shapes)],
        ["export", str(other), "--format", "keras"],
    ):
        assert run(words) == 2
        assert reason in (said := capfd.readouterr().err) and "--trust" in said, words


def test_a_lambda_runs_with_trust_only(tmp_path, tensorflow, capfd):
    import keras

    mark, path = tmp_path / "ran", tmp_path / "lambda.keras"
    image = keras.Input((16, 16, 3))
    touch = eval(f"lambda x: (open({str(mark)!r}, 'w').close(), x * 2)[1]")
    x = keras.layers.Lambda(touch)(image)
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(x))).save(path)
    mark.unlink(missing_ok=True)
    assert run(["backbones", "show", f"file:{path}"]) == 2 and not mark.exists()
    assert "change files with your rights" in capfd.readouterr().err
    assert run(["backbones", "show", f"file:{path}", "--trust"]) == 0 and mark.exists()


def test_trust_is_no_setting(tmp_path, capfd):
    (tmp_path / "a.yaml").write_text("trust: true\n")
    assert run(["train", "--config", str(tmp_path / "a.yaml"), "--dry-run"]) == 2
    assert "trust: there is no such option" in capfd.readouterr().err


def test_a_class_that_the_caller_brings_is_no_danger(model):
    poisoned(model, class_name="Mine", module="mine", registered_name="mine>Mine")
    assert keras_fault(model, {"mine>Mine"}) == "" != keras_fault(model, {"yours>Mine"})
    poisoned(model, class_name="Lambda", registered_name="mine>Mine")
    assert "Lambda" in keras_fault(model, {"mine>Mine"})
