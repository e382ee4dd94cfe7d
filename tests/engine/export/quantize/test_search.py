"""Ways of quantising are tried from the smallest; the validation images choose, the test images judge."""

import numpy as np
import pytest
from helpers.artifacts import LATENCY

from tlapp.engine.export import export
from tlapp.engine.export.formats import named
from tlapp.engine.export.formats.artifact import Answers
from tlapp.engine.export.options import ExportOptions
from tlapp.errors import UserError


@pytest.fixture
def ways_tried(monkeypatch, run):
    """Ways of quantising that were tried, and how many pictures each was asked; those in `bad` lose accuracy on the streams told
    there. Nothing is converted.
    """
    tried, asked, bad = [], [], {}
    sizes = {run.metrics[stream]["n"]: stream for stream in ("val", "test")}
    assert len(sizes) == 2

    def write(material, way):
        tried.append((way.quantize, way.keep))
        (material.folder / "model.tflite").write_bytes(b"x")
        return {"artifact": "model.tflite"}

    def ask(artifact, questions):
        images = questions.examples["image"]
        asked.append(sizes[len(images)])
        rows = run.probabilities(images)
        return Answers(rows[:, ::-1] if asked[-1] in bad.get(tried[-1], ()) else rows, run.labels, LATENCY)

    monkeypatch.setattr(named("tflite"), "write", write)
    monkeypatch.setattr(named("tflite"), "ask", ask)
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
    whole = named("tflite").ask

    def ask(artifact, questions):
        answers = whole(artifact, questions)
        flat = np.full_like(answers.probabilities, 1 / 3)
        return answers._replace(probabilities=flat) if tried[-1][1] < 4 else answers

    monkeypatch.setattr(named("tflite"), "ask", ask)
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
    with pytest.raises(UserError, match=r"quantize.int8: its accuracy on \d+ test .* over .*max.drop.0.01; it was not kept"):
        export.export(run, ExportOptions(format="tflite", quantize="int8", output=str(tmp_path / "it")))
    assert tried == INT8 and list(tmp_path.iterdir()) == []
