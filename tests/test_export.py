"""Artifacts do what the trained model does."""

import json
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tlapp.engine.export.pictures import spread

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.export import ExportOptions, export, metadata, snippets, verify
from tlapp.engine.export.check import Truth, check
from tlapp.engine.export.formats.artifact import Answers, Latency
from tlapp.engine.inputs import images
from tlapp.errors import UserError

SIZE = 32
CLASSES = {"blue": (30, 60, 200), "green": (40, 180, 60), "red": (210, 50, 40)}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with pictures of three colours in several formats, and a cache of its own."""
    folder = tmp_path_factory.mktemp("export")
    dice = np.random.default_rng(0)
    for name, colour in CLASSES.items():
        (folder / "data" / name).mkdir(parents=True)
        for i in range(24):
            noise = dice.normal(0, 15, (6, 9, 3)) + colour
            picture = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).resize((90, 60), Image.Resampling.BICUBIC)
            suffix = ("jpg", "png", "webp")[i % 3]
            picture.save(folder / "data" / name / f"{i:02}.{suffix}", quality=95)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLAPP_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def run(world):
    return tlapp.train(
        plugin="freeze",
        data=str(world / "data"),
        run=str(world / "run"),
        image_size=SIZE,
        epochs=12,
        learning_rate=0.01,
        test_share=0.4,
    )


@pytest.fixture(scope="module")
def test_pictures(run):
    from tlapp.engine.export.pictures import Pictures

    from tlapp.engine.report import Silent

    found = Pictures(run, None, ("test",), 12, Silent())
    test = found.streams["test"]
    return found, test.pixels.take(np.arange(len(test)))


@pytest.fixture(scope="module")
def saved_model(run):
    return export.export(run, ExportOptions(format="savedmodel"))


@pytest.fixture(scope="module")
def served(saved_model):
    import tensorflow as tf

    return tf.saved_model.load(f"{saved_model['folder']}/1")


@pytest.fixture(scope="module")
def tflite(run):
    return export.export(run, ExportOptions(format="tflite", author="Ada"))


@pytest.fixture(scope="module")
def int8(run):
    return export.export(run, ExportOptions(format="tflite", quantize="int8", max_drop=0.05))


def interpreter(report):
    from ai_edge_litert.interpreter import Interpreter

    found = Interpreter(f"{report['folder']}/model.tflite")
    found.allocate_tensors()
    return found


def classify(lite, picture):
    source, target = lite.get_input_details()[0], lite.get_output_details()[0]
    lite.set_tensor(source["index"], picture[None].astype(source["dtype"]))
    lite.invoke()
    return lite.get_tensor(target["index"])[0].copy()


# SavedModel ---------------------------------------------------------------------------------------------------------------------


def test_two_calls_are_equal_and_a_batch_changes_nothing(served, test_pictures):
    import tensorflow as tf

    batch = tf.constant(test_pictures[1][:8], tf.float32)
    ask = served.signatures["serving_default"]
    first, again = ask(image=batch)["probabilities"].numpy(), ask(image=batch)["probabilities"].numpy()
    assert np.array_equal(first, again)
    alone = np.concatenate([ask(image=batch[i : i + 1])["probabilities"].numpy() for i in range(8)])
    assert np.allclose(first, alone, atol=1e-5) and first.std(0).max() > 0.01


def test_uint8_equals_float(served, test_pictures):
    import tensorflow as tf

    whole = tf.constant(test_pictures[1][:8])
    floats = served.signatures["serving_default"](image=tf.cast(whole, tf.float32))["probabilities"].numpy()
    assert np.array_equal(served.signatures["serve_uint8"](image=whole)["probabilities"].numpy(), floats)
    assert np.array_equal(served(whole)["probabilities"].numpy(), floats)


def test_files_are_served_as_predicted(served, run, world):
    import tensorflow as tf

    files = sorted(str(path) for path in (world / "data").rglob("*.*"))
    assert {path.rpartition(".")[2] for path in files} == {"jpg", "png", "webp"}
    answer = served.signatures["serve_bytes"](contents=tf.stack([tf.io.read_file(file) for file in files]))
    said = run.predict(files, top=3)
    assert [name.decode() for name in answer["label"].numpy()] == [each.label for each in said]
    for each, row in zip(said, answer["probabilities"].numpy(), strict=True):
        assert all(abs(row[run.labels.index(label)] - p) < 0.05 for label, p in each.labels)


def test_labels_are_the_same_everywhere(saved_model, tflite, run):
    lines = (Path(saved_model["folder"]) / "1" / "assets" / "labels.txt").read_text().splitlines()
    assert tuple(lines) == run.labels == metadata.read_labels(f"{tflite['folder']}/model.tflite") == ("blue", "green", "red")


def square(content, size=SIZE):
    from tlapp.engine.inputs import decode_in_graph

    return decode_in_graph.square(content, size).numpy()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P"])
def test_decoding_is_pillows(tmp_path, suffix, mode):
    if suffix == "jpg" and mode in ("RGBA", "LA", "P"):
        pytest.skip("JPEG has no such mode")
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 7, 4), dtype=np.uint8), "RGBA")
    picture = noise.resize((70, 90), Image.Resampling.BICUBIC).convert("RGB" if mode == "P" else mode)
    path = tmp_path / f"a.{suffix}"
    (picture.convert("P") if mode == "P" else picture).save(path, **({"lossless": True} if suffix == "webp" else {}))
    difference = np.abs(square(path.read_bytes()) - images.read(str(path), SIZE))
    assert difference.mean() < 1.0 and difference.max() <= 6


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("how", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, how, order):
    noise = np.random.default_rng(how).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a maker", how
    exif.endian = "<" if order == "little" else ">"
    path = tmp_path / "a.jpg"
    Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC).save(path, exif=exif, quality=95)
    assert np.abs(square(path.read_bytes()) - images.read(str(path), SIZE)).mean() < 2


@pytest.mark.parametrize("cut", [7, 12, 16, 24, 36])
def test_a_damaged_exif_block_does_no_harm(cut):
    from tlapp.engine.inputs import decode_in_graph

    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x04\0\0\0abc\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    assert decode_in_graph.orientation(b"\xff\xd8\xff\xe1\0\x40" + exif).numpy() == 6
    assert decode_in_graph.orientation(b"\xff\xd8\xff\xe1\0\x40" + exif[:cut]).numpy() == 1
    assert decode_in_graph.orientation(b"\xff\xd8\xff\xe1\0\x40Exif\0\0II*\0\xff\xff\xff\xff" + exif).numpy() == 1


# TFLite -------------------------------------------------------------------------------------------------------------------------


def test_tflite_is_the_model(tflite, run, test_pictures):
    lite = interpreter(tflite)
    assert lite.get_input_details()[0]["dtype"] == np.float32
    rows = [classify(lite, picture) for picture in test_pictures[1]]
    assert np.allclose(rows, run.probabilities(test_pictures[1]), atol=1e-5)
    assert np.array_equal(rows[0], classify(lite, test_pictures[1][0]))
    assert tflite["check"]["agreement"] == 1 and tflite["check"]["n"] == len(rows)


def test_int8_takes_pixels_as_they_are(int8, tflite, test_pictures):
    lite = interpreter(int8)
    source, target = lite.get_input_details()[0], lite.get_output_details()[0]
    assert source["dtype"] == np.uint8 and source["quantization"] == (1.0, 0) and target["dtype"] == np.float32
    rows = np.array([classify(lite, picture) for picture in test_pictures[1]])
    accuracy = (rows.argmax(1) == test_pictures[0].streams["test"].labels).mean()
    assert accuracy == int8["check"]["accuracy_after"] and int8["check"]["accuracy_before"] - accuracy <= 0.05
    assert int8["check"]["accuracy_before"] > 0.6, "a model that knows nothing shows nothing"
    assert int8["check"]["bytes"] < 0.4 * tflite["check"]["bytes"]


@pytest.mark.parametrize("quantize", ["float16", "dynamic"])
def test_other_ways_of_quantising(run, tflite, quantize):
    report = export.export(run, ExportOptions(format="tflite", quantize=quantize))
    assert report["passed"] and report["check"]["bytes"] < 0.6 * tflite["check"]["bytes"]


def test_only_builtin_operations(tflite, int8):
    for report in (tflite, int8):
        names = {each["op_name"] for each in interpreter(report)._get_ops_details()}
        assert "CONV_2D" in names and not any(name.startswith(("Flex", "RANDOM", "MULTINOMIAL")) for name in names)


class Fields:
    """A FlatBuffers table, read by its offsets alone."""

    def __init__(self, data, at):
        self.data, self.at = data, at

    @classmethod
    def root(cls, data):
        return cls(data, struct.unpack_from("<I", data)[0])

    def place(self, field):
        table = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        size = struct.unpack_from("<H", self.data, table)[0]
        offset = struct.unpack_from("<H", self.data, table + 4 + 2 * field)[0] if 4 + 2 * field < size else 0
        return self.at + offset if offset else None

    def follow(self, field):
        place = self.place(field)
        return place + struct.unpack_from("<I", self.data, place)[0]

    def byte(self, field):
        return self.data[self.place(field)]

    def number(self, field):
        return struct.unpack_from("<I", self.data, self.place(field))[0]

    def table(self, field):
        return Fields(self.data, self.follow(field))

    def bytes(self, field):
        start = self.follow(field)
        return self.data[start + 4 : start + 4 + struct.unpack_from("<I", self.data, start)[0]]

    def text(self, field):
        return self.bytes(field).decode()

    def floats(self, field):
        start = self.follow(field)
        return struct.unpack_from(f"<{struct.unpack_from('<I', self.data, start)[0]}f", self.data, start + 4)

    def tables(self, field):
        start = self.follow(field)
        places = range(start + 4, start + 4 + 4 * struct.unpack_from("<I", self.data, start)[0], 4)
        return [Fields(self.data, at + struct.unpack_from("<I", self.data, at)[0]) for at in places]


@pytest.mark.parametrize("which", ["tflite", "int8"])
def test_metadata_reads_back(which, request, run):
    folder = Path(request.getfixturevalue(which)["folder"])
    content = (folder / "model.tflite").read_bytes()
    with zipfile.ZipFile(folder / "model.tflite") as archive:
        assert archive.read("labels.txt") == (folder / "labels.txt").read_bytes() == b"blue\ngreen\nred\n"
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    model = Fields.root(content)
    entry = next(each for each in model.tables(6) if each.text(0) == "TFLITE_METADATA")
    inside = model.tables(4)[entry.number(1)].bytes(0)
    assert inside[4:8] == b"M001"
    found = Fields.root(inside)
    assert (found.text(0), found.text(2), found.text(7)) == ("run", "1", "1.0.0")
    assert which != "tflite" or found.text(4) == "Ada"
    subgraph = found.tables(3)[0]
    image, probabilities = subgraph.tables(2)[0], subgraph.tables(3)[0]
    assert image.table(3).byte(0) == 2 and image.table(3).table(1).byte(0) == 1
    normalization = image.tables(4)[0]
    assert normalization.byte(0) == 1
    assert (normalization.table(1).floats(0), normalization.table(1).floats(1)) == ((0.0,), (1.0,))
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ((255.0,), (0.0,))
    assert (probabilities.tables(6)[0].text(0), probabilities.tables(6)[0].byte(2)) == ("labels.txt", 2)


# The check ----------------------------------------------------------------------------------------------------------------------

LATENCY = Latency(1.0, 1, 1)


def judged(before, after, labels, quantised=False, max_drop=0.01, **others):
    before, after = np.array(before, float), np.array(after, float)
    truth = Truth(before, np.array(labels), ("a", "b"))
    return check(truth, Answers(after, ("a", "b"), LATENCY, others), 10, quantised, max_drop)


def test_an_equal_artifact_passes():
    found = judged([[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.2, 0.8]], [0, 0])
    assert (found.fault, found.agreement, found.accuracy_before, found.largest_difference) == ("", 1, 0.5, 0)
    assert found.classes == {"a": {"n": 2, "accuracy_before": 0.5, "accuracy_after": 0.5}}


def test_a_tie_is_no_disagreement():
    found = judged([[0.50001, 0.49999]], [[0.49999, 0.50001]], [0])
    assert (found.ties, found.agreement, found.fault) == (1, 1, "")


@pytest.mark.parametrize(
    "after, quantised, told",
    [
        ([[0.4, 0.6], [0.2, 0.8]], False, "top label differs from the Keras model's on 1 of 2"),
        ([[0.8, 0.2], [0.2, 0.8]], False, "differ from the Keras model's by up to 0.1"),
        ([[0.4, 0.6], [0.2, 0.8]], True, "a drop of 0.5000, over --max-drop 0.01"),
        ([[np.nan, 0.6], [0.2, 0.8]], True, "not all numbers"),
    ],
)
def test_another_artifact_fails(after, quantised, told):
    assert told in judged([[0.9, 0.1], [0.2, 0.8]], after, [0, 1], quantised).fault


def test_endpoints_that_differ_fail():
    rows = [[0.9, 0.1], [0.2, 0.8]]
    assert "uint8 and float" in judged(rows, rows, [0, 1], serve_uint8=np.array([[0.8, 0.2], [0.2, 0.8]])).fault


def test_other_labels_fail():
    rows = np.array([[0.9, 0.1]])
    found = check(Truth(rows, np.array([0]), ("a", "b")), Answers(rows, ("b", "a"), LATENCY, {}), 1, False, 0)
    assert "names the classes b, a; the run's are a, b" in found.fault


def test_a_drop_of_exactly_the_limit_passes():
    before = np.tile([[0.9, 0.1]], (100, 1))
    after = before.copy()
    after[0] = after[0, ::-1]
    assert judged(before, after, [0] * 100, True, 0.01).fault == ""
    assert judged(before, after, [0] * 100, True, 0.009).fault


def answering(monkeypatch, run, spoil):
    """Artifacts that answer as the run's model does, changed by `spoil`."""

    def ask(kind, path, pictures, *others):
        assert path.is_file()
        return Answers(spoil(run.probabilities(pictures)), run.labels, LATENCY, {})

    monkeypatch.setattr(export, "ask", ask)


