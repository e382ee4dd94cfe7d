"""The verbs for Python: train and load. What makes more of finished runs is in reuse.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlapp import blame, registry
from tlapp.cluster.connection import Cluster, connected
from tlapp.engine.memory import enough_memory
from tlapp.engine.report import Reporter, Silent
from tlapp.errors import UserError, each_of
from tlapp.settings import HEAD, Settings, files_named, resolve

if TYPE_CHECKING:
    from tlapp.contracts import BackboneProvider
    from tlapp.engine.job import Job


def train(
    config: str | Path | None = None, *, reporter: Reporter | None = None, trust: bool = False, on: str = "", **settings: Any
) -> Any:
    """Train a model: `tlapp.train(plugin="partial", data="pictures", last=3)`.

    Args:
        config: a YAML file of settings.
        reporter: gets notes, plan, progress and epochs; see `tlapp.engine.report.Reporter`.
        trust: open model files that the settings name even if they hold code, which could then do anything that you can do.
        on: "ray" or "ray:ADDRESS" to compute the frozen front, and train stages, on a cluster.
        settings: as on the command line, with underscores.

    Returns:
        The finished run, a `tlapp.engine.runs.saved.SavedRun`.

    Raises:
        UserError: a setting, file or folder is wrong. PluginError: a plugin is.
    """
    with _arguments_named():
        folder = carry_out(resolve(settings, config), reporter or Silent(), trust=trust, on=on)
    assert folder is not None, "only a dry run has no folder"
    return load_run(folder)


def load(path: str | Path, *, trust: bool = False, unfinished: bool = False, task: str | None = None) -> Any:
    """A trained model, by a run's folder or an export: `tlapp.load("saved_models/pets").predict(["cat.jpg"])`.

    Args:
        path: the folder of a run; the folder of an export, or the artifact in it; or a .tflite file.
        trust: open its model even if it holds code, which could then do anything that you can do.
        unfinished: take the best model so far of a run that was stopped.
        task: which of several, of a file that `merge_tasks` wrote.

    Returns:
        A `tlapp.engine.export.fast.FastRun`, or a `tlapp.engine.export.exported.Exported`; both predict and evaluate.

    Raises:
        UserError: there is no such run or export, or the run did not finish.
    """
    from tlapp.engine.export.exported import exported
    from tlapp.engine.export.facts import TASKS
    from tlapp.engine.export.fast import FastRun
    from tlapp.engine.export.golden import FILE
    from tlapp.engine.runs.folder import LABELS, MODEL, SETTINGS, RunFolder

    place = Path(path)
    if not place.exists():
        raise UserError(f"{path}: there is no such file or folder")
    if place.name == MODEL and RunFolder(place.parent).has(SETTINGS):
        place = place.parent
    is_run = RunFolder(place).has(SETTINGS)
    export = None if is_run else exported(place, lambda backbone: input_facts({"backbone": backbone}), layers, trust, task)
    if not (is_run or export):
        inside = f"{SETTINGS}, {LABELS} and {MODEL}"
        raise UserError(f"{path}: is neither a run nor an export; a run's folder holds {inside}, an export's {FILE}")
    if export and unfinished:
        raise UserError(f"{path}: is an export, and option unfinished is for runs; leave it out")
    if task and not any((each / TASKS).is_file() for each in (place, place.parent)):
        raise UserError(f"{path}: answers for one task only; `tlapp merge` puts several runs into one file", task, option="task")
    return export or _opened(FastRun, place, trust, unfinished)


def load_run(run: str | Path, *, trust: bool = False) -> Any:
    """The finished run in a folder, by its Keras model.

    Raises:
        UserError: there is none.
    """
    from tlapp.engine.runs.saved import SavedRun

    return _opened(SavedRun, run, trust)


def _opened(kind: type, run: str | Path, trust: bool, unfinished: bool = False) -> Any:
    saved: Any = kind(run, lambda: layers(saved.settings["backbone"]), trust, lambda: input_facts(saved.settings), unfinished)
    return saved


def input_facts(settings: Mapping[str, Any]) -> Any:
    """The input of a run's backbone, as far as its provider can tell before it is loaded; None where it cannot.

    Raises:
        UserError: nothing provides the backbone.
    """
    from tlapp.engine.inputs import stated_input

    provider, name = provider_of(settings["backbone"])
    return stated_input(provider, name, settings.get("image_size"))


def layers(backbone: str) -> Mapping[str, type]:
    """The layer classes that a model with the backbone of this ID needs beyond Keras's own, by name.

    Raises:
        UserError: nothing provides the backbone.
    """
    return provider_of(backbone)[0].custom_layers()


def provider_of(backbone: str, trust: bool = False) -> tuple[BackboneProvider, str]:
    """The provider of a backbone's ID, its errors named, and the backbone's name there.

    Raises:
        UserError: nothing provides the backbone. PluginError: its provider is broken.
    """
    provider, name = registry.backbone(backbone, trust)
    return blame.provider(provider, registry.plugin_name("backbone", backbone.partition(":")[0])), name


def carry_out(
    settings: Settings, reporter: Reporter, dry: bool = False, resume: bool = False, exports: str | None = None,
    trust: bool = False, on: str = "",
) -> Path | None:  # fmt: skip
    """Run settings through the engine; see `tlapp.engine.run.train`. The run's folder, or None for a dry run."""
    from tlapp.learning_rate import settled
    from tlapp.reporting import logged

    if dry and settings.later:
        reporter.note(f"option {settings.later[0]}=auto is found when training begins; the plan shows the default")
    if on and settings.options.cache == "off":
        raise UserError("has the frozen front computed once, and option cache=off anew each epoch; leave one out", on, "on")
    with connected(on, dry, reporter.note) as cluster:
        if not dry:
            settings = settled(settings, reporter, lambda each: job_of(each, trust, cluster))
        with files_named(settings.origins), logged(reporter, () if dry else settings.options.log) as listener:
            folder = _carried_out(settings, listener, dry, resume, exports, trust, cluster)
    if folder and settings.options.verdict:
        from tlapp.verdict import judge_transfer

        with files_named(settings.origins):
            judge_transfer(settings, folder, reporter, lambda each: job_of(each, trust))
            report_again(settings, folder, reporter, trust)
    return folder


