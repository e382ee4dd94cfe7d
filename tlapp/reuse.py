"""The verbs for Python that make more of finished runs: adapt, export, merge, merge_tasks, teach and undo_teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tlapp import blame
from tlapp.api import job_of, load_run
from tlapp.engine.report import Reporter, Silent
from tlapp.errors import UserError
from tlapp.settings import Settings, files_named, resolve


def merge(path: str | Path, output: str | Path, *, trust: bool = False) -> Any:
    """Make a run with a whole model of what a run changed: `tlapp.merge("adapter.safetensors", "merged")`.

    The backbone is loaded as the run loaded it; what was trained is merged into its layers where the strategy can do that.

    Args:
        path: an adapter.safetensors, or the folder of a run that has one. A file that the run was made with, such as its
            backbone's, is looked for beside an adapter.safetensors that was sent alone.
        output: the folder to write.
        trust: open the backbone's file even if it holds code.

    Returns:
        A `tlapp.engine.runs.saved.SavedRun`.

    Raises:
        UserError: it is no such file, the backbone is another, or the folder is taken.
    """
    from tlapp.engine.merge import merged
    from tlapp.engine.runs.delta import read, with_places, without_places
    from tlapp.engine.runs.folder import DELTA, SETTINGS, RunFolder
    from tlapp.engine.runs.record import write_merged
    from tlapp.tensorflow_import import quiet_tensorflow

    file = Path(path) / DELTA if Path(path).is_dir() else Path(path)
    delta = read(file)
    known = RunFolder(file.parent).settings() if RunFolder(file.parent).has(SETTINGS) else {}
    if without_places(known) != delta.facts.settings:  # the file was sent alone, perhaps with others that it needs beside it
        known = with_places(delta.facts.settings, file.parent)
    delta = delta._replace(facts=delta.facts._replace(settings=known))
    settings = _settings(known)
    job = job_of(settings, trust)
    quiet_tensorflow()
    with files_named(dict.fromkeys(settings.origins, str(file))), blame.naming(job.plugin_name):
        write_merged(delta, merged(delta, job), file.parent, Path(output))
    return load_run(output)


def merge_tasks(
    runs: Mapping[str, str | Path], output: str | Path, *, quantize: str = "dynamic", max_drop: float = 0.01,
    reporter: Reporter | None = None, trust: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Put several runs into one TFLite file, with an output for each: `tlapp.merge_tasks({"pets": "a", "cars": "b"}, "both")`.

    What their networks share, such as a frozen backbone, stands in the file once; of a run that has an adapter.safetensors, what
    was trained stands beside the backbone's layers. Each output is checked on its run's own test pictures.

    Args:
        runs: their folders, by the names of the outputs: letters, digits and _.
        output: the folder to write: model.tflite, the labels of each, tasks.json.
        quantize: "none", "float16" or "dynamic" (int8 weights).
        max_drop: accuracy that it may cost each run on its test.
        reporter, trust: as in `train`.

    Returns:
        What tasks.json holds: the file's bytes and each output's check; and "folder".

    Raises:
        UserError: a run is wrong, they take different pictures, or an output fails its check, so that nothing is kept.
    """
    from tlapp.engine.export.several import write

    for name in runs:
        if not name.isidentifier() or not name.isascii():
            raise UserError(f"{name}: is no name for an output: use letters, digits and _, and begin with a letter (NAME=RUN)")
    saved = {name: load_run(run, trust=trust) for name, run in runs.items()}
    models = {name: _beside(run, trust) for name, run in saved.items()}
    return write(saved, models, quantize, max_drop, Path(output), reporter or Silent())


def _beside(run: Any, trust: bool) -> Any:
    """The model of a run, what was trained left beside the backbone's layers where the run has its delta."""
    from tlapp.engine.merge import merged
    from tlapp.engine.runs.delta import can_be_written, read
    from tlapp.engine.runs.folder import DELTA
    from tlapp.tensorflow_import import quiet_tensorflow

    if not run.files.has(DELTA) or not can_be_written():
        return run.model
    quiet_tensorflow()
    job = job_of(_settings(run.settings), trust)
    with blame.naming(job.plugin_name):
        return merged(read(run.files.file(DELTA)), job, whole=False)


