"""Transparency, orientation, CMYK, 16 bits and animations: exports and their programs answer as the run does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.hard_pictures import CLASSES, UNDECODED, write_classes, write_hard

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.export.export import export
from tlapp.engine.export.formats import NAMES
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.inputs import images
from tlapp.engine.inputs.image_export import ImageExport
from tlapp.testing import SIZE, TinyBackbones

PROGRAM = 1e-4
"""How far a program's probability may be from the run's: the fourth digit, the last that it prints. Its pixels are equal."""
DECODED = 0.05
"""The same of serve_bytes, whose pixels differ by some levels."""
EVERY_FILE = """\
import sys

loading, labels, answering = open("classify.py", encoding="utf-8").read().partition("labels = ")
assert labels
names, files = {}, sys.argv[1:]
exec(loading, names)
for file in files:
    sys.argv[1:] = [file]
    exec(labels + answering, names)
"""
"""Runs the program that an export prints: it loads the artifact once, and answers file after file."""


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    return write_hard(tmp_path_factory.mktemp("hard") / "pictures")


@pytest.fixture(scope="module")
def run(tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("bars")
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    return tlapp.train(
        plugin="full", data=str(write_classes(folder / "data")), backbone=f"file:{folder}/tiny.keras", image_size=SIZE, epochs=8,
        learning_rate=0.01, run=str(folder / "run"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def expected(run, hard):
    """File -> label -> probability, as predict says."""
    said = run.predict(hard, top=len(CLASSES))
    assert len({each.label for each in said}) >= 4, "a model that always says the same shows nothing"
    return {Path(each.file): dict(each.labels) for each in said}


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_a_program_makes_the_pixels_of_training(resize, hard, monkeypatch):
    snippet = ImageExport(size=SIZE, resize=resize).snippet()
    names = {"np": np, "sys": sys, "shapes": {"image": (1, SIZE, SIZE, 3)}}
    for file in hard:
        monkeypatch.setattr(sys, "argv", ["classify.py", str(file)])
        exec(snippet.imports + snippet.prepare, names)
        assert np.array_equal(names["inputs"]["image"], images.read(str(file), SIZE, resize)[None]), file.name


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_files_are_decoded_in_a_graph_as_in_training(resize, hard, tensorflow):
    from tlapp.engine.inputs import decode_in_graph

    spec = tensorflow.TensorSpec((), tensorflow.string)
    decode = tensorflow.function(lambda content: decode_in_graph.square(content, SIZE, resize), input_signature=[spec])
    for file in (file for file in hard if file.suffix not in UNDECODED):
        difference = np.abs(decode(file.read_bytes()).numpy() - images.read(str(file), SIZE, resize))
        assert difference.mean() < 1.0 and difference.max() <= 8, file.name


@pytest.mark.parametrize(
    "kind", [pytest.param(name, marks=[pytest.mark.slow] if name in ("savedmodel", "keras") else []) for name in NAMES]
)
def test_the_program_answers_as_the_run(kind, run, hard, expected, tmp_path):
    folder = Path(export(run, ExportOptions(format=kind, output=str(tmp_path / kind)))["folder"])
    (folder / "classify.py").write_text((folder / "README.md").read_text().partition("```python\n")[2].partition("```")[0])
    (folder / "every.py").write_text(EVERY_FILE)
    alone = next(file for file in hard if file.name == "alpha.png")
    for program, files in (("every.py", hard), ("classify.py", [alone])):
        done = subprocess.run([sys.executable, program, *files], cwd=folder, capture_output=True, text=True, check=True)
        for file, line in zip(files, done.stdout.splitlines(), strict=True):
            label, probability = line.split()
            assert label == max(expected[file], key=expected[file].get), file.name
            assert abs(float(probability) - expected[file][label]) <= PROGRAM, file.name
    if kind == "savedmodel":
        files_are_served_as_predicted(folder, expected)


def files_are_served_as_predicted(folder, expected):
    import tensorflow as tf

    serve = tf.saved_model.load(str(folder / "1")).signatures["serve_bytes"]
    files = [file for file in expected if file.suffix not in UNDECODED]
    for file in files:
        answer = serve(contents=tf.constant([file.read_bytes()]))
        second, first = sorted(expected[file].values())[-2:]
        assert answer["label"].numpy()[0].decode() == max(expected[file], key=expected[file].get) or first - second < DECODED
        for label, value in zip(sorted(CLASSES), answer["probabilities"].numpy()[0], strict=True):
            assert abs(value - expected[file][label]) <= DECODED, file.name
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        serve(contents=tf.constant([next(file for file in expected if file.suffix in UNDECODED).read_bytes()]))


def test_predict_says_the_same(run, hard, expected, capfd):
    assert command(["predict", str(run.folder), *map(str, hard), "--json"]) == 0
    said = json.loads(capfd.readouterr().out)["predictions"]
    assert {Path(each["file"]): next(iter(each["labels"])) for each in said} == {
        file: max(labels, key=labels.get) for file, labels in expected.items()
    }
