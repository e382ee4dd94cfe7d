"""Search the options of a strategy by Optuna, https://optuna.org: by its sampler and pruner, in its storage."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlapp.engine.advice.calibration import calibrated_losses
from tlapp.engine.advice.comparison import measured, row
from tlapp.engine.report import Reporter
from tlapp.engine.runs.folder import HISTORY, PROBABILITIES, RunFolder
from tlapp.errors import UserError
from tlapp.settings import resolve
from tlapp.trials.ranges import Range
from tlapp.trials.trial import LOOK_SECONDS, UNASKED, Trial, Workers

STUDY = "study.log"
BEGINS_LIKE_RANDOM = 5
"""Trials before the sampler learns from the earlier ones, and before the pruner stops any."""


def value(run: RunFolder) -> float:
    """What is made small: the loss on val, of calibrated probabilities where labels are classes.

    Raises:
        UserError: the run has no val.
    """
    metrics, kept = run.metrics(), run.arrays(PROBABILITIES)
    if not metrics["val"]:
        raise UserError("there is no val to choose by; give val_share or val", option="over")
    if kept["val_labels"].dtype.kind == "i" and kept["val"].shape[1] > 1:
        return float(calibrated_losses(kept["val"], kept["val_labels"]).mean())
    return float(metrics["val"]["loss"])


def so_far(run: RunFolder) -> list[float]:
    """The losses on val of the epochs of a run under way."""
    if not run.has(HISTORY):
        return []
    with open(run.file(HISTORY), encoding="utf-8", newline="") as file:
        whole = file.read().rpartition("\n")[0]  # the last line may be half written
    rows = csv.DictReader(whole.splitlines())
    return [float(line["value"]) for line in rows if (line["split"], line["name"]) == ("val", "loss")]


class Search:
    """A search under way; what was done stands in its folder, and is not done again.

    Args:
        shared: the settings of every trial.
        over: what is searched, by option.
        output: the folder.

    Raises:
        UserError: Optuna is not installed; or the folder holds a search of other settings.
    """

    def __init__(self, shared: Mapping[str, Any], over: Mapping[str, Range], output: Path, reporter: Reporter, workers: Workers):
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend
        except ImportError as error:
            raise UserError("needs the package optuna: pip install 'tlapp[tune]'") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        output.mkdir(parents=True, exist_ok=True)
        backend = JournalFileBackend(str(output / STUDY))
        self._optuna, self._shared, self._over, self._output = optuna, dict(shared), over, output
        self._reporter, self._workers = reporter, workers
        self._study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend), study_name="tune", load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=BEGINS_LIKE_RANDOM),
        )  # fmt: skip
        given = {key: str(each) for key, each in shared.items()}
        asked = json.loads(json.dumps({"settings": given, "over": over}))  # as it will be read
        if self._study.user_attrs.get("asked", asked) != asked:
            raise UserError("holds a search with other settings; name another folder", output, option="output")
        if not self._study.trials:
            self._study.set_user_attr("asked", asked)
            settings = resolve(shared).flat()
            defaults = {key: each.among(settings[key]) for key, each in over.items()}
            if None not in defaults.values():
                self._study.enqueue_trial(defaults)
                self._study.set_user_attr("defaults", True)  # they are trial 0
        self._under_way: dict[Trial, Any] = {}

    def run(self, count: int, seconds: float | None = None) -> dict[str, Any]:
        """Search until so many trials have ended, or the time is over; those under way are then finished.

        Returns:
            best: the options of the best on val; settings: to train with; trials: how many ended, stopped early and failed;
            value: its loss on val; row: of its test, beside the trial of the defaults (`tlapp.engine.advice.comparison.row`);
            None where answers have no accuracy.

        Raises:
            UserError: every trial failed.
        """
        end = time.monotonic() + seconds if seconds else math.inf
        for frozen in self._study.get_trials(states=[self._optuna.trial.TrialState.RUNNING]):
            self._start(self._optuna.trial.Trial(self._study, frozen._trial_id))  # was stopped: it goes on
        while self._more(count, end) or self._under_way:
            while self._more(count, end) and len(self._under_way) < self._workers.count:
                self._study.sampler = self._optuna.samplers.TPESampler(
                    seed=len(self._study.trials), n_startup_trials=BEGINS_LIKE_RANDOM, multivariate=True
                )
                self._start(self._study.ask({key: each.distribution() for key, each in self._over.items()}))
            for trial, sentence in self._workers.ended():
                self._end(trial, sentence)
            for trial in [*self._under_way]:
                self._look(trial)
            time.sleep(LOOK_SECONDS)
        return self._result()

    def _more(self, count: int, end: float) -> bool:
        waiting = self._optuna.trial.TrialState.WAITING
        begun = [each for each in self._study.trials if each.state != waiting]
        return len(begun) < count and (time.monotonic() < end or not begun)

    def _place(self, number: int) -> Path:
        return self._output / f"trial-{number}"

    def _start(self, asked: Any) -> None:
        words = ", ".join(f"{key} {show(each)}" for key, each in asked.params.items())
        trial = Trial(f"trial {asked.number}: {words}", {**UNASKED, **self._shared, **asked.params}, self._place(asked.number))
        self._reporter.note(trial.name)
        self._under_way[trial] = asked
        if not trial.done:
            self._workers.start(trial)
        else:
            self._end(trial, "")

    def _end(self, trial: Trial, sentence: str) -> None:
        asked = self._under_way.pop(trial)
        if sentence:
            self._reporter.note(f"trial {asked.number}: {sentence}")
            self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
        else:
            loss = value(trial.run)
            self._study.tell(asked, loss)
            self._reporter.note(f"trial {asked.number}: loss on val {loss:.4f}")

    def _look(self, trial: Trial) -> None:
        """Stop a trial that does worse than most did at its epoch."""
        asked, losses = self._under_way[trial], so_far(trial.run)
        known = self._study.trials[asked.number].intermediate_values
        for epoch in range(len(known), len(losses)):
            asked.report(losses[epoch], epoch)
        if len(losses) > len(known) and asked.should_prune():
            self._workers.stop(trial)
            del self._under_way[trial]
            self._study.tell(asked, state=self._optuna.trial.TrialState.PRUNED)
            self._reporter.note(f"trial {asked.number}: stopped after {len(losses)} epochs, as it does worse than most")

    def _result(self) -> dict[str, Any]:
        states = self._optuna.trial.TrialState
        counts = {state.name.lower(): len(self._study.get_trials(states=[state])) for state in states if state.is_finished()}
        if not counts["complete"]:
            raise UserError(f"no trial came to its end; see the logs in {self._output}")
        best = self._study.best_trial
        known = best.number and self._study.user_attrs.get("defaults") and self._study.trials[0].state == states.COMPLETE
        run, first = RunFolder(self._place(best.number)), {0: RunFolder(self._place(0))} if known else {}
        return {
            "best": best.params, "settings": {**self._shared, **best.params}, "value": best.value, "trials": counts,
            "row": row({0: run}, first) if measured(run) else None, "run": str(run.path),
        }  # fmt: skip


def show(each: Any) -> str:
    """A value in a sentence."""
    return f"{each:.3g}" if isinstance(each, float) else str(each)
