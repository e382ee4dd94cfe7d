"""What transfer was worth to a finished run, by training the same network without it: option verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tlapp.engine.advice import scratch
from tlapp.engine.advice.baselines import verdict
from tlapp.engine.job import Job
from tlapp.engine.options import RunOptions
from tlapp.engine.report import Reporter
from tlapp.engine.runs.folder import RunFolder
from tlapp.settings import HEAD, Settings, resolve


def judge_transfer(settings: Settings, folder: Path, reporter: Reporter, job_of: Callable[[Settings], Job]) -> None:
    """Train a finished run's network from random weights, in its folder, and write into its metrics what transfer was worth.

    Where it began with the network of another run, it is also trained as that was before: the task between helped, or did not.
    """
    from tlapp.engine.run import train as run

    files, tried = RunFolder(folder), {}
    metrics = files.metrics()
    shared = {name: value for name, value in settings.flat().items() if name in RunOptions.model_fields or name.startswith(HEAD)}
    shared["backbone"] = files.settings()["backbone"]  # a race may have chosen another
    for plugin, options in scratch.WAYS.items():
        place = scratch.place(folder, plugin)
        reporter.note(f"from random weights: {plugin}, in {place}")
        more = {"epochs": scratch.epochs(files)} if plugin == "full" else {}
        own = {**shared, "plugin": plugin, **options, **more, "run": str(place), "verdict": False, "report": "off"}
        job = job_of(resolve(own, resume=True))
        run(replace(job, provider=scratch.Unlearnt(job.provider), given={"data"}), reporter)  # type: ignore[arg-type]
        tried[plugin] = RunFolder(place)
    metrics["baselines"]["scratch"] = scratch.compared(files, tried)
    if earlier := scratch.origin(files.settings()["backbone"]):
        place = scratch.place(folder, scratch.ORIGIN)
        reporter.note(f"from {earlier['backbone']}, before the task that it learnt: {files.settings()['plugin']}, in {place}")
        own = {**files.settings(), **earlier, "run": str(place), "verdict": False, "report": "off"}
        run(replace(job_of(resolve(own, resume=True)), given={"data"}), reporter)
        metrics["baselines"][scratch.ORIGIN] = {"backbone": earlier["backbone"], **scratch.held(files, RunFolder(place))}
    files.write_metrics({**metrics, "verdict": verdict(metrics["baselines"])})
