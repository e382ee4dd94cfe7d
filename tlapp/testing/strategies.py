"""The rules that are strategies' own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tlapp.contracts import Fit, UserError
from tlapp.tensorflow_import import forbid_tensorflow
from tlapp.testing.anatomy import STAGES, TASK, backbone
from tlapp.testing.rules import light_import
from tlapp.testing.same import difference
from tlapp.testing.subject import Broken, Subject
from tlapp.testing.trial import Moved


def pure(subject: Subject) -> None:
    """plan() is pure: equal inputs give an equal plan, its functions included."""
    for facts in map(backbone, STAGES):
        try:
            first, again = (subject.plugin.plan(TASK, facts) for _ in range(2))
        except UserError:
            continue
        if place := difference(first, again):
            raise Broken(f"two calls of plan() for a backbone with {len(facts.stages)} stage(s) differ in {place}")


def light_plan(subject: Subject) -> None:
    """Neither its module nor plan() imports TensorFlow or Keras: so help, dry runs and completion stay fast."""
    light_import(subject)
    with forbid_tensorflow():
        try:
            subject.plugin.plan(TASK, backbone(3))
        except ImportError as error:
            raise Broken(f"plan() imports {error.name}; import it inside the loss, part or graft that uses it") from error
        except UserError:
            pass


def stages(subject: Subject) -> None:
    """The plan covers backbones with 1, 3 and 18 stages; if its options do not fit one of them, a UserError says so."""
    from tlapp.engine.check import make_plan

    refused = []
    for facts in map(backbone, STAGES):
        try:
            make_plan(subject.plugin, TASK, facts)
        except UserError as error:
            refused.append(str(error))
    if len(refused) == len(STAGES):
        raise Broken(f"it makes no plan for any of them: {refused[-1]}")


def frozen(subject: Subject) -> None:
    """What a phase freezes stays bit-equal: stages at rate 0, and what `only` leaves out."""
    _forbid(subject, norms_too=False)


def norms(subject: Subject) -> None:
    """Batch norms change only as asked: "frozen" changes nothing, "affine" scale and shift, "update" the statistics too."""
    _forbid(subject, norms_too=True)


def live(subject: Subject) -> None:
    """Every stage at a rate above 0 moves, and every phase trains something."""
    trial = subject.trial()
    for moved in trial.moved:
        for stage, rate in moved.phase.rates.items():
            own = [(x, v) for x, v in _variables(trial) if trial.backbone.stage_of.get(x.name) == stage]
            may = [v.path for layer, v in own if _may(layer, v, moved, rate)]
            if rate > 0 and may and not moved.paths & set(may):
                raise Broken(f"phase {moved.phase.name}: stage {stage} has the rate {rate:g}, but none of its variables moved")


def _forbid(subject: Subject, norms_too: bool) -> None:
    from tlapp.engine.network.net import is_batch_norm

    trial = subject.trial()
    for moved in trial.moved:
        for layer, variable in _variables(trial):
            stage = trial.backbone.stage_of.get(layer.name)
            if stage is None or is_batch_norm(layer) != norms_too or _may(layer, variable, moved, moved.phase.rates[stage]):
                continue
            if variable.path in moved.paths:
                raise Broken(f"phase {moved.phase.name}: {variable.path} of stage {stage} changed, though it is frozen")


def _variables(trial: Any) -> Iterator[tuple[Any, Any]]:
    return ((layer, variable) for layer in trial.work.graph.layers for variable in layer.weights if "seed" not in variable.path)


def _may(layer: Any, variable: Any, moved: Moved, rate: float) -> bool:
    """Whether a phase may change a variable of a stage at a rate."""
    from tlapp.engine.network.net import is_batch_norm

    phase: Fit = moved.phase
    if rate == 0 or (phase.only is not None and variable.trainable and not phase.only(variable.path)):
        return False
    if not is_batch_norm(layer):
        return variable.trainable
    return {"frozen": False, "affine": variable.trainable, "update": True}[phase.batch_norm]
