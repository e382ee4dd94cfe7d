"""Reporters: told what a run does, to log it elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from tlapp.contracts.options import Options


class RunFacts(NamedTuple):
    """A run that begins.

    Attributes:
        folder: the run's.
        logs: a folder in it for this reporter's own files; it may have to be made.
        settings: as in settings.yaml, flat.
        plan: as in plan.json: the phases, with the rates of their stages.
        epochs: how many are past already, of a run that is resumed.
    """

    folder: Path
    logs: Path
    settings: Mapping[str, Any]
    plan: Mapping[str, Any]
    epochs: int = 0


class EpochFacts(NamedTuple):
    """An epoch that has ended.

    Attributes:
        step: from 1 through all phases; of those in which a phase looks before it begins, too.
        phase, epoch: the phase's name, and the epoch's number in it.
        metrics: such as {"train/loss": 0.3, "val/loss": 0.4, "val/accuracy": 0.9, "target/score": 1.2}.
        best: whether its weights are the best so far.
        learning_rate: the phase's; None where it trains by no gradient.
        rates: stage -> its learning-rate factor in this phase; stages that are frozen are not in it.
    """

    step: int
    phase: str
    epoch: int
    metrics: Mapping[str, float]
    best: bool
    learning_rate: float | None
    rates: Mapping[str, float]


class RunResult(NamedTuple):
    """A run that is finished.

    Attributes:
        folder: the run's, complete.
        metrics: as in metrics.json.
        labels: the classes.
        confusion: of test, or else of val: (classes, classes) counts as nested lists, a row a true class; None where an example
            has not exactly one.
    """

    folder: Path
    metrics: Mapping[str, Any]
    labels: tuple[str, ...]
    confusion: list[list[int]] | None


class RunReporter(Options):
    """Told what a run does. The first line of the docstring is its help.

    It is made anew for each run, without arguments. What goes wrong in `begun`, `epoch` or `finished` is told in a note, and the
    reporter is told no more; the run goes on.
    """

    contract: ClassVar[str] = "1.0"
    """The `tlapp.contracts.VERSION` that it was written for."""

    def check(self) -> None:
        """Called before anything is read.

        Raises:
            UserError: it cannot work here, such as without a package; says what to install.
        """

    def begun(self, run: RunFacts) -> None:
        """The run has its folder."""

    def epoch(self, epoch: EpochFacts) -> bool | None:
        """An epoch has ended. True asks the run to stop: the phase ends with its best weights, as when it runs out of patience;
        phases that follow are cut off after one epoch, and the run is finished as ever.
        """

    def finished(self, result: RunResult) -> None:
        """The run's folder is complete."""

    def stopped(self, reason: str) -> None:
        """The run ends without a result, by an error or Ctrl-C; it may be resumed."""