def spoilt(monkeypatch, run):
    """Answers of the artifact with the classes the wrong way round."""
    answering(monkeypatch, run, lambda found: found[:, ::-1])


def test_a_failing_check_removes_the_artifact(run, world, monkeypatch, capfd):
    spoilt(monkeypatch, run)
    output = world / "spoilt" / "it"
    assert command(["export", str(run.folder), "--format", "keras", "--output", str(output)]) == 2
    assert "top label differs" in capfd.readouterr().err
    assert list(output.parent.iterdir()) == []


def test_allow_drop_keeps_it(run, world, monkeypatch):
    spoilt(monkeypatch, run)
    report = export.export(run, ExportOptions(format="keras", allow_drop=True, output=str(world / "kept")))
    assert not report["passed"] and json.loads((world / "kept" / "export.json").read_text())["check"]["fault"]


@pytest.fixture
def ways_tried(monkeypatch, run):
    """Ways of quantising that were tried, and how many pictures each was asked; those in `bad` lose accuracy on the streams told
    there. Nothing is converted.
    """
    tried, asked, bad = [], [], {}
    sizes = {run.metrics[stream]["n"]: stream for stream in ("val", "test")}
    assert len(sizes) == 2

    def write(kind, way, given):
        tried.append((way.quantize, way.keep))
        (given.folder / "model.tflite").write_bytes(b"x")
        return {"artifact": "model.tflite"}

    def ask(kind, path, pictures, *others):
        asked.append(sizes[len(pictures)])
        found = run.probabilities(pictures)
        return Answers(found[:, ::-1] if asked[-1] in bad.get(tried[-1], ()) else found, run.labels, LATENCY, {})

    monkeypatch.setattr(export, "write", write)
    monkeypatch.setattr(export, "ask", ask)
    return tried, asked, bad


