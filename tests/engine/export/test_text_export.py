"""Exports of a run on texts: strings and ids, whatever their length, for servers and phones; and what a phone reads otherwise."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.bert_folders import WORDS, bert_folder
from helpers.flatbuffer_fields import metadata_of

import tlapp
from tlapp.engine.export import flatbuffer, interpreter
from tlapp.engine.export.formats.format import Material, Way
from tlapp.engine.export.formats.keras import FORMAT as KERAS
from tlapp.engine.export.verify import verify
from tlapp.engine.inputs.text_export import TextExport, stated_by
from tlapp.engine.inputs.wordpiece import tokenizer
from tlapp.errors import UserError

SIDES = {"praise": ("good", "great", "fine"), "blame": ("bad", "awful", "poor")}


@pytest.fixture(scope="module")
def run(tmp_path_factory, tensorflow):
    folder, rng = tmp_path_factory.mktemp("texts"), np.random.default_rng(0)
    lines = ["text,label"]
    for number in range(80):
        label = sorted(SIDES)[number % 2]
        words = [*rng.choice(SIDES[label], 3), *rng.choice(WORDS[:26], int(rng.integers(1, 20)))]
        lines.append(f"{' '.join(rng.permutation(words))},{label}")
    lines += ['"Café, À LA good",praise', "BÀD bad,blame"]
    (folder / "texts.csv").write_text("\n".join(lines), encoding="utf-8")
    backbone = f"bert:{bert_folder(folder / 'bert')}"
    return tlapp.train(plugin="feature-extract", data=str(folder / "texts.csv"), backbone=backbone, run=str(folder / "run"))


@pytest.fixture(scope="module")
def tflite(run):
    return tlapp.export(run.folder, format="tflite")


def test_the_model_of_a_run_takes_ids_of_any_length(run):
    assert run.model.inputs[0].shape == (None, None)


def test_a_saved_model_answers_to_strings_as_keras_does(run):
    import tensorflow as tf

    report = tlapp.export(run.folder, format="savedmodel")
    assert report["check"]["files"]["n"] == report["check"]["n"] > 10, "every test text"
    assert report["check"]["files"]["agreement"] == 1 and report["check"]["files"]["largest_difference"] < 1e-5
    verify(report["folder"])
    texts = ["a good great film", "bad awful day, very poor. " * 30, "", "ünknown 你 🙂"]
    answer = tf.saved_model.load(f"{report['folder']}/1").signatures["serve_text"](texts=tf.constant(texts))
    ids = tokenizer(run.input.vocabulary, True, True).ids(texts, run.input.max_length).numpy()
    np.testing.assert_allclose(answer["probabilities"], run.probabilities([ids]), atol=1e-5)
    best = np.argmax(answer["probabilities"], axis=1)
    assert [each.decode() for each in answer["label"].numpy()] == [run.labels[number] for number in best]
    whole, cut = long_ids(run)
    answer = tf.saved_model.load(f"{report['folder']}/1").signatures["serving_default"](ids=tf.constant(whole))
    np.testing.assert_allclose(answer["probabilities"], run.probabilities([cut]), atol=1e-5)


def long_ids(run):
    """Ids of a text that is longer than the network's positions, whole, and as training cuts them."""
    piece, texts = tokenizer(run.input.vocabulary, True, True), ["bad awful day, very poor. " * 30, "good film"]
    whole, cut = piece.ids(texts).numpy(), piece.ids(texts, run.input.max_length).numpy()
    assert whole.shape[1] > 3 * run.input.longest
    return whole, cut


def test_a_tflite_file_takes_ids_of_any_length_and_cuts_them_as_training_does(run, tflite):
    from ai_edge_litert.interpreter import Interpreter

    ask = Interpreter(f"{tflite['folder']}/model.tflite").get_signature_runner()
    assert set(ask.get_input_details()) == {"ids", "segment_ids", "mask"}
    for text in ("good film", "bad awful day, very poor. " * 30):
        whole = tokenizer(run.input.vocabulary, True, True).ids([text]).numpy()
        cut = tokenizer(run.input.vocabulary, True, True).ids([text], run.input.max_length).numpy()
        answer = ask(ids=whole, segment_ids=np.zeros_like(whole), mask=np.ones_like(whole))["probabilities"]
        np.testing.assert_allclose(answer, run.probabilities([cut]), atol=1e-5)


def test_a_tflite_file_says_what_a_text_classifier_needs(run, tflite):
    """The names that MediaPipe looks for, BertTokenizerOptions (4) with its vocabulary (5), and the labels."""
    path = Path(tflite["folder"]) / "model.tflite"
    with zipfile.ZipFile(path) as archive:
        assert archive.read("vocab.txt").decode().split() == list(run.input.vocabulary)
        assert archive.read("labels.txt").decode().split() == list(run.labels)
    content = path.read_bytes()
    graph, found = flatbuffer.read(content).subgraphs[0], metadata_of(content).tables(3)[0]
    names = [interpreter.plain(graph.tensors[number].name.decode()) for number in graph.inputs]
    assert sorted(names) == ["ids", "mask", "segment_ids"]
    assert [each.text(0) for each in found.tables(2)] == names
    (unit,) = found.tables(5)
    (vocabulary,) = unit.table(1).tables(0)
    assert (unit.byte(0), vocabulary.text(0), vocabulary.byte(2)) == (4, "vocab.txt", 5)
    assert found.tables(3)[0].tables(6)[0].text(0) == "labels.txt"


@pytest.mark.parametrize("quantize", ["float16", "dynamic"])
def test_smaller_files_answer_nearly_alike(run, quantize):
    report = tlapp.export(run.folder, format="tflite", quantize=quantize, max_drop=0.2)
    assert report["check"]["largest_difference"] < 0.05
    verify(report["folder"])