def _carried_out(
    settings: Settings, reporter: Reporter, dry: bool, resume: bool, exports: str | None, trust: bool, cluster: Cluster | None
) -> Path | None:
    """Carry out a run, or a race of several."""
    from tlapp.engine.run import train as run
    from tlapp.race import Race

    if (rungs := settings.strategy.rungs()) and not dry:
        race = Race(
            settings, reporter, lambda each, to, again, ahead: rung(job_of(each, trust, cluster, ahead), to, again, exports),
            settings.strategy.seconds, resume,
        )  # fmt: skip
        won = race.run(rungs)
        report_again(settings, won, reporter, trust)
        return won
    job = job_of(settings, trust, cluster)
    with blame.naming(job.plugin_name), enough_memory(job.options):
        return run(job, reporter, dry, resume, exports)


def rung(job: Job, reporter: Reporter, resume: bool, exports: str | None) -> None:
    """Carry out one run of a race."""
    from tlapp.engine.run import train as run

    with blame.naming(job.plugin_name), enough_memory(job.options):
        options = job.options.model_copy(update={"report": "off"})  # of the best only, when all are over
        # Another option that one rung does not read may be for another rung; a head of the user's choice must not be replaced.
        given = {key for key in job.given if key in ("data", "head") or key.startswith(HEAD)}
        run(replace(job, options=options, given=given), reporter, resume=resume, exports=exports)


def report_again(settings: Settings, folder: Path, reporter: Reporter, trust: bool) -> None:
    """Write the report of a finished run to which something was added, unless the settings say not to."""
    from tlapp.engine.visuals.at_the_end import report_saved

    if settings.options.report == "on":
        report_saved(load_run(folder, trust=trust), reporter)


def job_of(settings: Settings, trust: bool, cluster: Cluster | None = None, ahead: Sequence[Settings] = ()) -> Job:
    """What the engine is asked to do by settings, every name looked up; `ahead` are the settings of the strategies ahead.

    Raises:
        UserError, PluginError: there is nothing of a name, or it is broken.
    """
    from tlapp.engine.job import Job
    from tlapp.engine.training.worker import work

    options = settings.options
    provider, name = provider_of(options.backbone, trust)
    names = [registry.plugin_name("strategy", each.options.plugin) for each in (settings, *ahead)]
    own, *others = (blame.strategy(each.strategy, name) for each, name in zip((settings, *ahead), names, strict=True))
    backbone = f"{options.backbone.partition(':')[0]}:{provider.absolute(name)}"
    return Job(
        options,
        own,
        blame.head(settings.head, registry.plugin_name("head", options.head)),
        provider, name, {**settings.repeatable(), "backbone": backbone}, settings.origins.keys(), names[0],
        tuple(others), cluster, partial(work, partial(job_of, settings, trust)),
    )  # fmt: skip


@contextmanager
def _arguments_named() -> Iterator[None]:
    """Put the keyword argument in front of an error about an option that no file set: "last=19"."""
    try:
        yield
    except UserError as error:
        for each in each_of(error):
            if not each.origin and each.option is not None:
                value = str(each.received) if isinstance(each.received, Path) else each.received
                each.origin = each.option if value is None else f"{each.option}={value!r}"
        raise
