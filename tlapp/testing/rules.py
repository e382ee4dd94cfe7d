"""The rules that plugins of every kind keep. A docstring is the rule; what is raised is what was seen instead."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import yaml as yaml_

from tlapp.contracts.options import defaults_by_input
from tlapp.contracts.version import misfit
from tlapp.settings import collisions
from tlapp.tensorflow_import import HEAVY
from tlapp.testing.subject import EPOCHS, Broken, Subject, Untried

LEAVES_LIGHT = """
import importlib, sys
sys.path[:] = {path!r}
try:
    importlib.import_module({module!r})
except ModuleNotFoundError as error:
    sys.exit(9 if error.name == {module!r} else 1)
print(*sorted(set({heavy!r}) & set(sys.modules)))
"""


def contract(subject: Subject) -> None:
    """Its `contract` names a version of tlapp.contracts that this tlapp supports."""
    if unfit := misfit(subject.kind.contract):
        raise Broken(unfit)


def options(subject: Subject) -> None:
    """The class has a docstring; every option has help, a valid default, and a name that the engine does not use."""
    kind = subject.kind
    if not (kind.__doc__ or "").strip() or kind.__doc__ == kind.__base__.__doc__:
        raise Broken(f"{kind.__name__} has no docstring; its first line is the help that `tlapp plugins list` shows")
    for key, field in kind.model_fields.items():
        if not (field.description or "").strip():
            raise Broken(f"option {key} has no help; write Field(..., description=...)")
        if not _can_be_typed(field.annotation):
            raise Broken(f"option {key} cannot be typed on a command line; use numbers, words, choices, or tuples of them")
        if field.is_required():
            raise Broken(f"option {key} has no default; a first try with `--plugin` alone must work")
    if taken := collisions("head" if hasattr(kind, "activation") else "strategy", kind.model_fields):
        raise Broken(f"option {taken[0]} is already an option of the engine")
    defaults = {key: field.get_default(call_default_factory=True) for key, field in kind.model_fields.items()}
    own = {key: defaults_by_input(field) for key, field in kind.model_fields.items()}
    try:
        kind(**defaults)
        for name in {name for each in own.values() for name in each}:
            kind(**{**defaults, **{key: each[name] for key, each in own.items() if name in each}})
    except ValueError as error:
        raise Broken(f"its defaults are refused by its own checks: {' '.join(str(error).split())}") from error


def _can_be_typed(annotation: Any) -> bool:
    """Whether a value of this type can be given as text."""
    if get_origin(annotation) is Annotated:
        return _can_be_typed(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType, tuple):
        return all(each in (None, type(None), ...) or _can_be_typed(each) for each in get_args(annotation))
    return get_origin(annotation) is Literal or annotation in (str, int, float, bool, Path, Any)


def yaml(subject: Subject) -> None:
    """Its settings survive a round trip through YAML: settings.yaml gives an equal object."""
    plugin = subject.plugin
    text = yaml_.safe_dump(plugin.model_dump(mode="json"))
    again = type(plugin)(**yaml_.safe_load(text))
    if again != plugin:
        raise Broken(f"{plugin!r} became {again!r}")


def light_import(subject: Subject) -> None:
    """Importing its module imports no TensorFlow and no Keras: `tlapp --help` stays fast with it installed."""
    module = subject.kind.__module__
    code = LEAVES_LIGHT.format(path=sys.path, module=module, heavy=HEAVY)
    command = [sys.executable, "-c", code]  # `module` is that of a plugin which this process has imported already
    child = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))  # noqa: S603 - as said
    if child.returncode:
        raise Untried(f"its module {module} cannot be imported on its own")
    if child.stdout.strip():
        raise Broken(f"importing {module} imports {', '.join(child.stdout.split())}; import it inside the functions that use it")


def learns(subject: Subject) -> None:
    """Six epochs of two steps on the tiny backbone give finite losses, which fall in every phase trained by gradient."""
    if rising := _rising(subject.trial()):
        # Slow learners get a second chance: four times the epochs.
        phase, sums = rising
        if rising := _rising(subject.trial(4 * EPOCHS)):
            phase, sums = rising
            raise Broken(f"phase {phase}: the loss went from {sums[0]:.6g} to {min(sums[1:]):.6g} at best, in {len(sums)} epochs")


def _rising(trial: Any) -> tuple[str, list[float]] | None:
    """The first phase of which neither the loss falls nor a term of it, and the loss epoch by epoch.

    A term whose weight grows while a phase trains, as a domain classifier's does, lets the sum rise.
    """
    for phase, epochs in trial.losses().items():
        sums = [sum(terms.values()) for terms in epochs]
        series = [sums, *([terms[name] for terms in epochs] for name in epochs[0])]
        if not any(min(values[1:]) < values[0] for values in series):
            return phase, sums
    return None


def saved(subject: Subject) -> None:
    """The saved model has only Keras layers, opens without the plugin, and predicts the same as the trained one."""
    trial = subject.trial()
    known = {(each.__module__, each.__qualname__) for each in trial.job.provider.custom_layers().values()}
    for layer in trial.work.model().layers:
        kind = type(layer)
        if (kind.__module__, kind.__qualname__) not in known and not kind.__module__.startswith("keras."):
            raise Broken(f"layer {layer.name} is a {type(layer).__module__}.{type(layer).__name__}; use layers of Keras's own")
    examples = _examples(trial)
    difference = np.abs(_reopened(subject).probabilities(examples) - _probabilities(trial, examples)).max()
    if not difference <= 1e-6:
        raise Broken(f"a probability differs by {difference:.2g} after saving and loading")


def savedmodel(subject: Subject) -> None:
    """It exports to a SavedModel whose probabilities differ by at most 0.001 from the Keras model's."""
    import tensorflow as tf

    from tlapp.engine.export.formats.serve import asked

    with tempfile.TemporaryDirectory() as folder:
        served = tf.saved_model.load(str(_exported(subject, "savedmodel", Path(folder)))).signatures["serving_default"]
        _same(asked(served, _named(subject))["probabilities"], subject)


