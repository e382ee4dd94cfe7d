"""One finished run of the tiny network, what it was trained on, and its exports."""

from __future__ import annotations

import shutil

import pytest

import tlapp
from tlapp.testing import SIZE, TinyBackbones, pictures


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, shapes, tensorflow):
    """A folder with the finished run `run`, which answers without TensorFlow, new pictures in `new`, and bad ones."""
    folder = tmp_path_factory.mktemp("tiny")
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    tlapp.train(
        plugin="full", data=str(shapes), backbone=f"file:{folder}/tiny.keras", image_size=SIZE, epochs=4, run=str(folder / "run")
    )
    assert tlapp.load(folder / "run").keep() == folder / "run" / "fast"
    new = pictures(folder / "new", each=4, seed=5)
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "empty").mkdir()
    (folder / "mixed" / "deeper").mkdir(parents=True)
    shutil.copy(new / "circle" / "000.png", folder / "mixed" / "deeper" / "one.png")
    for name in ("a.svg", "b.svg", "c"):
        (folder / "mixed" / name).write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="session")
def unfinished(tiny):
    """The same run, stopped before its end: `stopped` has a model so far, `killed` has none."""
    for name in ("stopped", "killed"):
        folder = shutil.copytree(tiny / "run", tiny / name)
        (folder / "metrics.json").unlink()
        (folder / "checkpoints").mkdir(exist_ok=True)
        if name == "stopped":
            shutil.copy(folder / "model.keras", folder / "checkpoints" / "interrupted.keras")
        (folder / "model.keras").unlink()
    return tiny


@pytest.fixture(scope="session")
def exports(tiny):
    """The run's exports in every format, and one of int8."""
    from tlapp.engine.export.export import export
    from tlapp.engine.export.options import ExportOptions

    run = tlapp.load(tiny / "run")
    for kind in ("tflite", "savedmodel", "keras"):
        export(run, ExportOptions(format=kind, output=str(tiny / "exports" / kind)))
    export(run, ExportOptions(format="tflite", quantize="int8", max_drop=1, output=str(tiny / "exports" / "int8")))
    shutil.copy(tiny / "exports" / "tflite" / "model.tflite", tiny / "alone.tflite")
    shutil.copy(tiny / "exports" / "keras" / "model.keras", tiny / "alone.keras")
    return tiny
