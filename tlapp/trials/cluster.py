"""Trials on a Ray cluster, https://docs.ray.io, whose machines see the data and the trials' folder by the same names."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from tlapp.engine.report import Silent
from tlapp.engine.runs.folder import SETTINGS
from tlapp.errors import TlappError, UserError
from tlapp.settings import resolve
from tlapp.trials.trial import Processes, Trial, Workers

RETRIES = 3
"""How often a trial is begun again, or goes on, whose worker was lost."""
ANSWER_SECONDS = 5.0
ONE_CORE = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


def workers_on(where: str) -> Workers:
    """This machine, or a cluster: "ray" for one of all cores of this machine, "ray:ADDRESS" for one that runs.

    Raises:
        UserError: it is something else; Ray is not installed, or not to be reached.
    """
    if not where:
        return Processes()
    name, _, address = where.partition(":")
    if name != "ray":
        raise UserError("expected ray, or ray:ADDRESS", where, option="on")
    return OnRay(address)


class OnRay(Workers):
    """A trial a core of a Ray cluster, each in a process of its own, which goes on elsewhere where it is lost.

    Args:
        address: of the cluster's head; "" to start one on this machine.
    """

    def __init__(self, address: str = ""):
        try:
            import ray
        except ImportError as error:
            raise UserError("needs the package ray: pip install 'tlapp[ray]'", option="on") from error
        self._ray, self._own, self._output = ray, not ray.is_initialized(), redirect_stdout(sys.stderr)
        if self._own:
            _must_answer(address)
            own: dict[str, Any] = {} if address else {"include_dashboard": False}
            try:
                ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UserError(f"cannot be reached: {error}", f"ray:{address}", option="on") from error
        self._output.__enter__()  # Ray tells of lost workers on standard output, where --json is read
        self.count = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._train = ray.remote(num_cpus=1, max_retries=RETRIES, max_calls=1, runtime_env={"env_vars": ONE_CORE})(train_here)
        self._running: dict[Any, Trial] = {}

    def start(self, trial: Trial) -> None:
        settings = resolve(trial.settings)  # paths are absolute in what a worker gets: it has a working folder of its own
        whole = {**settings.repeatable(), **dict.fromkeys(settings.later, "auto")}
        self._running[self._train.remote(trial.name, whole, str(trial.place.absolute()))] = trial

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
        if self._own:
            self._ray.shutdown()
        self._output.__exit__(None, None, None)


def _must_answer(address: str) -> None:
    """Refuse an address where nothing answers, which Ray itself asks for many minutes.

    Raises:
        UserError: nothing does.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise UserError(f"cannot be reached: {error.strerror or error}", f"ray:{address}", option="on") from error


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
