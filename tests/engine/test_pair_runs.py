"""A run on pairs of texts: what it writes is read again, and its exports take two texts, as training did."""

import csv
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from helpers.bert_folders import bert_folder

import tlapp
from tlapp.cli.standard_input import names_from
from tlapp.engine.data.naming import named
from tlapp.engine.export.formats import savedmodel, serve
from tlapp.engine.export.verify import verify
from tlapp.errors import UserError

SIDES = (("good", "great", "fine"), ("bad", "awful", "poor"))
PAIRS = [("a good great film", "the food is awful"), ("bad day, very poor. " * 12, "fine")]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tensorflow):
    """The second text says which of the two sides a pair is of: without it there is nothing to know."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    with open(folder / "pairs.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "text2", "label"])
        for number in range(90):
            first = rng.choice(["the", "film", "is", "day", "cat"], int(rng.integers(2, 5)))
            rows.writerow([" ".join(first), " ".join(rng.choice(SIDES[number % 2], 8)), ("praise", "blame")[number % 2]])
    backbone = f"bert:{bert_folder(folder / 'bert')}"
    return tlapp.train(plugin="feature-extract", data=str(folder / "pairs.csv"), backbone=backbone, run=str(folder / "run"))


@pytest.fixture(scope="module")
def tflite(run):
    return Path(tlapp.export(run.folder, format="tflite")["folder"])


def test_the_second_text_is_learnt_from(run):
    assert run.metrics["test"]["accuracy"] >= 0.75


def test_what_it_writes_is_read_again(run):
    splits = run.files.file("splits.csv")
    again = tlapp.load(run.folder)
    assert again.input == run.input and again.input.pairs
    assert again.evaluate(str(splits))["accuracy"] == pytest.approx(run.metrics["test"]["accuracy"])
    assert again.evaluate(run.settings["data"])["trained_on"] > 40, "the same pairs are found by both files"


def test_predict_takes_tabs_and_json(run):
    sources = ["a good great film\tthe food is awful", '["a good great film", "the food is awful"]', "a good great film"]
    found = named(sources, run.input)
    assert not found.bad
    first, second, bad = run.answers(found.sources)
    assert first.labels == second.labels and run.input.title(first.file) == '"a good great film | the food is awful"'
    assert "expected two texts: with a tab between them" in bad.reason
    assert names_from(TextIOWrapper(BytesIO(f"{sources[0]}\n{sources[1]}\n".encode())), "") == sources[:2]


def test_a_saved_model_takes_two_strings(run, tmp_path):
    """And its own check, which reads both from a file with a tab between them, asks it alike."""
    import tensorflow as tf

    (tmp_path / "labels.txt").write_text("\n".join(run.labels))
    savedmodel.write(run.model, run.labels, tmp_path, "one", run.input.export)
    endpoint = tf.saved_model.load(str(tmp_path / "1")).signatures["serve_text"]
    expected = run.probabilities([np.stack([run.input.read("\t".join(pair))[0] for pair in PAIRS])])
    first, second = (tf.constant(texts) for texts in zip(*PAIRS, strict=True))
    np.testing.assert_allclose(endpoint(texts=first, texts2=second)["probabilities"], expected, atol=1e-5)
    files = [run.input.export.save_content("\t".join(pair).encode(), tmp_path / pair[1]) for pair in PAIRS]
    np.testing.assert_allclose(serve.read(endpoint, [*map(str, files)], len(run.labels)), expected, atol=1e-5)


def test_a_tflite_file_takes_their_ids_and_is_no_text_classifier(run, tflite):
    verify(tflite)
    expected = run.predict(["\t".join(pair) for pair in PAIRS])
    answers = tlapp.load(tflite).predict(["\t".join(pair) for pair in PAIRS])
    assert [(each.label, pytest.approx(each.value, abs=1e-4)) for each in expected] == [(e.label, e.value) for e in answers]
    card, content = (tflite / "README.md").read_text(encoding="utf-8"), (tflite / "model.tflite").read_bytes()
    assert "MediaPipe's TextClassifier takes one text" in card and "kotlin" not in card.lower()
    assert b"TextClassifier takes one text" in content and b"vocab.txt" not in content.split(b"TextClassifier")[0][-2000:]
    assert "one text" in (tflite / "export.json").read_text(encoding="utf-8")


def test_the_program_in_the_card_makes_the_same_ids(run, tflite, tmp_path):
    pytest.importorskip("tokenizers")
    program = (tflite / "README.md").read_text(encoding="utf-8").split("```python")[1].split("```")[0]
    (tmp_path / "classify.py").write_text(program, encoding="utf-8")
    for pair in PAIRS:
        (tmp_path / "pair.txt").write_text("\t".join(pair), encoding="utf-8")
        command = [sys.executable, str(tmp_path / "classify.py"), str(tmp_path / "pair.txt")]
        done = subprocess.run(command, cwd=tflite, capture_output=True, text=True, check=True)
        (expected,) = run.predict(["\t".join(pair)])
        label, probability = done.stdout.split()
        assert label == expected.label and float(probability) == pytest.approx(expected.value, abs=1e-3)


def test_a_run_on_pairs_is_a_backbone_for_both(run, tmp_path):
    from tlapp.backbones.file import File

    assert File().load(str(run.folder)).facts.input.pairs
    (tmp_path / "one.csv").write_text("text,label\ngood,a\nbad,b\n")
    with pytest.raises(UserError, match="expected the columns text,text2,label"):
        run.evaluate(str(tmp_path / "one.csv"))