INT8 = [("int8", 0), ("int8", 2), ("int8", 4), ("int8", 8), ("int8", 16)]


DYNAMIC = [("dynamic", keep) for _, keep in INT8]
EVERY = [*INT8, *DYNAMIC, ("float16", 0), ("none", 0)]


@pytest.mark.parametrize("failing", [0, 1, 5, 6, 10, 11])
def test_auto_takes_the_smallest_that_passes(run, tmp_path, ways_tried, failing):
    tried, asked, bad = ways_tried
    every = EVERY
    bad.update(dict.fromkeys(every[:failing], ("val", "test")))
    report = export.export(run, ExportOptions(format="tflite", quantize="auto", output=str(tmp_path / "auto")))
    assert tried == every[: failing + 1] and report["quantize"] == every[failing][0]
    assert [each["on"] for each in report["tried"]] == ["val"] * failing
    # The test judges the way that was chosen, and no other; the last way is no choice.
    assert asked == ["val"] * min(failing + 1, len(EVERY) - 1) + ["test"]
    assert [each.name for each in tmp_path.iterdir()] == ["auto"]


def test_what_the_test_refuses_gives_way_to_the_next(run, tmp_path, ways_tried):
    tried, asked, bad = ways_tried
    bad[("int8", 0)] = ("test",)
    report = export.export(run, ExportOptions(format="tflite", quantize="auto", output=str(tmp_path / "auto")))
    assert (tried, asked) == (INT8[:2], ["val", "test", "val", "test"])
    (refused,) = report["tried"]
    assert (refused["quantize"], refused["on"]) == ("int8", "test") and "test pictures" in refused["check"]["fault"]


