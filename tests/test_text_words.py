"""What is said of texts calls them texts, counts one of them as one, and refuses in words what is for pictures."""

import pytest
from helpers.texts import STAGES, VOCABULARY, write_texts
from tlapp_plugins.augment_adapt import AugmentAdapt
from tlapp_plugins.progressive import Progressive

from tlapp import advice
from tlapp.cli.result import class_lines, split_line
from tlapp.cli.runs import lines
from tlapp.contracts import Backbone, Task, TextInput, UserError
from tlapp.engine.advice import advise
from tlapp.engine.advice.domains import sentence
from tlapp.engine.runs.catalog import entries
from tlapp.engine.runs.folder import RunFolder
from tlapp.words import counted

TEXTS = Backbone("texts:small", TextInput(VOCABULARY), STAGES)


def test_one_is_not_many():
    assert [counted(n, "text") for n in (0, 1, 2, 1200)] == ["0 texts", "1 text", "2 texts", "1,200 texts"]
    split = {"accuracy": 1.0, "balanced_accuracy": 1.0, "macro_f1": 1.0, "loss": 0.1, "n": 1}
    assert split_line("val", split, "text").endswith("(1 text)")
    each = {"recall": 1.0, "precision": 1.0, "n": 1}
    assert [*class_lines("val", {"classes": {"a": each}}, noun="text")][1].endswith("(1 text)")


def test_the_target_is_of_texts():
    found = {"told_apart": 0.9, "interval": [0.8, 0.95], "different": True, "noun": "text"}
    assert "of the texts are told" in sentence(found) and "picture" not in sentence(found)


def test_the_list_of_runs_counts_texts(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_settings({"plugin": "freeze", "backbone": "bert:minilm", "data": "a.csv"})
    folder.write_plan({"noun": "text", "images": {"train": 5, "val": 2, "test": 1}})
    assert "freeze of bert:minilm on a.csv (8 texts)" in "\n".join(lines(entries(tmp_path)))


def test_advice_estimates_full_by_the_epochs_that_are_usual_for_texts(tmp_path, monkeypatch):
    asked = []

    def advised(found, epochs):
        asked.append(epochs)
        return {"settings": {}}

    monkeypatch.setattr(advise, "advice", advised)
    monkeypatch.setattr(advice, "prepared", lambda *arguments: None)
    advice.advise(write_texts(tmp_path / "a.csv", each=2), ["texts:small"])
    advice.advise("builtin:digits", ["x"])
    assert asked == [4, advise.EPOCHS]


@pytest.mark.parametrize(("strategy", "instead"), [(AugmentAdapt(), "self-training"), (Progressive(), "plugin=adapters")])
def test_what_is_for_pictures_is_refused_and_names_what_is_not(strategy, instead):
    with pytest.raises(UserError, match=instead):
        strategy.plan(Task(("a", "b"), {"train": 9}), TEXTS)
