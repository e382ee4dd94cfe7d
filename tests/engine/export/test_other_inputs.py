"""An export of a model that takes no pictures: two named arrays, numbers and codes, from a column of a CSV."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import tlapp
from tlapp import registry
from tlapp.contracts import BackboneProvider, Input, LoadedBackbone, Stage, Tensor
from tlapp.contracts.backbone import Backbone
from tlapp.engine.export import snippets
from tlapp.engine.export.export import export
from tlapp.engine.export.formats import named
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify
from tlapp.errors import UserError

CLASSES = ("high", "low", "odd")


@dataclass(frozen=True)
class Measurements(Input):
    """Four numbers and two codes, as a cell holds them: "0.1 0.2 0.3 0.4 | 7 2"."""

    kind = "measurements"
    noun = "measurement"
    column = "values"

    @property
    def tensors(self):
        return Tensor("numbers", (4,), "float32"), Tensor("codes", (2,), "int32")

    def key(self):
        return {"version": 1}

    def read(self, source):
        numbers, _, codes = source.partition("|")
        return np.array(numbers.split(), np.float32), np.array(codes.split(), np.int32)

    def show(self, row):
        return str(row)


FACTS = Backbone("measure:all", Measurements(), (Stage("first", 4 * 16 + 16 + 8 * 4), Stage("second", 20 * 16 + 16)))


class Measuring(BackboneProvider):
    """One network of two stages."""

    def names(self):
        return ("all",)

    def facts(self, name, image_size=None):
        return FACTS

    def load(self, name, *, image_size=None, weights=None):
        import keras

        keras.utils.set_random_seed(1)
        numbers, codes = keras.Input((4,), name="numbers"), keras.Input((2,), dtype="int32", name="codes")
        dense = keras.layers.Dense(16, activation="relu", name="first_dense")(numbers)
        embedded = keras.layers.Embedding(8, 4, name="first_embedding")(codes)
        x = keras.layers.Concatenate()([dense, keras.layers.GlobalAveragePooling1D()(embedded)])
        x = keras.layers.Dense(16, activation="relu", name="second_dense")(x)
        stages = {"first_dense": "first", "first_embedding": "first", "second_dense": "second"}
        return LoadedBackbone(FACTS, keras.Model([numbers, codes], x), stages, weights="random")


@pytest.fixture(scope="module")
def run(tmp_path_factory, tensorflow):
    folder, rng = tmp_path_factory.mktemp("measurements"), np.random.default_rng(0)
    with open(folder / "data.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("values", "label"))
        for number in range(120):
            label = number % 3
            values, codes = rng.normal(label - 1, 0.3, 4), (rng.integers(0, 8), label)
            rows.writerow((f"{' '.join(f'{value:.4f}' for value in values)} | {codes[0]} {codes[1]}", CLASSES[label]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "backbone", lambda identity, trust=False: (Measuring(), "all"))
        yield tlapp.train(
            plugin="full", data=str(folder / "data.csv"), backbone="measure:all", epochs=40, learning_rate=0.02,
            run=str(folder / "run"),
        )  # fmt: skip


@pytest.mark.parametrize(
    "kind, quantize",
    [
        pytest.param("savedmodel", "none", marks=pytest.mark.slow),
        ("tflite", "none"),
        ("tflite", "dynamic"),
        ("tflite", "int8"),
        pytest.param("keras", "none", marks=pytest.mark.slow),
    ],
)
def test_it_is_written_checked_and_verified(kind, quantize, run, tmp_path):
    folder = tmp_path / "out"
    report = export(run, ExportOptions(format=kind, quantize=quantize, output=str(folder), max_drop=0.1))
    assert report["passed"] and report["check"]["accuracy_before"] > 0.9 and "image_size" not in report
    facts = json.loads((folder / "golden.json").read_text())
    assert facts["input"] == {"kind": "arrays", "names": ["numbers", "codes"], "noun": "measurement"}
    with np.load(folder / facts["vectors"][0]["file"]) as vector:
        assert (vector["numbers"].dtype, vector["codes"].dtype) == (np.float32, np.int32)
    result = verify(folder)
    assert result["images"] == 8 and result["largest_difference"] < 1e-4
    card = (folder / "README.md").read_text()
    assert "pipeline_tag: tabular-classification" in card and "picture" not in card and "test measurements" in card
    assert "numbers of shape 4, codes of shape 2" in card
    (folder / "classify.py").write_text(card.partition("```python\n")[2].partition("```")[0])
    done = subprocess.run(
        [sys.executable, "classify.py", facts["vectors"][0]["file"]], cwd=folder, capture_output=True, text=True, check=True
    )
    label, probability = done.stdout.split()
    expected = facts["vectors"][0]["probabilities"]
    assert label == run.labels[int(np.argmax(expected))] and abs(float(probability) - max(expected)) < 1e-3


def test_a_saved_model_has_named_inputs_and_no_endpoint_of_pictures(run):
    import tensorflow as tf

    folder = Path(export(run, ExportOptions(format="savedmodel"))["folder"])
    loaded = tf.saved_model.load(str(folder / "1"))
    assert set(loaded.signatures) == {"serving_default"}
    specs = loaded.signatures["serving_default"].structured_input_signature[1]
    assert {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in specs.items()} == {
        "numbers": ("float32", [None, 4]), "codes": ("int32", [None, 2]),
    }  # fmt: skip


def test_other_answers_and_a_program_for_a_phone_are_refused(run, tmp_path):
    folder = tmp_path / "out"
    export(run, ExportOptions(format="tflite", output=str(folder)))
    facts = json.loads((folder / "golden.json").read_text())
    facts["vectors"][2]["probabilities"][0] += 0.01
    (folder / "golden.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"golden/2.npz: an answer differs by 0.01"):
        verify(folder)
    with pytest.raises(UserError, match="there is none for a model that takes a measurement"):
        snippets.snippet("swift", named("tflite"), run.input.export)
