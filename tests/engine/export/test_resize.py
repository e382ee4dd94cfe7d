"""How a picture becomes a square is part of an export's contract: its endpoints, vectors, metadata and programs do it alike."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tlapp
from tlapp.engine.export import snippets
from tlapp.engine.export.export import export
from tlapp.engine.export.formats import named
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.export.verify import verify
from tlapp.testing import SIZE, TinyBackbones

WORDS = {
    "squash": "squashed to a square", "crop": "cut to its centre square", "pad": "fitted into a square with black bars",
}  # fmt: skip

WHITE = {"kotlin": ("canvas.drawRect", "canvas.drawBitmap"), "swift": ("UIColor.white.setFill", "picture.draw(at:")}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Wide and tall pictures whose middle has the colour of the class, and whose ends have another."""
    folder, rng = tmp_path_factory.mktemp("wide"), np.random.default_rng(0)
    for name, colour in {"blue": (30, 60, 200), "green": (40, 180, 60), "red": (210, 50, 40)}.items():
        (folder / name).mkdir()
        for number in range(12):
            picture = rng.integers(0, 256, (61, 119, 3), dtype=np.uint8)
            picture[:, 35:85] = np.clip(rng.normal(colour, 20, (61, 50, 3)), 0, 255)
            turned = picture if number % 2 else picture.transpose(1, 0, 2)
            Image.fromarray(turned).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(
    scope="module", params=[pytest.param("squash", marks=pytest.mark.slow), pytest.param("crop", marks=pytest.mark.slow), "pad"]
)
def run(request, data, tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp(request.param)
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    return tlapp.train(
        plugin="full", data=str(data), backbone=f"file:{folder}/tiny.keras", image_size=SIZE, epochs=8, learning_rate=0.01,
        resize=request.param, run=str(folder / "run"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def exports(run):
    return {kind: Path(export(run, ExportOptions(format=kind))["folder"]) for kind in ("savedmodel", "tflite")}


def test_it_is_written_down(run, exports):
    resize = run.settings["resize"]
    for folder in exports.values():
        facts = json.loads((folder / "golden.json").read_text())["input"]
        assert facts == {"kind": "image", "names": ["image"], "noun": "picture", "size": SIZE, "resize": resize}
        assert WORDS[resize] in (folder / "README.md").read_text()
        assert verify(folder)["largest_difference"] < 1e-4
    assert WORDS[resize].encode() in (exports["tflite"] / "model.tflite").read_bytes()


def test_encoded_files_are_treated_as_in_training(run, exports):
    check = json.loads((exports["savedmodel"] / "export.json").read_text())["check"]
    assert check["files"]["n"] == check["n"] and check["files"]["largest_difference"] < 0.1


@pytest.mark.parametrize("language", ["kotlin", "swift"])
@pytest.mark.parametrize("labelling", ["one", "many", "known"])
def test_programs_for_phones_do_it_too(language, labelling, run):
    program = snippets.snippet(
        language, named("tflite"), run.input.export, labelling.replace("known", "one"), labelling == "known"
    )
    assert ("unknown (" in program) == (labelling == "known")
    resize = run.settings["resize"]
    sides = [side for side in ("min", "max") if re.search(rf"\b{side}(Of)?\(", program)]
    assert sides == {"squash": [], "crop": ["min"], "pad": ["max"]}[resize]
    white, content = (program.index(each) for each in WHITE[language])
    assert white < content, "transparency lies over white"
    assert language == "swift" or "ExifInterface.TAG_ORIENTATION" in program
    assert WORDS[resize].replace("squashed to a square", "squashed to the model's square") in program
    assert "{" not in program.replace("{\n", "").replace("${", "").replace("{ ", "").replace("{}", "")
    assert program.count("{") == program.count("}") and program.count("(") == program.count(")")
