"""The verbs before training: advise, audit the data, preview. The first two ask one prepared run of `probe` what it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlapp import blame
from tlapp.api import job_of
from tlapp.defaults import defaults, input_kind
from tlapp.engine.memory import enough_memory
from tlapp.engine.report import Reporter, Silent
from tlapp.errors import UserError
from tlapp.settings import Settings, files_named, resolve


def advise(
    data: str | Path, backbones: Sequence[str] = (), *, target: str | Path | None = None, reporter: Reporter | None = None,
    trust: bool = False, **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Say which backbone and strategy suit data, before training: `tlapp.advise("pictures")["settings"]`.

    Args:
        data: as the option data of train; what is set aside for testing is not looked at.
        backbones: to compare; the default one where none is named.
        target: unlabelled pictures on which the model is to be used, as the option target of train: do they look different?
        reporter, trust: as in `train`.
        settings: others of `train`, such as image_size, but plugin.

    Returns:
        As `tlapp.engine.advice.advise.advice`; "settings" are those to train with.

    Raises:
        UserError: as train; or the labels are not one class each.
    """
    from tlapp.engine.advice.advise import EPOCHS, advice, features
    from tlapp.engine.advice.domains import PLUGIN, domains, sentence

    names = backbones or (resolve({"data": str(data)}).options.backbone,)
    found = {name: prepared(data, {**settings, "backbone": name}, features, reporter, trust) for name in names}
    full = type(resolve({"plugin": "full", "data": str(data)}).strategy)
    result = advice(found, defaults(full, input_kind({"data": str(data)}), "").get("epochs", EPOCHS))
    shared = {key: value for key, value in settings.items() if value is not None}
    if target:
        best = result["settings"]["backbone"]
        apart = prepared(data, {**settings, "backbone": best, "target": str(target), **PLUGIN}, domains, reporter, trust)
        result = {**result, "target": apart, "reasons": [*result["reasons"], sentence(apart)]}
        if apart["different"]:
            result["settings"] = {**result["settings"], "plugin": "auto", "target": str(target)}
    return {**result, "settings": {**result["settings"], "data": str(data), **shared}}


def audit(
    data: str | Path, *, reporter: Reporter | None = None, trust: bool = False, write: str | Path | None = None, **settings: Any
) -> dict[str, Any]:
    """Say what is wrong with labelled pictures: `tlapp.audit("pictures")["findings"]`.

    Args:
        data: as the option data of train.
        reporter, trust: as in `train`.
        write: a CSV to write, for the option data of train, without what is wrong.
        settings: others of `train`, such as image_size and backbone, but plugin.

    Returns:
        findings: as `tlapp.engine.advice.audit.Finding`; classes: sentences on classes that may be one; pictures: how many.

    Raises:
        UserError: as train; the labels are not one class each; or the file to write exists.
    """
    from tlapp.engine.advice.audit import audit as look
    from tlapp.engine.advice.audit import fixed, pictures, write_csv

    if write and Path(write).exists():
        raise UserError("already exists; remove it, or name another", write, option="write")
    known = prepared(data, settings, pictures, reporter, trust)
    found, classes = look(known)
    if write:
        write_csv(Path(write), ("path", "label", "split"), fixed(known, found))
    return {"findings": [each._asdict() for each in found], "classes": classes, "pictures": len(known.sources)}


def find_lr(*, reporter: Reporter | None = None, trust: bool = False, **settings: Any) -> dict[str, Any]:
    """Find a learning rate, by a short training in which it rises: `tlapp.find_lr(plugin="partial", data="pictures")`.

    Args:
        reporter, trust, settings: as in `train`.

    Returns:
        As `tlapp.learning_rate.search`: "learning_rate" is what was found.

    Raises:
        UserError: as train; or the strategy has no option learning_rate.
    """
    from tlapp.learning_rate import search

    return search(resolve(settings), reporter or Silent(), lambda each: job_of(each, trust))


def prepared(
    data: str | Path, settings: Mapping[str, Any], ask: Callable[[Any], Any], reporter: Reporter | None, trust: bool
) -> Any:
    """What a function says of a run, of `probe` where `settings` name no other plugin, that is ready and is not carried out."""
    from tlapp.engine.report import Unseen
    from tlapp.engine.run import Run

    given = {key: value for key, value in settings.items() if value is not None}
    job = job_of(resolve({"plugin": "probe", **given, "data": str(data)}), trust)
    with blame.naming(job.plugin_name):
        run = Run(job, Unseen(reporter or Silent()))
        run.load()
        run.prepare()
        return ask(run)


def preview(settings: Settings, reporter: Reporter, path: Path, count: int, trust: bool = False) -> dict[str, Any]:
    """Write a sheet of pictures as the settings' augmentation changes them; see `tlapp.engine.preview.preview`."""
    from tlapp.engine.preview import preview as show

    options = settings.options.model_copy(update={"run": None})  # nothing is trained, so that a run's own settings will do
    job = job_of(replace(settings, options=options), trust)
    with files_named(settings.origins), blame.naming(job.plugin_name), enough_memory(job.options):
        return show(job, reporter, path, count)
