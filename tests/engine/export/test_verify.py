"""An export is verified by its own golden vectors, without the run and without the images."""

import json

import pytest

from tlapp.cli.main import run as command
from tlapp.engine.export.verify import verify
from tlapp.errors import UserError


def test_verify_needs_neither_run_nor_pictures(copied):
    found = verify(copied / "model.tflite")
    assert found["images"] == 8 and found["largest_difference"] < 1e-5


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
    with pytest.raises(UserError, match=r"golden/2.png: an answer differs by 0.01"):
        verify(copied)


def test_what_is_missing_or_no_export_fails(copied):
    (copied / "labels.txt").unlink()
    with pytest.raises(UserError, match=r"labels.txt is missing"):
        verify(copied)
    with pytest.raises(UserError, match="is not an export"):
        verify(copied.parent)
