"""Find the learning rate of a strategy: see `tlapp.engine.training.rate_search`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlapp import blame
from tlapp.engine.job import Job
from tlapp.engine.memory import enough_memory
from tlapp.engine.report import Reporter, Unseen
from tlapp.errors import UserError
from tlapp.settings import Settings

RATE = "learning_rate"
JobOf = Callable[[Settings], Job]
"""What the engine is asked to do by settings."""


def search(settings: Settings, reporter: Reporter, job_of: JobOf) -> dict[str, Any]:
    """Test learning rates in the first phase that trains by the option learning_rate.

    Returns:
        learning_rate: what was found, of two digits; phase: its name; rates, losses: of the steps.

    Raises:
        UserError: the strategy has no such option; or the losses do not fall anywhere.
    """
    from tlapp.engine.check import make_plan
    from tlapp.engine.run import Run
    from tlapp.engine.training.order import in_order
    from tlapp.engine.training.rate_search import RateSearch, smoothed, valley

    plugin = settings.options.plugin
    if RATE not in type(settings.strategy).model_fields:
        raise UserError("has no option learning_rate, so that there is nothing to find", plugin, option="plugin")
    with tempfile.TemporaryDirectory() as place:
        job = job_of(_with(settings, run=str(Path(place) / "run"), verdict=False))
        other = job_of(with_rate(settings, getattr(settings.strategy, RATE) / 2)).strategy
        with blame.naming(job.plugin_name), enough_memory(job.options):
            run = Run(job, Unseen(reporter), carrier=RateSearch)
            run.load()
            run.prepare()
            places = zip(in_order(run.plan), in_order(make_plan(other, run.task, run.backbone.facts)), strict=True)
            follows = [number for number, pair in enumerate(places) if len({getattr(p.phase, RATE, 0) for p in pair}) > 1]
            if not follows:
                raise UserError("no phase of its plan trains by option learning_rate", plugin, option="plugin")
            work: Any = run.work
            work.seek(follows[0])
            work.carry_out()
    found = valley(work.rates, work.losses)
    if found is None:
        raise UserError("the loss falls nowhere while the learning rate rises; give learning_rate a number", option=RATE)
    losses = [float(loss) for loss in smoothed(work.losses)]
    return {RATE: float(f"{found:.2g}"), "phase": work.slots[-1].phase.name, "rates": work.rates, "losses": losses}


def settled(settings: Settings, reporter: Reporter, job_of: JobOf) -> Settings:
    """Settings with the learning rate that was found, where it was to be found."""
    if RATE not in settings.later:
        return settings
    found = search(settings, reporter, job_of)
    reporter.note(f"learning rate {found[RATE]:g}, found by a test in phase {found['phase']}")
    return replace(with_rate(settings, found[RATE]), later=())


def with_rate(settings: Settings, rate: float) -> Settings:
    """Settings with another learning rate."""
    return replace(settings, strategy=settings.strategy.model_copy(update={RATE: rate}))


def _with(settings: Settings, **options: Any) -> Settings:
    return replace(settings, options=settings.options.model_copy(update=options))
