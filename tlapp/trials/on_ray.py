"""Trials on a Ray cluster, whose machines see the data and the trials' folder by the same names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlapp.cluster.connection import Cluster
from tlapp.engine.report import Silent
from tlapp.engine.runs.folder import SETTINGS
from tlapp.errors import TlappError
from tlapp.settings import resolve
from tlapp.trials.trial import Processes, Trial, Workers


def workers_on(where: str) -> Workers:
    """This machine, or a cluster; see `tlapp.cluster.connection.Cluster`.

    Raises:
        UserError: as there.
    """
    return OnRay(Cluster(where)) if where else Processes()


class OnRay(Workers):
    """A trial a core of a cluster, each in a process of its own, which goes on elsewhere where it is lost."""

    def __init__(self, cluster: Cluster):
        self._cluster, self._ray, self.count = cluster, cluster.ray, cluster.cores
        self._train = cluster.task(train_here, max_calls=1)
        self._running: dict[Any, Trial] = {}

    def start(self, trial: Trial) -> None:
        settings = resolve(trial.settings)  # paths are absolute in what a worker gets: it has a working folder of its own
        whole = {**settings.repeatable(), **dict.fromkeys(settings.later, "auto")}
        self._running[self._train(trial.name, whole, str(trial.place.absolute()))] = trial

    def ended(self) -> Iterator[tuple[Trial, str]]:
        ready, _ = self._ray.wait([*self._running], num_returns=len(self._running), timeout=0) if self._running else ([], [])
        for each in ready:
            trial = self._running.pop(each)
            try:
                yield trial, self._ray.get(each)
            except self._ray.exceptions.RayError as error:
                yield trial, f"its worker was lost: {str(error).splitlines()[0]}"

    def stop(self, trial: Trial) -> None:
        for each in [each for each, other in self._running.items() if other == trial]:
            self._ray.cancel(each, force=True)
            del self._running[each]

    def close(self) -> None:
        for trial in [*self._running.values()]:
            self.stop(trial)
        self._cluster.close()


def train_here(name: str, settings: dict[str, Any], place: str) -> str:
    """Train a trial in this process, or go on with it; why it failed, or ""."""
    from tlapp.api import carry_out

    trial = Trial(name, settings, Path(place))
    try:
        if trial.done:
            return ""
        if trial.begun():
            carry_out(resolve({"run": place}, trial.run.file(SETTINGS), resume=True), Silent(), resume=True)
        else:
            carry_out(resolve({**settings, "run": place}), Silent())
    except TlappError as error:
        return f"failed: {error}"
    return ""
