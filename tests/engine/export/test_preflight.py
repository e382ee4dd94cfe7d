"""What cannot convert is told before training, where that is asked for; nobody else is held up."""

import json

import pytest

from tlapp import registry
from tlapp.cli.main import run
from tlapp.testing import SIZE, TinyBackbones, pictures

PLUGINS = '''
from tlapp.contracts import Fit, Head, Plan, Strategy


def odd(x):
    import keras

    return keras.ops.erfinv(0.9 * keras.ops.tanh(x))


class OddHead(Head):
    """Have an operation that TFLite lacks."""

    def build(self, features, task):
        import keras

        inside = keras.Input(features.shape[1:])
        return keras.Model(inside, odd(keras.layers.Dense(len(task.classes))(inside)))


class OddGraft(Strategy):
    """Graft an operation that TFLite lacks."""

    def plan(self, task, backbone):
        return Plan((Fit(name="fit", rates=backbone.frozen(), epochs=1, learning_rate=1e-3),), graft)


def graft(backbone):
    import keras

    return keras.Model(backbone.graph.inputs[0], odd(backbone.graph.outputs[0]))
'''


@pytest.fixture
def words(tmp_path, monkeypatch, tensorflow):
    """A command line that trains a tiny backbone of a file, with the odd plugins installed."""
    site = tmp_path / "site"
    (site / "odd-1.0.dist-info").mkdir(parents=True)
    (site / "odd-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    points = "[tlapp.heads]\nodd = odd_plugins:OddHead\n[tlapp.strategies]\nodd = odd_plugins:OddGraft\n"
    (site / "odd-1.0.dist-info" / "entry_points.txt").write_text(points)
    (site / "odd_plugins.py").write_text(PLUGINS)
    monkeypatch.syspath_prepend(str(site))
    registry.installed.cache_clear()
    TinyBackbones().load("tiny").graph.save(tmp_path / "tiny.keras")
    data = pictures(tmp_path / "data", each=8)
    yield [
        "train", "--data", str(data), "--backbone", f"file:{tmp_path}/tiny.keras", "--image-size", str(SIZE),
        "--run", str(tmp_path / "run"),
    ]  # fmt: skip
    registry.installed.cache_clear()


def said(capfd):
    lines = capfd.readouterr().err.splitlines()
    assert any(line.startswith("plan:") for line in lines)
    return [line for line in lines if line.startswith(("tlapp:", "note: exports"))]


@pytest.mark.parametrize("asked", [["--dry-run"], ["--exports", "tflite"]])
@pytest.mark.parametrize("odd", ["--plugin", "--head"])
def test_what_does_not_convert_is_refused_by_name(odd, asked, words, tmp_path, capfd):
    given = ["--plugin", "freeze"] if odd == "--head" else []
    assert run([*words, *given, odd, "odd", *asked]) == 2
    (line,) = said(capfd)
    assert line.startswith("tlapp: --exports tflite: file:") and "no built-in counterpart of Erfinv" in line
    assert line.endswith("it does to savedmodel, and trains all the same (--exports savedmodel, or none)")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_it_exports_to_a_saved_model_and_trains_all_the_same(words, tmp_path, capfd):
    odd = [*words, "--plugin", "freeze", "--head", "odd"]
    assert run([*odd, "--dry-run", "--exports", "savedmodel"]) == 0
    assert said(capfd) == ["note: exports to savedmodel: yes"]
    assert run([*odd, "--dry-run", "--exports", "none"]) == 0
    assert said(capfd) == []
    assert run([*odd, "--epochs", "1"]) == 0
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert run(["export", str(tmp_path / "run"), "--format", "savedmodel"]) == 0


def test_what_converts_is_told(words, capfd):
    assert run([*words, "--plugin", "freeze", "--dry-run", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["exports"] == "tflite" and "note: exports to tflite: yes\n" in err


def test_a_head_that_is_solved_for_is_not_known_yet(words, capfd):
    assert run([*words, "--plugin", "feature-extract", "--dry-run"]) == 0
    assert said(capfd) == ["note: exports to tflite: yes, as far as is known before the head is fitted"]


def test_the_check_changes_nothing_in_the_training(words, tmp_path):
    words = [*words, "--plugin", "partial", "--last", "1", "--warmup", "1", "--epochs", "2"]
    histories = []
    for name, asked in (("checked", ["--exports", "tflite"]), ("plain", [])):
        assert run([*words, *asked, "--run", str(tmp_path / name)]) == 0
        histories.append((tmp_path / name / "history.csv").read_text())
    assert histories[0] == histories[1]


def test_doctor_names_what_a_backbone_lacks(tmp_path, tensorflow):
    import keras

    from tlapp.engine.export.doctor import Candidate, examine

    provider, _ = registry.backbone("file:any")
    image = keras.Input((SIZE, SIZE, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    for name, outputs, fault in (
        ("odd", keras.ops.erfinv(keras.ops.tanh(features)), "no built-in counterpart of Erfinv"),
        ("plain", features, ""),
    ):
        path = str(tmp_path / f"{name}.keras")
        keras.Model(image, outputs).save(path)
        step = next(examine(Candidate(provider, path, None)))
        assert step.name == f"{path} to TFLite" and step.fault.endswith(fault) and bool(step.fault) == bool(fault)
