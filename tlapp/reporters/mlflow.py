"""MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from pydantic import PrivateAttr

from tlapp.contracts import EpochFacts, RunFacts, RunReporter, RunResult, UserError

EXPERIMENT, FOLDER = "tlapp", "tlapp.folder"
"""The experiment that runs go to unless MLFLOW_EXPERIMENT_NAME says otherwise, and the tag that says which run of ours one is."""
STORE = "mlruns"
"""Where a local store lies, below the working folder, unless MLFLOW_TRACKING_URI says otherwise."""
ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
"""MLflow 3.7 and later ask for it before they write to plain files."""
LONGEST = 500
"""Characters of a parameter that every store takes."""


class MLflow(RunReporter):
    """Parameters, metrics of each epoch and the run's folder as artifacts, to MLFLOW_TRACKING_URI or ./mlruns."""

    contract = "1.2"
    _client: Any = PrivateAttr(None)
    _run: str = PrivateAttr("")

    def check(self) -> None:
        if find_spec("mlflow") is None:
            raise UserError("needs one more package: pip install 'tlapp[mlflow]'", "mlflow", "log")

    def begun(self, run: RunFacts) -> None:
        from mlflow.tracking import MlflowClient

        with _file_store():
            self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or f"file://{os.path.abspath(STORE)}")
            self._run = self._resumed(run) or self._begin(run)

    def epoch(self, epoch: EpochFacts) -> None:
        with _file_store():
            for name, value in epoch.metrics.items():
                self._client.log_metric(self._run, name, value, step=epoch.step)

    def finished(self, result: RunResult) -> None:
        with _file_store():
            for split in ("val", "test", "target"):
                for name, value in (result.metrics.get(split) or {}).items():
                    if isinstance(value, int | float):
                        self._client.log_metric(self._run, f"result/{split}/{name}", value)
            self._client.log_artifacts(self._run, str(result.folder))
            self._client.set_terminated(self._run)

    def stopped(self, reason: str) -> None:
        with _file_store():
            self._client.set_tag(self._run, "tlapp.stopped", reason[:LONGEST])
            self._client.set_terminated(self._run, "KILLED")

    def _begin(self, run: RunFacts) -> str:
        tags = {FOLDER: str(run.folder.absolute()), "mlflow.runName": run.folder.name}
        begun = self._client.create_run(self._experiment(), tags=tags).info.run_id
        for name, value in _flat(run.settings):
            self._client.log_param(begun, name, str(value)[:LONGEST])
        return str(begun)

    def _resumed(self, run: RunFacts) -> str:
        """The run of this folder that was begun before; "" where there is none."""
        if not run.epochs:
            return ""
        where = f"tags.`{FOLDER}` = '{run.folder.absolute()}'"
        found = self._client.search_runs([self._experiment()], where, max_results=1)
        if not found:
            return ""
        self._client.update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        known = self._client.get_experiment_by_name(name)
        return str(known.experiment_id if known else self._client.create_experiment(name))


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in settings.items() if value is not None)


@contextmanager
def _file_store() -> Iterator[None]:
    """Let MLflow write to plain files."""
    before = os.environ.get(ALLOWED)
    os.environ.setdefault(ALLOWED, "true")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ALLOWED, None)
