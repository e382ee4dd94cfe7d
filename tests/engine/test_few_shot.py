"""A run for other classes by a few examples of each: the network as it is, a head that nothing trained."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import tlapp
from tlapp.cli.main import run as command
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones, pictures


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """A run that knows three shapes; eight pictures each of two shapes that are called new, and ten more of each."""
    folder = tmp_path_factory.mktemp("few")
    every, others = pictures(folder / "every", each=20), pictures(folder / "others", each=18, seed=7)
    for shape in sorted(path.name for path in others.iterdir())[:2]:
        files = sorted((others / shape).iterdir())
        for part, chosen in (("support", files[:8]), ("query", files[8:])):
            (folder / part / f"new {shape}").mkdir(parents=True)
            for file in chosen:
                shutil.copy(file, folder / part / f"new {shape}")
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    settings = {"backbone": f"file:{folder}/tiny.keras", "image_size": SIZE, "plugin": "feature-extract"}
    tlapp.train(data=str(every), classifier="lda", refit=False, run=str(folder / "run"), **settings)
    tlapp.train(data=str(every), run=str(folder / "logistic"), **settings)
    return folder


def test_the_new_run_knows_the_new_classes_and_exports(place, tmp_path):
    made = tlapp.adapt(place / "run", place / "support", tmp_path / "made", query=place / "query", views=1)
    old = tlapp.load(place / "run")
    assert made.labels == tuple(sorted(path.name for path in (place / "support").iterdir()))
    assert made.metrics["test"]["accuracy"] > 0.6 and made.metrics["test"]["n"] == 20
    known = {layer.name: layer.get_weights() for layer in old.model.layers[:-2]}
    for layer in made.model.layers:
        for a, b in zip(layer.get_weights(), known.get(layer.name, layer.get_weights()), strict=True):
            np.testing.assert_array_equal(a, b)
    assert set(known) - {layer.name for layer in made.model.layers} == set()
    query = sorted((place / "query").rglob("*.png"))
    right = np.mean([answer.label == file.parent.name for answer, file in zip(made.predict(query), query, strict=True)])
    assert right == pytest.approx(made.metrics["test"]["accuracy"])
    assert command(["export", str(tmp_path / "made"), "--format", "tflite"]) == 0
    assert {row["split"] for row in made.files.splits()} == {"train", "test"}


def test_views_move_what_is_learnt(place, tmp_path):
    heads = [
        tlapp.adapt(place / "run", place / "support", tmp_path / str(views), views=views).model.layers[-2].get_weights()[-1]
        for views in (1, 3)
    ]
    assert np.abs(heads[0] - heads[1]).max() > 1e-3


def test_without_a_query_it_predicts_and_an_export_says_that_it_cannot_be_checked(place, tmp_path, capfd):
    words = ["adapt", str(place / "run"), "--support", str(place / "support"), "--output", str(tmp_path / "made")]
    assert command(words) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].startswith("2 classes: new ") and out[-1] == f"run: {tmp_path}/made"
    assert command(["export", str(tmp_path / "made"), "--format", "tflite"]) == 2
    assert "made: has no test pictures that an export could be checked on" in capfd.readouterr().err
    assert command(words) == 2
    assert f"--output {tmp_path}/made: already exists; remove it, or name another" in capfd.readouterr().err


def test_what_cannot_be_made_leaves_nothing(place, tmp_path):
    one = tmp_path / "one"
    shutil.copytree(next((place / "support").iterdir()), one / "alone")
    bad = shutil.copytree(place / "support", tmp_path / "bad")
    next(bad.rglob("*.png")).write_bytes(b"no picture")
    for run, support, sentence in (
        ("logistic", place / "support", "cannot be taught without its examples: its classifier keeps no sums"),
        ("run", tmp_path / "nowhere", "there is no such file or folder"),
        ("run", one, "expected pictures of at least two classes. Received: alone"),
        ("run", bad, r"\.png: "),
    ):
        with pytest.raises(UserError, match=sentence):
            tlapp.adapt(place / run, support, tmp_path / "made")
        assert not (tmp_path / "made").exists()
