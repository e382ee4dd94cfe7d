"""`tlapp explain`: PNGs side by side, JSON, the class that is asked for, and what cannot be explained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import tlapp
from tlapp.cli.main import run
from tlapp.engine.inputs.texts import Texts
from tlapp.engine.visuals.explain import check_takes_pictures
from tlapp.engine.visuals.overlay import in_the_file, overlaid, peak_of, shown
from tlapp.errors import UserError

KEPT = Path(__file__).parents[1] / "data" / "run-0.1.0"
"""A finished run of the tiny network, its pictures and its export."""


@pytest.fixture
def here(tensorflow, monkeypatch, tmp_path):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return KEPT


def test_pngs_and_json(here, capfd):
    wide = Image.open(here / "images" / "circle" / "000.png").resize((64, 32))
    wide.save("wide one.png")
    words = ["explain", str(here / "run"), "wide one.png", str(here / "images" / "square"), "--json"]
    assert run(words) == 0
    found = json.loads(capfd.readouterr().out)["explanations"]
    assert [each["image"] for each in found] == [
        f"heat-maps/{name}.png" for name in ("wide-one", "000", "001", "002", "003", "004", "005")
    ]
    assert Image.open(found[0]["image"]).size == (2 * 320 + 8, 160)
    answers = tlapp.load(here / "run").predict([each["path"] for each in found])
    for each, answer in zip(found, answers, strict=True):
        assert each["label"] == each["explained"] == answer.label
        assert each["probability"] == pytest.approx(answer.value, abs=1e-5)
        assert 0 <= each["peak"]["x"] <= 1 and each["method"] == "grad-cam" and each["maps"] == [[4, 4]]
    assert found[0]["peak"]["pixel"][0] == int(found[0]["peak"]["x"] * 64)
    before = {each["image"]: Path(each["image"]).read_bytes() for each in found}
    assert run(words[:-1]) == 0
    assert "wide one.png: " in (out := capfd.readouterr().out) and "heat-maps/wide-one-2.png" in out
    assert {name: Path(name).read_bytes() for name in before} == before


def test_a_class_that_is_asked_for(here):
    files = [here / "images" / "circle" / "000.png"]
    (plain,) = tlapp.explain(here / "run", files)
    other = next(label for label in tlapp.load(here / "run").labels if label != plain.label)
    (asked,) = tlapp.explain(here / "run", files, label=other)
    assert asked.explained == other and asked.explained_probability < asked.probability
    assert (asked.label, asked.probability) == (plain.label, pytest.approx(plain.probability))
    assert plain.heat.shape == asked.heat.shape == (32, 32) and np.abs(plain.heat - asked.heat).max() > 0.1
    assert plain.image is None


def test_one_bad_file_costs_no_other(here, capfd):
    Path("bad.jpg").write_bytes(b"no picture")
    assert run(["explain", str(here / "run"), "bad.jpg", str(here / "images" / "circle" / "000.png")]) == 2
    out, error = capfd.readouterr()
    assert "000.png: " in out and "bad.jpg: not a picture" in error and "1 of 2 pictures cannot be read" in error
    with pytest.raises(UserError, match="not a picture"):
        tlapp.explain(here / "run", ["bad.jpg"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run images --label strip", "--label strip: the run knows no such class; did you mean stripe?"),
        ("exported images", "exported: is an export, which holds no gradients; name the run that it was made of"),
        ("images images", "images: is neither a run nor an export"),
        ("stopped images", "stopped: this run did not finish"),
        ("run images --output file", "--output file: cannot be made"),
    ],
)
def test_what_cannot_be_explained_ends_in_a_sentence(here, capfd, words, said):
    for name in ("run", "exported", "images"):
        Path(name).symlink_to(here / name)
    shutil.copytree(here / "run", "stopped", ignore=shutil.ignore_patterns("metrics.json"))
    Path("file").touch()
    assert run(["explain", *words.split()]) == 2
    assert f"tlapp: {said}" in capfd.readouterr().err


def test_only_pictures_are_explained():
    with pytest.raises(UserError, match="heat maps are for pictures, and this run takes texts"):
        check_takes_pictures(SimpleNamespace(folder="r", input=Texts(("[PAD]",), max_length=16)))


@pytest.mark.parametrize(
    ("resize", "peak", "pixel"),
    [
        ("squash", (0.25, 0.5), [50, 50]), ("crop", (0.5, 0.5), [100, 50]), ("crop", (0.0, 0.0), [50, 0]),
        ("pad", (0.5, 0.5), [100, 50]), ("pad", (0.0, 0.25), [0, 0]), ("pad", (0.5, 0.1), [100, 0]),
    ],
)  # fmt: skip
def test_a_peak_is_told_in_the_files_own_pixels(resize, peak, pixel):
    found = in_the_file(peak, (200, 100), resize)
    assert found["pixel"] == pytest.approx(pixel, abs=1)
    assert found["x"] == pytest.approx(found["pixel"][0] / 200, abs=0.01)


def test_a_stretched_picture_is_shown_in_its_own_shape():
    picture = Image.new("RGB", (224, 224))
    assert shown(picture, (400, 100), "squash", 320).size == (320, 80)
    assert shown(picture, (400, 100), "crop", 320).size == shown(picture, None, "squash", 320).size == (320, 320)


def test_heat_covers_what_is_hot_and_nothing_else():
    picture, heat = Image.new("RGB", (8, 8), (10, 200, 10)), np.zeros((8, 8), np.float32)
    assert np.array_equal(overlaid(picture, heat), picture) and peak_of(heat) is None
    heat[2, 6] = 1
    after = np.asarray(overlaid(picture, heat))
    assert peak_of(heat) == (6.5 / 8, 2.5 / 8) and after[2, 6, 0] > 150
    assert np.array_equal(np.delete(after.reshape(64, 3), 2 * 8 + 6, 0), np.delete(np.asarray(picture).reshape(64, 3), 22, 0))