def test_dynamic_keeps_the_top_label(run, tmp_path, ways_tried, monkeypatch):
    tried, asked, _ = ways_tried
    whole = export.ask

    def ask(kind, path, pictures, *others):
        answers = whole(kind, path, pictures, *others)
        flat = np.full_like(answers.probabilities, 1 / 3)
        return answers._replace(probabilities=flat) if tried[-1][1] < 4 else answers

    monkeypatch.setattr(export, "ask", ask)
    options = ExportOptions(format="tflite", quantize="dynamic", max_drop=1, output=str(tmp_path / "it"))
    report = export.export(run, options)
    assert tried == DYNAMIC[:3] and asked == ["val"] * 3 + ["test"] and report["passed"]
    assert all("its top label is the Keras model's on only" in each["check"]["fault"] for each in report["tried"])


def test_allow_drop_takes_what_was_asked_for(run, tmp_path, ways_tried):
    tried, _, bad = ways_tried
    bad[("int8", 0)] = ("test",)
    options = ExportOptions(format="tflite", quantize="int8", allow_drop=True, output=str(tmp_path / "it"))
    assert not export.export(run, options)["passed"] and tried == [("int8", 0)]


def test_int8_that_falls_short_ends_in_a_sentence(run, tmp_path, ways_tried):
    tried, _, bad = ways_tried
    bad.update(dict.fromkeys(INT8, ("val", "test")))
    with pytest.raises(UserError, match=r"--quantize int8: its accuracy on \d+ test .* over --max-drop 0.01; it was not kept"):
        export.export(run, ExportOptions(format="tflite", quantize="int8", output=str(tmp_path / "it")))
    assert tried == INT8 and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_worst_layers_stay_in_float(run, test_pictures):
    from ai_edge_litert.interpreter import Interpreter

    from tlapp.engine.export.quantize.int8 import Selective

    selective = Selective(run.model, test_pictures[0].calibration)
    assert [layer.error for layer in selective.layers] == sorted((layer.error for layer in selective.layers), reverse=True)
    expected, errors = run.probabilities(test_pictures[1]), []
    for keep in (0, len(selective.layers)):
        lite = Interpreter(model_content=selective.convert(keep))
        lite.allocate_tensors()
        assert lite.get_input_details()[0]["dtype"] == np.uint8
        errors.append(np.abs([classify(lite, picture) for picture in test_pictures[1]] - expected).max())
    assert errors[1] < errors[0] / 2


