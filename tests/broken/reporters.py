"""Reporters that each break one rule of the contract."""

from __future__ import annotations

from tlapp.contracts import RunReporter


class Chatty(RunReporter):
    """Answer each epoch with a word."""

    contract = "1.2"

    def epoch(self, epoch):
        return "yes"


class Hopeful(RunReporter):
    """Close what only a result opens."""

    contract = "1.2"
    _file = None

    def finished(self, result):
        self._file = open(result.folder / "mine.txt", "w", encoding="utf-8")  # noqa: SIM115 - closed below, or never
        self._file.close()

    def stopped(self, reason):
        self._file.close()