def tflite(subject: Subject) -> None:
    """It exports to TFLite with built-in operations, and its probabilities differ by at most 0.001 from the Keras model's."""
    from tlapp.engine.export.formats.artifact import blocks
    from tlapp.engine.export.interpreter import classifier

    with tempfile.TemporaryDirectory() as folder:
        classify = classifier(str(_exported(subject, "tflite", Path(folder))))
        _same(np.stack([classify(one) for one in blocks(_named(subject), 1)]), subject)


def seed(subject: Subject) -> None:
    """The same seed gives a bit-identical result."""
    first, again = subject.trial(), subject.trial(turn=1)
    if first.losses() != again.losses():
        raise Broken("two runs with one seed had different losses; draw random numbers from the seed that the function gets")
    before, after = first.state(), again.state()
    if changed := [path for path in before if not np.array_equal(before[path], after.get(path))]:
        raise Broken(f"two runs with one seed ended with different weights: {changed[0]}")


def resume(subject: Subject) -> None:
    """A run that is interrupted in its last phase and resumed gives a bit-identical result."""
    whole = subject.trial()
    if not whole.moved:  # nothing was trained by gradient
        return
    before, after = whole.state(), subject.resumed().state()
    if changed := [path for path in before if not np.array_equal(before[path], after.get(path))]:
        raise Broken(f"{changed[0]} differs; a loss or sampler must not keep state between steps: it is lost when a run stops")


def offline(subject: Subject) -> None:
    """Nothing here needs the network."""
    if subject.reached:
        raise Broken(f"it tried to reach {', '.join(dict.fromkeys(subject.reached))}")


def _reopened(subject: Subject) -> Any:
    from tlapp.engine.runs.saved import SavedRun

    trial = subject.trial()
    return subject.once("saved", lambda: SavedRun(trial.record.folder, trial.job.provider.custom_layers), "it does not open")


def _exported(subject: Subject, kind: str, folder: Path) -> Path:
    """The artifact of the subject's model, in a folder."""
    from tlapp.engine.export.preflight import write

    run = _reopened(subject)
    return write(run.model, kind, run.labels, folder, subject.trial().dataset.input.export)


def _examples(trial: Any) -> tuple[np.ndarray, ...]:
    stream = trial.dataset.streams["test"]
    return stream.examples.take(np.arange(len(stream)))


def _named(subject: Subject) -> dict[str, np.ndarray]:
    """The test examples, by the names of the model's inputs."""
    trial = subject.trial()
    return dict(zip(trial.dataset.input.export.names, _examples(trial), strict=True))


def _probabilities(trial: Any, examples: Sequence[np.ndarray]) -> np.ndarray:
    model = trial.work.model()
    arrays = [array.astype(each.dtype) for array, each in zip(examples, model.inputs, strict=True)]
    return model.predict(arrays if len(arrays) > 1 else arrays[0], batch_size=32, verbose=0)


def _same(probabilities: np.ndarray, subject: Subject) -> None:
    from tlapp.engine.export.check import FLOAT_DIFFERENCE

    difference = np.abs(probabilities - _reopened(subject).probabilities(_examples(subject.trial()))).max()
    if not difference <= FLOAT_DIFFERENCE:
        raise Broken(f"a probability differs by {difference:.4f} from the Keras model's")
