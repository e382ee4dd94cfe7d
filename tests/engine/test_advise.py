"""Advice is what was measured: accuracies are recomputed, planted cases are told, and no test picture is looked at."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from helpers.tiny_place import furnish

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.advice import advise, probe
from tlapp.engine.inputs.images import Images
from tlapp.errors import UserError
from tlapp.testing import SIZE, pictures


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    return furnish(tmp_path_factory.mktemp("advise"), each=40)


@pytest.fixture(scope="module")
def found(place):
    return tlapp.advise(place / "data", [f"file:{place}/tiny.keras"], image_size=SIZE)


def test_it_is_of_train_and_val_alone_and_of_the_backbones_own_features(place, found):
    (each,) = found["backbones"].values()
    run = tlapp.train(
        data=str(place / "data"), backbone=f"file:{place}/tiny.keras", image_size=SIZE, plugin="freeze", epochs=1,
        run=str(place / "run"),
    )  # fmt: skip
    import keras
    from PIL import Image

    network = keras.saving.load_model(place / "tiny.keras")
    rows = [row for split in ("train", "val") for row in run.files.splits() if row["split"] == split]
    images = [np.asarray(Image.open(row["path"]).convert("RGB").resize((SIZE, SIZE))) for row in rows]
    features = np.asarray(network(np.stack(images).astype("float32")))
    labels = np.array([run.labels.index(row["label"]) for row in rows])
    right = 0
    for train, test in probe.folds(labels, [""] * len(labels), 1):
        model = probe.logistic(features[train], labels[train], 3, probe.PENALTIES[1])
        right += int((model(features[test]).argmax(1) == labels[test]).sum())
    assert each["accuracy"] == pytest.approx(right / len(labels), abs=0.03)  # folding the front rounds otherwise
    assert sum(found["images"][name] for name in ("train", "val")) == len(labels)
    assert found["most"] + found["least"] <= len(labels) and each["ms"] > 0


def test_the_yaml_trains(place, found, capfd):
    output = place / "advised.yaml"
    arguments = ["advise", "--data", str(place / "data"), "--backbones", f"file:{place}/tiny.keras", "--image-size", str(SIZE)]
    assert command([*arguments, "--output", str(output)]) == 0
    out = capfd.readouterr().out
    assert "on its features" in out and "advice: tlapp train --plugin " in out and f"written: {output}" in out
    assert yaml.safe_load(output.read_text()) == found["settings"]
    assert command(["train", "--config", str(output), "--dry-run"]) == 0
    assert command([*arguments, "--output", str(output)]) == 2 and "already exists" in capfd.readouterr().err
    assert command([*arguments, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["settings"] == found["settings"]


def test_labels_that_are_no_classes_are_refused(place):
    with pytest.raises(UserError, match="which needs one label an example"):
        tlapp.advise(place / "data", [f"file:{place}/tiny.keras"], image_size=SIZE, head="multilabel")


def task(n, classes=4, size=20, apart=2.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(n, size)) + apart * rng.normal(size=(classes, size))[labels], labels


def test_the_curve_goes_on_from_its_last_point_by_an_exponent_between_its_own_and_the_usual_one():
    features, labels = task(800, apart=0.6)
    told = advise.curve(features, labels, 4)
    sizes, accuracies = np.array(told["points"]).T
    assert sizes.tolist() == [80, 160, 320, 640] and (np.diff(accuracies) > 0).all()
    own = np.polyfit(np.log(sizes), np.log(1 - accuracies), 1)[0]
    for times in (2, 4):
        each = told[str(times)]
        assert each["accuracy"] == pytest.approx(1 - (1 - accuracies[-1]) * times ** (0.25 * own - 0.75 * 0.25))
        least = 1.96 * (accuracies[-1] * (1 - accuracies[-1]) / 800) ** 0.5 / 2  # what so few examples leave open anyway
        assert each["interval"][0] < each["accuracy"] - least and each["accuracy"] + least < each["interval"][1] + least


def test_a_point_of_the_curve_is_the_mean_of_all_folds_also_where_they_differ_in_size():
    features, labels = task(803, apart=0.6)
    assert [size for size, _ in advise.curve(features, labels, 4)["points"]] == [80, 160, 321, 642]


def test_the_forecast_holds_where_it_can_be_measured_and_its_intervals_hold_the_truth():
    off, inside = [], []
    for seed, apart in enumerate((0.3, 0.5, 0.7)):
        features, labels = task(1600, size=40, apart=apart, seed=seed)
        truth = advise.judged(features, labels, 4, [""] * 1600).accuracy
        for quarter in range(4):
            told = advise.curve(features[quarter::4], labels[quarter::4], 4)["4"]
            off.append(told["accuracy"] - truth)
            inside.append(told["interval"][0] <= truth <= told["interval"][1])
    assert np.median(np.abs(off)) <= 0.025 and abs(np.mean(off)) <= 0.02 and np.mean(inside) >= 0.9


def test_a_class_of_fewer_pictures_than_folds_is_told(tmp_path, place):
    pictures(tmp_path / "data", each=5)
    with pytest.raises(UserError, match=r"class \w+ has \d pictures besides those for testing; advice takes at least 5"):
        tlapp.advise(tmp_path / "data", [f"file:{place}/tiny.keras"], image_size=SIZE)


def planted(stages, labels, count=3):
    class Outline:
        classes, params, licence, image_size = tuple("abcd"), 10, "", 32

    return advise.Features(
        stages, labels, [""] * len(labels), 1.0, Outline, {"train": len(labels)}, Images(32), [""] * len(labels)
    )


def test_a_domain_is_far_where_earlier_stages_know_more():
    good, labels = task(600)
    noise = np.random.default_rng(1).normal(size=good.shape)
    near, far = (
        advise.backbone(planted({"a": noise, "b": good}, labels)),
        advise.backbone(planted({"a": good, "b": noise}, labels)),
    )
    assert not near["far"] and far["far"] and far["stages"]["a"] > 0.9 and far["accuracy"] < 0.4


def test_the_better_backbone_comes_first_and_the_rules_say_why():
    good, labels = task(600)
    poor = good + 3 * np.random.default_rng(1).normal(size=good.shape)
    told = advise.advice({"poor": planted({"b": poor}, labels), "good": planted({"b": good}, labels)})
    assert list(told["backbones"]) == ["good", "poor"] and told["settings"] == {"plugin": "auto", "backbone": "good"}
    few = advise.advice({"good": planted({"b": good[:60]}, labels[:60])})
    assert few["settings"]["plugin"] == "freeze" and any("few: train the head only" in each for each in few["reasons"])
    nothing = np.random.default_rng(0).normal(size=(600, 5))
    assert any("transfer is doubtful" in each for each in advise.advice({"x": planted({"b": nothing}, labels)})["reasons"])


@pytest.fixture(scope="module")
def negatives(place):
    """The same pictures, other ones and in negative, without classes."""
    from PIL import Image, ImageOps

    pictures(place / "other", each=40, seed=5)
    for path in (place / "other").rglob("*.png"):
        for folder, changed in (("alike", Image.open(path)), ("negative", ImageOps.invert(Image.open(path).convert("RGB")))):
            (place / folder).mkdir(exist_ok=True)
            changed.save(place / folder / f"{path.parent.name}-{path.name}")
    return place


@pytest.mark.parametrize(("folder", "different"), [("alike", False), ("negative", True)])
def test_a_target_that_looks_different_is_told(negatives, folder, different, capfd):
    place, target = negatives, negatives / folder
    words = ["advise", "--data", str(place / "data"), "--backbones", f"file:{place}/tiny.keras", "--image-size", str(SIZE)]
    output = place / f"{folder}.yaml"
    assert command([*words, "--target", str(target), "--json", "--output", str(output)]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["target"]["different"] == different and found["target"]["images"] == 120
    low, high = found["target"]["interval"]
    assert low <= found["target"]["told_apart"] <= high and (found["target"]["told_apart"] > 0.9) == different
    assert f"the target looks {'different' if different else 'like the data'}" in found["reasons"][-1]
    assert (found["settings"].get("target"), found["settings"]["plugin"] == "auto") == (
        (str(target), True) if different else (None, found["settings"]["plugin"] == "auto")
    )
    assert command(["train", "--config", str(output), "--dry-run"]) == 0
