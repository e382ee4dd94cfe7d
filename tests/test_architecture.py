"""docs/architecture.md is true: what it names exists, and the plain word is found where it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
WORDS = {
    "the stages of a backbone": "stage",
    "how stages are found": "stages",
    "the cut": "the cut",
    "the cache key": "cache key",
    "what computes a front: TensorFlow or LiteRT": "LiteRT",
    "which decoded pictures are kept, and why": "keep examples",
    "rows that an earlier set left in the cache": "earlier entries",
    "DANN's loss": "DANN",
    "the default of an option": "default",
    "the check of a TFLite file": "TFLite",
    "what resume reads": "resum",
    "the split": "split",
    "early stopping": "early stopping",
    "episodes of classes that a run has not seen": "def few_shot(session",
    "what advice is made of": "advice",
    "where a trial runs": "a trial",
    "how a Ray cluster is reached": "connection to a cluster",
    "how several machines train a phase": "several machines share",
    "the values that tune searches": "searched over",
    "the rule by which find-lr chooses": "learning rate range test",
    "what the verdict is made of": "verdict",
    "the formulas of intervals": "interval",
    "error to exit code": "exit code",
    "what a phase does, in words": "what a phase does",
    "tar shards and TFRecord files": "tar files in WebDataset's layout",
    "data.csv and problems.csv": "problems.csv",
    "how a picture becomes a square": "square",
    "how exported models take texts": "serve_text",
    "BERT in Keras's layers": "def _attention",
    "several backbones as one": "several backbones as one",
    "what is mended in keras-hub": "def mend",
    "keras-hub's presets for texts": "presets of keras-hub for texts",
    "copies of training pictures in the test set": "leaks",
    "how a text becomes a row of ids": "row of token ids",
    "pairs of texts, and how they are cut": "pair",
    "which kind of examples data hold": "kind of examples",
    "how examples of different lengths are computed": "different lengths",
    "how a run answers without TensorFlow": "without tensorflow",
    "an export that answers as a run does": "exported",
    "evaluate's warning about trained pictures": "trained on",
    "what a phase's fields must be": "field of a phase",
    "what a teacher says, kept": "guide",
    "what a server promises to hold and to refuse": "at most",
    "the page to try a model on": "the page",
    "shell completion": "shell completes",
    "what a heat map shows": "speaks for",
    "what report.html shows": "what the sections of a run's report show",
    "the temperature of a run": "temperature",
    'the rule of "unknown"': "split-conformal",
    "what reporters are told": "told no more",
    "names in a run folder": "run folder",
}
"""What to look for -> the word that a newcomer would search for."""


def rows():
    table = TEXT.partition("## Where is ...?")[2].partition("## ")[0]
    return re.findall(r"^\| (?!look|---)(.+?) \| (.+?) \|$", table, re.M)


def test_every_thing_to_find_has_a_word():
    assert [name for name, _ in rows()] == list(WORDS)


@pytest.mark.parametrize(("name", "places"), rows())
def test_the_word_is_where_it_says(name, places):
    first = re.search(r"`([^`]+\.py)`", places)[1]
    assert WORDS[name].lower() in (ROOT / first).read_text().lower()


def test_every_path_exists():
    paths = re.findall(r"`([\w/]+\.(?:py|md)|(?:\w+/)+)`", TEXT)
    assert len(paths) > 30
    for path in paths:
        assert any((ROOT / base / path).exists() for base in ("", "tlapp", "tlapp/engine", "tlapp/engine/training", "docs")), path


def test_every_room_of_the_engine_is_told():
    for folder in (ROOT / "tlapp" / "engine").iterdir():
        if (folder / "__init__.py").exists():
            assert f"{folder.name}/" in TEXT


def test_contributing_names_what_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`((?:tlapp|tests|plugins|docs)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("plugins/freeze.py", 15),
        ("plugins/linear.py", 10),
        ("tlapp/cli/templates/strategy.py.txt", 15),
        ("tlapp/cli/templates/head.py.txt", 10),
        ("tlapp/cli/templates/backbone.py.txt", 20),
    ],
)
def test_a_new_thing_costs_as_many_lines_as_contributing_says(path, most):
    lines = [line for line in (ROOT / path).read_text().splitlines() if line.strip()]
    assert len(lines) <= most