def test_onnx_holds_the_exact_gelu_and_cuts_ids_as_training_does(run):
    import onnxruntime

    report = tlapp.export(run.folder, format="onnx")
    assert report["check"]["agreement"] == 1 and report["check"]["largest_difference"] < 1e-5
    session = onnxruntime.InferenceSession(f"{report['folder']}/model.onnx")
    whole, cut = long_ids(run)
    np.testing.assert_allclose(session.run(None, {"ids": whole})[0], run.probabilities([cut]), atol=1e-5)


def test_a_keras_file_cuts_ids_as_training_does_and_opens_with_keras_alone(run, tmp_path):
    import keras

    KERAS.write(Material(run.model, run.input.export, run.labels, tmp_path, None, model_file=run.folder / "model.keras"), Way(""))
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert [each.name for each in model.inputs] == ["ids"]
    whole, cut = long_ids(run)
    np.testing.assert_allclose(model(whole), run.probabilities([cut]), atol=1e-5)


@pytest.mark.slow
def test_a_file_that_a_phone_teaches_takes_what_mediapipe_gives(run, tmp_path):
    data = run.settings["data"]
    learns = tlapp.train(
        plugin="feature-extract", classifier="lda", data=data, backbone=run.settings["backbone"], run=str(tmp_path / "run")
    )
    report = tlapp.export(learns.folder, format="tflite", on_device=1)
    assert report["check"]["agreement"] == 1
    verify(report["folder"])


def test_several_runs_on_texts_go_into_one_file(run, tmp_path):
    report = tlapp.merge_tasks({"one": str(run.folder), "other": str(run.folder)}, str(tmp_path / "both"))
    assert (Path(report["folder"]) / "vocab.txt").is_file()
    (expected,) = run.predict(["a good film"])
    assert tlapp.load(report["folder"], task="other").predict(["a good film"])[0].label == expected.label


def test_int8_is_refused_and_auto_does_without(run):
    from tlapp.engine.export.export import fit
    from tlapp.engine.export.options import ExportOptions

    with pytest.raises(UserError, match=r"quantize=int8.*quantize=dynamic"):
        tlapp.export(run.folder, format="tflite", quantize="int8")
    ways = fit(ExportOptions(format="tflite", quantize="auto"), run.input.export)
    assert {way.quantize for way in ways} == {"dynamic", "float16", "none"}


def test_golden_texts_are_the_texts_and_tell_of_a_change(run, tflite):
    folder = run.files.file("export") / "tflite"
    known = {row["text"] for row in run.files.splits("text")}
    golden = sorted((folder / "golden").iterdir())
    assert golden and all(path.suffix == ".txt" and path.read_text(encoding="utf-8") in known for path in golden)
    original = golden[0].read_bytes()
    golden[0].write_text("awful")
    with pytest.raises(UserError, match="was changed"):
        verify(folder)
    golden[0].write_bytes(original)


def test_an_export_reads_texts_without_the_run_or_the_backbone(run, tflite, tmp_path):
    texts = ["a good great film", "bad awful day"]
    expected = [(each.label, pytest.approx(each.labels[0][1], abs=1e-4)) for each in run.predict(texts)]
    (tmp_path / "alone.tflite").write_bytes((run.files.file("export") / "tflite" / "model.tflite").read_bytes())
    for place in (tflite["folder"], tmp_path / "alone.tflite"):
        assert [(each.label, each.labels[0][1]) for each in tlapp.load(place).predict(texts)] == expected


def test_the_report_counts_texts_that_a_phone_cuts_into_other_tokens():
    export = TextExport(vocabulary=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "cafe", "good", "école", "ecole"), max_length=16)
    texts = [b"good", b"GOOD good", "café".encode(), "École".encode(), b"good\x07"]
    assert export.report_on(texts) == {"mediapipe": {"n": 5, "other_tokens": 3, "share": 0.6}}


def test_the_program_in_the_card_makes_the_same_ids(run, tflite, tmp_path):
    pytest.importorskip("tokenizers")
    folder = run.files.file("export") / "tflite"
    program = (folder / "README.md").read_text(encoding="utf-8").split("```python")[1].split("```")[0]
    (tmp_path / "classify.py").write_text(program, encoding="utf-8")
    text = "Café, BÀD film. " * 20
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "classify.py"), str(tmp_path / "text.txt")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    (expected,) = run.predict([text])
    label, probability = done.stdout.split()
    assert label == expected.label and float(probability) == pytest.approx(expected.labels[0][1], abs=1e-3)


@pytest.mark.parametrize(("language", "words"), [("kotlin", "textclassifier.TextClassifier"), ("swift", "MediaPipeTasksText")])
def test_phones_have_a_program_for_texts(run, language, words):
    assert words in run.input.export.phone_program(language, "one") and "0.5" in run.input.export.phone_program(language, "many")
    assert run.input.export.phone_program(language, "number") is None


@pytest.mark.parametrize(
    "change", [{"max_length": 1}, {"max_length": "9"}, {"lowercase": None}, {"longest": 4}, {"vocabulary": "x"}]
)
def test_facts_that_were_altered_are_refused(change):
    export = TextExport(vocabulary=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"), max_length=16)
    assert stated_by(export.facts(), export.files().__getitem__) == export
    with pytest.raises(UserError, match="export the run again"):
        stated_by({**export.facts(), **change}, export.files().__getitem__)
    with pytest.raises(UserError, match=r"vocab\.txt cannot be read"):
        stated_by(export.facts(), {}.__getitem__)
