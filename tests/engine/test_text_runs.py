"""A run on texts: cached and not, its folder, its answers, and the front without padding."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from helpers.bert_folders import bert_folder
from helpers.texts import TextBackbones, sentence, write_texts
from tlapp_plugins.freeze import Freeze
from tlapp_plugins.partial import Partial

import tlapp
from tlapp.engine.data.naming import named
from tlapp.engine.job import Job
from tlapp.engine.options import RunOptions
from tlapp.engine.report import Silent
from tlapp.engine.run import train
from tlapp.engine.runs.saved import SavedRun
from tlapp.errors import UserError
from tlapp.testing import Dense, tiny_run
from tlapp.testing.trial import Interrupter, Trial

STRATEGIES = {
    "freeze": Freeze(epochs=40, learning_rate=3e-2),
    "partial": Partial(last=1, warmup=5, epochs=10, learning_rate=1e-2),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_texts(tmp_path_factory.mktemp("texts") / "texts.csv", each=30, most=50)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory, tensorflow):
    return tiny_run(STRATEGIES["partial"], data, tmp_path_factory.mktemp("run") / "run", provider=TextBackbones())


def test_it_trains_alike_with_and_without_the_cache(run, data, tmp_path):
    plain = tiny_run(STRATEGIES["partial"], data, tmp_path / "run", provider=TextBackbones(), cache="off")
    for one, other in zip(run.work.model().weights, plain.work.model().weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-5)
    length = run.dataset.input.max_length
    assert length % 16 == 0 and run.work.streams.remembered.row_shape(run.work.slots[-1].cut.boundary[0])[0] == length


def test_its_folder_says_how_to_read_without_its_backbone(run):
    folder = run.record.folder
    finished = SavedRun(folder)  # no provider
    assert finished.input == run.dataset.input
    answers = finished.predict(["soup and bread and cheese", "the owl and the moon"])
    assert len(answers) == 2 and answers[0].file == "soup and bread and cheese"
    shares = json.loads((folder / "metrics.json").read_text())
    assert finished.evaluate(str(folder / "splits.csv"))["accuracy"] == pytest.approx(shares["test"]["accuracy"])
    assert json.loads((folder / "plan.json").read_text())["input"] == "text"


def test_the_front_computes_each_text_without_its_padding(run, tensorflow):
    """Whatever stands beside a text, and however long all are padded, its activations are the same."""
    from tlapp.engine.network.front import Front

    graph, rng = run.graph, np.random.default_rng(1)
    hidden = next(layer for layer in graph.layers if layer.name == "mix").output
    front = Front(graph, [hidden, graph.outputs[0]])
    texts = [sentence("sea", rng, most) for most in (3, 45, 10, 28, 5, 50, 18)]
    rows = np.stack([run.dataset.input.read(text)[0] for text in texts])
    together = front([rows])
    assert together[0].shape == (7, rows.shape[1], hidden.shape[-1])
    for number, row in enumerate(rows):
        (maps, features) = front([row[None]])
        np.testing.assert_allclose(together[0][number], maps[0], atol=1e-6)
        np.testing.assert_allclose(together[1][number], features[0], atol=1e-6)
        used = -(-np.count_nonzero(row) // 16) * 16
        assert not maps[0, used:].any(), "what was left out is zeros"
    np.testing.assert_allclose(together[1], graph(rows).numpy(), atol=1e-6)


@pytest.mark.slow
def test_simcse_s_passes_differ_by_dropout(tmp_path, tensorflow):
    """Loss of the first epoch: with much dropout the passes of one text are less alike than with none."""
    rng, words = (
        np.random.default_rng(0),
        ["good film", "bad book", "great day", "awful night", "the cat", "a dog", "it rain", "not work"],
    )
    for name in ("source", "target"):
        rows = [(f"{' and '.join(rng.choice(words, 3))}", "ab"[n % 2]) for n in range(40)]
        with open(tmp_path / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    losses = []
    for share in (0.0, 0.5):
        folder = bert_folder(tmp_path / f"bert{share}", {"hidden_dropout_prob": share})
        run = tlapp.train(
            plugin="self-supervised", data=str(tmp_path / "source.csv"), target=str(tmp_path / "target.csv"),
            backbone=f"bert:{folder}", last=1, warmup=1, source_epochs=1, epochs=1, learning_rate=1e-5,
            run=str(tmp_path / f"run{share}"),
        )  # fmt: skip
        with open(run.folder / "history.csv", newline="") as file:
            losses += [
                float(row["value"]) for row in csv.DictReader(file) if (row["phase"], row["name"]) == ("pretrain", "simcse")
            ]
    assert len(losses) == 2 and 0 < losses[0] < losses[1]


def test_what_a_person_names_is_a_text_a_file_or_a_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("soup")
    (tmp_path / "b.csv").write_text("text\nsoup\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "c.txt").write_text("wave")
    found = named(["a cat.", "a.txt", "more", "gone.txt", "b.csv", "*.txt"], run.dataset.input)
    assert found.sources == ["a cat.", "a.txt", "more/c.txt", "gone.txt", "b.csv", "a.txt"]
    assert set(found.bad) == {"gone.txt", "b.csv"}


def test_it_resumes(data, tmp_path, tensorflow):
    whole = Trial(job(data, tmp_path / "whole"))
    whole.all()
    stopped = Trial(job(data, tmp_path / "run"), listener=Interrupter("tune"))
    with pytest.raises(KeyboardInterrupt):
        stopped.all()
    stopped.work.save_state()
    stopped.release()
    again = Trial(job(data, tmp_path / "run"), resume=True)
    again.all()
    for one, other in zip(again.work.model().weights, whole.work.model().weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def job(data, folder, **options):
    chosen = RunOptions(data=str(data), run=str(folder), batch_size=8, **options)
    settings = chosen.model_dump(mode="json")
    return Job(chosen, STRATEGIES["partial"], Dense(), TextBackbones(), "small", settings, tuple(options), "strategy partial")


def test_it_is_held_against_what_needs_no_network(run):
    """The words of a sentence tell its class, which TF-IDF sees and a random network does not."""
    metrics = json.loads((run.record.folder / "metrics.json").read_text())
    plain = metrics["baselines"]["plain"]
    assert plain["accuracy"] > 0.9 and plain["accuracy"] > metrics["test"]["accuracy"]
    assert "TF-IDF with logistic regression, which needs no network, does better" in metrics["verdict"]
    known, asked = ["soup bread", "ship wave"] * 4, ["bread", "a wave"]
    model = run.dataset.input.plain_classifier().fit(known, [0, 1] * 4)
    assert model.predict(asked).tolist() == [0, 1]


def test_it_is_told_in_its_own_words(run):
    from tlapp.cli.screen import outline_lines

    first, second, *_ = outline_lines(run.outline)
    assert first.endswith(f"{run.dataset.input.max_length} tokens") and "; texts: " in second


@pytest.mark.parametrize(("option", "value"), [("augment", "basic"), ("resize", "crop"), ("image_size", 64)])
def test_what_is_for_pictures_is_refused(option, value, data, tmp_path):
    with pytest.raises(UserError, match="has no effect, because its examples are texts"):
        train(job(data, tmp_path / "run", **{option: value}), Silent())