def teach(
    run: str | Path, name: str, files: Sequence[str | Path], *, reporter: Reporter | None = None, trust: bool = False
) -> Any:
    """Add examples of a class, new or known, to a finished run: `tlapp.teach("saved_models/pets", "fox", ["fox.jpg"])`.

    The examples that it was trained on are not needed: the run of `feature-extract` with classifier=lda remembers their sums.

    Args:
        run: the run's folder, which is changed; `undo_teach` undoes it.
        name: of the class.
        files: files, folders and quoted globs.
        reporter, trust: as in `train`.

    Returns:
        A `tlapp.engine.teach.Taught`: labels, and accuracy on the run's own test before and after.

    Raises:
        UserError: the run remembers nothing, or an example cannot be read or is one of the run's.
    """
    from tlapp.engine.teach import teach as add

    saved = load_run(run, trust=trust)
    job = job_of(_settings(saved.settings), trust)
    with blame.naming(job.plugin_name):
        return add(saved, job, name, [str(file) for file in files], reporter or Silent())


def adapt(
    run: str | Path, support: str | Path, output: str | Path, *, query: str | Path | None = None, views: int = 3,
    reporter: Reporter | None = None, trust: bool = False,
) -> Any:  # fmt: skip
    """Make a run that knows other classes, by a few examples of each: `tlapp.adapt("saved_models/birds", "new", "new-birds")`.

    Nothing trains: the run of `feature-extract` with classifier=lda remembers how examples of one class differ.

    Args:
        run: the folder of the run whose network and memory are used.
        support: class folders or a CSV, as the option data of train, with one example of each class or more.
        output: the folder of the new run.
        query: others of these classes, to measure it by; without any, an export cannot be checked.
        views: of each picture of support, whose mean is learnt: 1 as it is, 2 also a little nearer, 3 also a little farther.
        reporter, trust: as in `train`.

    Returns:
        A `tlapp.engine.runs.saved.SavedRun`.

    Raises:
        UserError: the run remembers nothing, an example cannot be read, or the folder is taken.
    """
    from tlapp.engine.few_shot import adapt as make

    saved = load_run(run, trust=trust)
    job = job_of(_settings(saved.settings), trust)
    with blame.naming(job.plugin_name):
        make(saved, job, str(support), str(query) if query else None, Path(output), reporter or Silent(), views)
    return load_run(output, trust=trust)


def export(run: str | Path, *, reporter: Reporter | None = None, trust: bool = False, **options: Any) -> dict[str, Any]:
    """Export the model of a finished run: `tlapp.export("saved_models/pets", format="tflite", quantize="int8")`.

    Args:
        run: the run's folder.
        reporter, trust: as in `train`.
        options: as on the command line, with underscores.

    Returns:
        What export.json holds, and "folder".

    Raises:
        UserError: an option is wrong, or the artifact cannot be written, does not convert or fails its check.
    """
    from tlapp.engine.export.export import export as write
    from tlapp.engine.export.options import ExportOptions
    from tlapp.engine.teach import learner
    from tlapp.tensorflow_import import quiet_tensorflow

    asked, saved, own = ExportOptions.model_validate(options), load_run(run, trust=trust), None
    asked.check()
    if asked.on_device:
        quiet_tensorflow()
        job = job_of(_settings(saved.settings), trust)
        with blame.naming(job.plugin_name):
            own = learner(saved, job, asked.on_device)
    return write(saved, asked, reporter or Silent(), own)


def undo_teach(run: str | Path) -> int:
    """Put back what a run was before it was last taught.

    Returns:
        How many lessons are left.

    Raises:
        UserError: it was taught nothing.
    """
    from tlapp.engine.teach import undo

    return undo(load_run(run))


def _settings(of: Mapping[str, Any]) -> Settings:
    """The settings that a run was made with."""
    return resolve({key: value for key, value in of.items() if key != "run"}, resume=True)
