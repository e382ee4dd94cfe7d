"""What a run is beside baselines: each figure is recomputed from the run's files, and the sign of planted cases is right."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_place import furnish, of

import tlapp
from tlapp.engine.advice import probe
from tlapp.engine.advice.baselines import beside, verdict
from tlapp.engine.advice.scratch import origin
from tlapp.engine.data.intervals import difference
from tlapp.engine.runs.folder import SETTINGS
from tlapp.errors import UserError
from tlapp.testing import SIZE


@pytest.fixture(scope="module")
def place(tmp_path_factory, tensorflow):
    """A run that tuned, and one that was also held against random weights."""
    folder = furnish(tmp_path_factory.mktemp("verdict"), each=30)
    settings = {**of(folder), "epochs": 2}
    tlapp.train(plugin="full", warmup=0, run=str(folder / "full"), **settings)
    tlapp.train(plugin="freeze", run=str(folder / "freeze"), verdict=True, **settings)
    return folder


def test_the_baselines_are_those_of_frozen_features(place):
    run, first = tlapp.load(place / "full"), tlapp.load(place / "freeze")
    found, same = run.metrics["baselines"], first.metrics["baselines"]
    for name in ("majority", "neighbours", "logistic"):  # the other run tuned nothing, and its features were the same
        assert found[name]["accuracy"] == same[name]["accuracy"]
    rows = {split: [row for row in run.files.splits() if row["split"] == split] for split in ("train", "val", "test")}
    import keras
    from PIL import Image

    network = keras.saving.load_model(place / "tiny.keras")

    def features(split):
        images = [np.asarray(Image.open(row["path"]).convert("RGB").resize((SIZE, SIZE))) for row in rows[split]]
        return np.asarray(network(np.stack(images).astype("float32")))

    labels = {split: np.array([run.labels.index(row["label"]) for row in part]) for split, part in rows.items()}
    model = probe.chosen(features("train"), labels["train"], 3, (features("val"), labels["val"]))
    assert found["logistic"]["accuracy"] == pytest.approx((model(features("test")).argmax(1) == labels["test"]).mean())
    assert found["majority"]["accuracy"] == pytest.approx((labels["test"] == np.bincount(labels["train"]).argmax()).mean())
    assert [(each["tuned"], each["trained"]) for each in (found, same)] == [(True, True), (False, False)]
    every = found["cross_validated"]
    assert every["n"] == sum(map(len, labels.values())) and every["accuracy_interval"][0] < every["accuracy"]


def test_differences_are_paired_with_the_runs_own_answers(place):
    run = tlapp.load(place / "freeze")
    found = run.metrics["baselines"]["majority"]
    assert found["difference"] == pytest.approx(run.metrics["test"]["accuracy"] - found["accuracy"])
    low, high = found["difference_interval"]
    assert low < found["difference"] < high


def test_random_weights_are_tried_in_its_folder(place):
    run = tlapp.load(place / "freeze")
    scratch = run.metrics["baselines"]["scratch"]
    tries = {name: tlapp.load(place / "freeze" / "scratch" / name) for name in ("full", "feature-extract")}
    best = max(tries, key=lambda name: tries[name].metrics["val"]["accuracy"])
    assert scratch["plugin"] == best and scratch["accuracy"] == pytest.approx(tries[best].metrics["test"]["accuracy"])
    assert "training from scratch" in run.metrics["verdict"]
    assert "training from scratch" in (place / "freeze" / "report.html").read_text()
    assert not list((place / "freeze" / "scratch").rglob("report.html"))
    assert [row["path"] for row in tries[best].files.splits()] == [row["path"] for row in run.files.splits()]
    import keras

    known = keras.saving.load_model(place / "tiny.keras").get_weights()[0]
    assert not any(np.array_equal(known, weight) for weight in tries["feature-extract"].model.get_weights())
    assert any(np.array_equal(known, weight) for weight in run.model.get_weights())


def test_a_task_learnt_before_is_held_against_none(place):
    settings = {**of(place), "epochs": 2, "backbone": f"file:{place / 'full'}"}
    run = tlapp.train(plugin="freeze", run=str(place / "second"), verdict=True, **settings)
    plain, origin = tlapp.load(place / "second" / "scratch" / "origin"), run.metrics["baselines"]["origin"]
    assert plain.settings["backbone"] == origin["backbone"] == of(place)["backbone"]
    assert plain.settings["plugin"] == "freeze" and plain.settings["image_size"] == run.settings["image_size"]
    assert origin["accuracy"] == pytest.approx(plain.metrics["test"]["accuracy"])
    assert origin["difference"] == pytest.approx(run.metrics["test"]["accuracy"] - origin["accuracy"])
    assert f"starting from {origin['backbone']}" in run.metrics["verdict"]
    assert "the same from the backbone as it was before" in (place / "second" / "report.html").read_text()
    assert "origin" not in tlapp.load(place / "freeze").metrics["baselines"]


def test_the_origin_of_a_run_of_a_run_is_what_was_there_before_any_task(tmp_path):
    first = {"backbone": "bert:minilm", "backbone_weights": None, "image_size": None}
    for name, backbone in (("near", "bert:minilm"), ("second", f"file:{tmp_path / 'near'}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / SETTINGS).write_text(f"plugin: full\nbackbone: {backbone}\n")
    assert origin(f"file:{tmp_path / 'near'}") == origin(f"file:{tmp_path / 'second' / 'model.keras'}") == first
    assert origin("bert:minilm") == origin(f"file:{tmp_path / 'other.keras'}") == {}


@pytest.mark.parametrize(
    "difference, words", [(0.2, "helps: +20.0"), (0.0, "made no sure difference: +0.0"), (-0.2, "harms: -20.0")]
)
def test_an_earlier_task_in_words(difference, words):
    close = {"accuracy": 0.8, "difference": difference, "difference_interval": [difference - 0.1, difference + 0.1]}
    found = {"tuned": False, "majority": close, "logistic": close, "origin": {**close, "backbone": "bert:minilm"}}
    assert f"the task learnt before {words}" in verdict(found)
    assert ("try option backbone=bert:minilm" in verdict(found)) == (difference < 0)


def test_many_classes_do_not_take_minutes(monkeypatch):
    rng, steps = np.random.default_rng(0), []
    from sklearn.linear_model import LogisticRegression

    real = LogisticRegression.__init__
    monkeypatch.setattr(LogisticRegression, "__init__", lambda self, **how: (steps.append(how["max_iter"]), real(self, **how))[1])
    labels = np.arange(600) % 200
    features = rng.normal(size=(600, 300)) + 4 * rng.normal(size=(200, 300))[labels]
    model = probe.logistic(features, labels, 200, probe.PENALTIES[1])
    assert (model(features).argmax(1) == labels).mean() > 0.9
    probe.logistic(features[:20], labels[:20] % 2, 200, probe.PENALTIES[1])
    assert steps == [int(probe.WORK / (2 * 600 * 300 * 200)), 300]


def planted(better, worse, n=200):
    ours, theirs = np.zeros(n, bool), np.zeros(n, bool)
    ours[: n // 2], theirs[: n // 2] = True, True
    ours[n // 2 : n // 2 + better], theirs[n // 2 + better : n // 2 + better + worse] = True, True
    return beside(ours, theirs)


@pytest.mark.parametrize(
    ("better", "worse", "tuned", "words"),
    [
        (30, 5, True, "tuning helps: +12.5 points"),
        (5, 30, True, "tuning hurt: -12.5 points"),
        (9, 8, True, "tuning added nothing sure over logistic regression on the frozen features: +0.5 points"),
        (5, 30, False, "-12.5 points (-17.9 to -6.8) beside logistic regression on the same features"),
        (9, 8, False, "over always the most frequent class; logistic regression on the features: "),
    ],
)
def test_the_sentence(better, worse, tuned, words):
    found = {"tuned": tuned, "majority": planted(60, 0), "logistic": planted(better, worse)}
    assert words in verdict(found)
    for difference_to, sentence in ((planted(40, 3), "transfer helps: +18.5"), (planted(3, 40), "negative transfer: -18.5"),
                                    (planted(4, 4), "transfer made no sure difference")):  # fmt: skip
        assert verdict({**found, "scratch": difference_to}).startswith(sentence)
    assert "do not say what is asked" in verdict({**found, "majority": planted(6, 5)})
    if tuned:  # by a graft that reads more of the frozen network, as `probe`'s
        read = verdict({**found, "trained": False})
        assert read.startswith(f"what is read of earlier stages {words.split()[1]}")
        assert "the last stage's features" in read and "tuning" not in read and "freeze" not in read


def test_a_paired_difference_is_of_the_same_examples():
    rng = np.random.default_rng(0)
    ours = rng.random(100) < 0.8
    assert difference(ours, ours) == pytest.approx([-difference(ours, ours)[1], difference(ours, ours)[1]])
    assert difference(ours, ~ours)[0] < 2 * ours.mean() - 1 < difference(ours, ~ours)[1] + 0.02


def test_where_there_is_nothing_to_hold_it_against_it_is_refused(place, tmp_path):
    with pytest.raises(UserError, match="needs a test set with one class an example"):
        tlapp.train(
            plugin="freeze", data=str(place / "data"), backbone=f"file:{place}/tiny.keras", image_size=SIZE, epochs=1,
            verdict=True, head="multilabel", run=str(tmp_path / "many"),
        )  # fmt: skip
    assert not (tmp_path / "many" / "metrics.json").exists()  # before anything was trained
