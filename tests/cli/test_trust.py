"""--trust reaches the provider of a backbone when it is made, in every command that loads one."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from tlapp import registry
from tlapp.cli.main import run
from tlapp.testing import TinyBackbones

MADE = []


class Notes(TinyBackbones):
    """Notes how it was made."""

    def __init__(self, trust=False):
        super().__init__(trust)
        MADE.append(self.trust)


class Own(TinyBackbones):
    """Has an __init__ of its own, as the contract allowed before trust was a parameter."""

    def __init__(self):
        self.width = 3


@pytest.fixture(autouse=True)
def providers(monkeypatch):
    points = {name: EntryPoint(name, f"{__name__}:{name.capitalize()}", "tlapp.backbones") for name in ("notes", "own")}
    found = registry.installed
    every = {**found("backbone"), **{name: (point,) for name, point in points.items()}}
    monkeypatch.setattr(registry, "installed", lambda kind: every if kind == "backbone" else found(kind))
    MADE.clear()


COMMANDS = {
    "plugins show": ["plugins", "show", "freeze", "--backbone"],
    "backbones show": ["backbones", "show"],
    "doctor": ["doctor", "--backbone"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("trust", [False, True])
def test_the_provider_is_made_with_it(words, trust, monkeypatch, tensorflow, capfd):
    monkeypatch.setattr("tlapp.engine.export.doctor.examine", lambda candidate: [])
    assert run([*words, "notes:tiny", *(["--trust"] if trust else [])]) == 0
    assert [trust] == MADE


def test_a_provider_that_does_not_take_it_works_without(tensorflow, capfd):
    assert run(["backbones", "show", "own:tiny"]) == 0
    assert registry.backbone("own:tiny")[0].trust is False
    capfd.readouterr()
    assert run(["backbones", "show", "own:tiny", "--trust"]) == 3
    assert capfd.readouterr().err == (
        "tlapp: backbone own of an unknown distribution: its __init__() has no parameter trust, which --trust needs\n"
    )


@pytest.mark.parametrize("words", [["plugins", "show", "freeze"], ["doctor"]])
def test_without_a_backbone_it_is_refused(words, capfd):
    assert run([*words, "--trust"]) == 2
    assert "--trust: counts only with --backbone" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["backbone", "backbones"])
def test_the_old_word_for_the_kind_is_understood(kind, capfd):
    assert run(["plugins", "show", "notes", "--kind", kind]) == 0
    assert "backbone notes of" in capfd.readouterr().out
