"""Several runs in one TFLite file: an output a run, each as its run answers, in little more than the bytes of one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import tlapp
from tlapp.cli.main import run as command
from tlapp.engine.runs.folder import DELTA
from tlapp.errors import UserError
from tlapp.testing import SIZE, TinyBackbones


@pytest.fixture(scope="module")
def place(shapes, tmp_path_factory, tensorflow):
    """Runs on one network: two with adapters, one of its head alone, and one that takes other pictures."""
    folder = tmp_path_factory.mktemp("several")
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    common = {"data": str(shapes), "backbone": f"file:{folder}/tiny.keras", "image_size": SIZE, "epochs": 1}
    grafted = {"plugin": "adapters", "method": "bottleneck", "warmup": 1, "learning_rate": 0.01}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tlapp.engine.merge.MOST", 0.9)  # the tiny network is small beside its modules
        tlapp.train(run=str(folder / "one"), **common, **grafted)
        tlapp.train(run=str(folder / "two"), **common, **grafted, seed=1)
        tlapp.train(run=str(folder / "three"), **common, plugin="freeze")
        tlapp.train(run=str(folder / "padded"), **common, plugin="freeze", resize="pad")
    assert (folder / "one" / DELTA).exists()
    return folder


def asked(path, batch):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path)).get_signature_runner()
    rows = [runner(image=picture[None]) for picture in batch]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def test_each_output_answers_as_its_run(place, tmp_path):
    names = ("one", "two", "three")
    report = tlapp.merge_tasks({name: place / name for name in names}, tmp_path / "all", quantize="none")
    batch = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3)).astype("float32")
    outputs = asked(tmp_path / "all" / "model.tflite", batch)
    assert sorted(outputs) == sorted(names)
    for name in names:
        run = tlapp.load(place / name)
        np.testing.assert_allclose(outputs[name], run.probabilities(batch), atol=1e-5)
        assert tuple((tmp_path / "all" / f"labels-{name}.txt").read_text().splitlines()) == run.labels
        assert report["tasks"][name]["check"]["n"] == run.metrics["test"]["n"]
    assert json.loads((tmp_path / "all" / "tasks.json").read_text()) == {k: v for k, v in report.items() if k != "folder"}
    alone = tlapp.merge_tasks({"one": place / "one"}, tmp_path / "alone", quantize="none")
    heads = tlapp.merge_tasks({"three": place / "three", "again": place / "three"}, tmp_path / "heads", quantize="none")
    assert report["bytes"] < 2 * alone["bytes"]
    assert heads["bytes"] < 1.1 * alone["bytes"]  # of the same run, nothing stands there twice


def test_what_cannot_be_put_together_is_told_and_leaves_nothing(place, tmp_path):
    with pytest.raises(UserError, match=r"padded takes other pictures than one: resize pad \(not squash\)$"):
        tlapp.merge_tasks({"one": place / "one", "padded": place / "padded"}, tmp_path / "all")
    with pytest.raises(UserError, match="a-b: is no name for an output"):
        tlapp.merge_tasks({"a-b": place / "one"}, tmp_path / "all")
    with pytest.raises(UserError, match="already exists; remove it, or name another"):
        tlapp.merge_tasks({"one": place / "one"}, place / "one")
    with pytest.raises(UserError, match=r"^one: .+; nothing was kept; option quantize=float16 or none is nearer to the run"):
        tlapp.merge_tasks({"one": place / "one"}, tmp_path / "all", max_drop=-1.0)
    assert not [*tmp_path.iterdir()]


def test_the_command(place, tmp_path, capfd):
    runs = [f"a={place}/one", str(place / "three")]
    assert command(["merge", *runs, "--output", str(tmp_path / "all"), "--quantize", "float16"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].startswith("model.tflite, quantize float16: ") and out[-1] == f"written: {tmp_path}/all"
    assert [line.split(":")[0].strip() for line in out[1:-1]] == ["a", "three"]
    assert command(["merge", str(place / "one"), str(place / "one"), "--output", str(tmp_path / "b")]) == 2
    assert "two outputs would be called one" in capfd.readouterr().err
    assert command(["merge", str(place / "one"), "--quantize", "none", "--output", str(tmp_path / "b")]) == 2
    assert "--quantize none: is for several runs" in capfd.readouterr().err


def test_a_task_of_it_predicts_and_is_measured(place, shapes, tmp_path, capfd):
    both = tmp_path / "both"
    tlapp.merge_tasks({"one": place / "one", "three": place / "three"}, both, quantize="none")
    files = sorted(map(str, shapes.rglob("*.png")))[:6]
    for name in ("one", "three"):
        wanted = tlapp.load(place / name).predict(files)
        for path in (both, both / "model.tflite"):
            found = tlapp.load(path, task=name).predict(files)
            assert [each.label for each in found] == [each.label for each in wanted]
            assert [each.value for each in found] == pytest.approx([each.value for each in wanted], abs=1e-5)
    assert command(["evaluate", str(both), "--data", str(shapes), "--task", "one", "--json"]) == 0
    measured = json.loads(capfd.readouterr().out)
    assert measured["accuracy"] == tlapp.load(place / "one").evaluate(str(shapes))["accuracy"]
    for arguments, words in (
        ([str(both), files[0]], "answers for several tasks; choose one of one, three"),
        ([str(both), files[0], "--task", "two"], "choose one of one, three"),
        ([str(place / "one"), files[0], "--task", "one"], "answers for one task only"),
    ):
        assert command(["predict", *arguments]) == 2
        assert words in capfd.readouterr().err
    (both / "tasks.json").write_text("{")
    assert command(["predict", str(both), files[0], "--task", "one"]) == 2
    assert "tasks.json: is not JSON" in capfd.readouterr().err


def test_it_is_verified_wherever_it_is(place, tmp_path, capfd):
    both = tmp_path / "both"
    tlapp.merge_tasks({"one": place / "one", "three": place / "three"}, both, quantize="none")
    facts = json.loads((both / "golden-tasks.json").read_text())
    for name in ("one", "three"):
        task = facts["tasks"][name]
        assert len(task["vectors"]) == 8 and task["largest_difference_from_run"] < 1e-5
        pictures = np.stack([np.asarray(Image.open(both / each["file"])) for each in task["vectors"]])
        np.testing.assert_allclose([each["run"] for each in task["vectors"]], tlapp.load(place / name).probabilities(pictures))
    moved = both.rename(tmp_path / "moved")
    assert command(["verify", str(moved)]) == 0 == command(["verify", str(moved / "model.tflite")])
    assert "unchanged; 16 pictures" in capfd.readouterr().out
    facts["tasks"]["three"]["vectors"][0]["probabilities"] = [0.9, 0.05, 0.05]
    (moved / "golden-tasks.json").write_text(json.dumps(facts))
    assert command(["verify", str(moved)]) == 2
    assert "three: an answer differs from what it was when the file was written" in capfd.readouterr().err
    (moved / "labels-one.txt").write_text("other")
    assert command(["verify", str(moved)]) == 2
    assert "labels-one.txt: was changed since it was exported" in capfd.readouterr().err
    (moved / "golden-tasks.json").write_text("{}")
    assert command(["verify", str(moved)]) == 2
    assert "golden-tasks.json: " in capfd.readouterr().err
