"""Snippets are for formats that have them, and the card reads as model hubs read it."""

from pathlib import Path

import pytest
import yaml

from tlapp.cli.main import run as command
from tlapp.engine.export import snippets
from tlapp.engine.export.formats import named
from tlapp.engine.inputs.image_export import ImageExport
from tlapp.errors import UserError


def test_a_phones_snippet_is_for_tflite(capsys):
    assert command(["export", "anywhere", "--format", "tflite", "--snippet", "kotlin"]) == 0
    assert "ImageClassifier" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"is for .*format.tflite"):
        snippets.snippet("swift", named("keras"), ImageExport())


def test_the_card_reads_as_hubs_read_it(tflite, run):
    _, front, text = (Path(tflite["folder"]) / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert (facts["library_name"], facts["pipeline_tag"]) == ("tflite", "image-classification")
    assert facts["model-index"][0]["results"][0]["metrics"][0]["value"] == round(tflite["check"]["accuracy_after"], 4)
    counts = run.metrics["images"]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| red")]
    assert len(rows) == 2 and int(rows[0][1]) <= counts["train"] and "Ada" in text and "Intended use" in text