def test_dynamic_keeps_the_weights_that_rounding_harms_most(run, test_pictures):
    from ai_edge_litert.interpreter import Interpreter

    from tlapp.engine.export.quantize.dynamic import Dynamic

    dynamic = Dynamic(run.model, test_pictures[0].calibration)
    worst = dynamic.kept(1000)
    assert len(worst) > 40 and [each.error for each in worst] == sorted((each.error for each in worst), reverse=True)
    expected, errors, sizes = run.probabilities(test_pictures[1]), [], []
    for keep in (0, 4, len(worst)):
        content = dynamic.convert(keep)
        lite = Interpreter(model_content=content)
        lite.allocate_tensors()
        sizes.append(len(content))
        errors.append(np.abs([classify(lite, picture) for picture in test_pictures[1]] - expected).mean())
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-5
    assert sizes[0] < sizes[1] < sizes[2]


def test_nothing_is_written_over(run, tflite):
    with pytest.raises(UserError, match="is there already"):
        export.export(run, ExportOptions(format="tflite"))


def test_only_tflite_is_quantised(run):
    with pytest.raises(UserError, match="only tflite can be quantised"):
        export.export(run, ExportOptions(format="savedmodel", quantize="int8"))


def test_pictures_that_have_moved(run, world, monkeypatch):
    answering(monkeypatch, run, lambda found: found)
    (world / "data").rename(world / "moved")
    try:
        with pytest.raises(UserError, match="give --data"):
            export.export(run, ExportOptions(format="keras", output=str(world / "gone")))
        report = export.export(run, ExportOptions(format="keras", data=str(world / "moved"), output=str(world / "found")))
        assert (
            report["check"]["n"] == run.metrics["test"]["n"]
            and report["check"]["accuracy_after"] == run.metrics["test"]["accuracy"]
        )
    finally:
        (world / "moved").rename(world / "data")


