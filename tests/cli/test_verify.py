"""`tlapp verify` says in a line that an artifact is whole."""

from __future__ import annotations

from tlapp.cli.main import run


def test_the_line_for_people(monkeypatch, capfd):
    report = {"images": 7, "noun": "text", "largest_difference": 0.00012, "tolerance": 0.001}
    monkeypatch.setattr("tlapp.engine.export.verify.verify", lambda artifact, layers, trust: report)
    assert run(["verify", "pets"]) == 0
    assert capfd.readouterr().out == "pets: unchanged; 7 texts, largest difference of an answer 0.000120 (at most 0.001)\n"