def test_a_random_operation_is_refused():
    import tensorflow as tf

    from tlapp.engine.export.formats.savedmodel import refuse_random

    noisy = tf.function(lambda x: x + tf.random.normal((3,)))
    with pytest.raises(UserError, match="random operation RandomStandardNormal"):
        refuse_random(noisy.get_concrete_function(tf.TensorSpec((3,))))


def test_an_operation_without_a_counterpart_is_named():
    import keras

    from tlapp.engine.export.formats.tflite import convert

    class Odd(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.math.special.bessel_i0(keras.ops.mean(x, (1, 2)))

    image = keras.Input((8, 8, 3))
    with pytest.raises(UserError, match="no built-in counterpart of BesselI0"):
        convert(keras.Model(image, Odd()(image)), "none", None)


def test_calibration_takes_every_class_in_turn():
    labels = np.array([0] * 50 + [1] * 3 + [2] * 50)
    chosen = spread(labels, 30)
    assert len(set(chosen)) == 30 and np.bincount(labels[chosen]).tolist() in ([14, 3, 13], [13, 3, 14])
    assert len(spread(labels, 1000)) == 103


@pytest.mark.parametrize("kind", ["tflite", "saved_model"])
def test_the_snippet_runs(kind, request, run, test_pictures):
    folder = Path(request.getfixturevalue(kind)["folder"])
    (folder / "classify.py").write_text(snippets.snippet("python", kind.replace("_", "")))
    file = test_pictures[0].streams["test"].files[0]
    try:
        done = subprocess.run([sys.executable, "classify.py", file], cwd=folder, capture_output=True, text=True, check=True)
    finally:
        (folder / "classify.py").unlink()
    expected = run.predict([file])[0]
    label, probability = done.stdout.split()
    assert label == expected.label and abs(float(probability) - expected.labels[0][1]) < 0.03


def test_a_phones_snippet_is_for_tflite(capsys):
    assert command(["export", "anywhere", "--format", "tflite", "--snippet", "kotlin"]) == 0
    assert "ImageClassifier" in capsys.readouterr().out
    with pytest.raises(UserError, match="is for --format tflite"):
        snippets.snippet("swift", "keras")


def test_the_card_reads_as_hubs_read_it(tflite, run):
    _, front, text = (Path(tflite["folder"]) / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert (facts["library_name"], facts["pipeline_tag"]) == ("tflite", "image-classification")
    assert facts["model-index"][0]["results"][0]["metrics"][0]["value"] == round(tflite["check"]["accuracy_after"], 4)
    counts = run.metrics["images"]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| red")]
    assert len(rows) == 2 and int(rows[0][1]) <= counts["train"] and "Ada" in text and "Intended use" in text


# Golden vectors -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(tflite, tmp_path):
    return Path(shutil.copytree(tflite["folder"], tmp_path / "elsewhere"))


def test_verify_needs_neither_run_nor_pictures(copied):
    found = verify(copied / "model.tflite")
    assert found["pictures"] == 8 and found["largest_difference"] < 1e-5


def test_verify_a_saved_model(saved_model):
    assert verify(saved_model["folder"])["largest_difference"] < 1e-4


@pytest.mark.parametrize("name", ["model.tflite", "labels.txt", "golden/3.png"])
def test_a_tampered_artifact_fails(copied, name, capsys):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    assert command(["verify", str(copied)]) == 2
    assert f"{name}: was changed since it was exported" in capsys.readouterr().err


def test_other_answers_fail(copied):
    facts = json.loads((copied / "golden.json").read_text())
    facts["vectors"][2]["probabilities"][0] += 0.01
    (copied / "golden.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"golden/2.png: a probability differs by 0.01"):
        verify(copied)


def test_what_is_missing_or_no_export_fails(copied):
    (copied / "labels.txt").unlink()
    with pytest.raises(UserError, match=r"labels.txt is missing"):
        verify(copied)
    with pytest.raises(UserError, match="is no export"):
        verify(copied.parent)
