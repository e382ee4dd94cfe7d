"""The best weights so far, by one measure: offered, kept, put back, packed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tlapp.contracts import Phase, Select
from tlapp.engine.runs.checkpoint import Pack, must_fit, values
from tlapp.engine.runs.history import Epoch

NO_MEASURE = float("inf")
"""The loss of weights that nothing has judged yet."""
MUCH = 1.5
"""Times that the loss on val grows where training spoils a network; elsewhere it was 0.4 to 1.2 times (docs/results.md)."""


class Selection:
    """Keeps the best weights that it is offered. A loss is lower where the weights are better.

    Args:
        variables: what is kept. Their present values are the first candidate.
        select: what they are chosen by.
        origin: where the present values come from, in words.

    Attributes:
        loss: of the best weights.
        epoch: of the phase under way at which the best weights were offered; 0 where they are older than it.
        origin: where the best weights come from, in words.
    """

    def __init__(self, variables: Sequence[Any], select: Select = "val", origin: str = ""):
        self._variables, self._select = variables, select
        self._best = values(variables)
        self.loss, self.epoch, self.origin = NO_MEASURE, 0, origin

    def measure(self, judged: Epoch) -> float | None:
        """What weights are chosen by, lower is better; None where there is nothing to go by, so that the latest are kept."""
        return loss_of(judged, self._select)

    def begin(self, judged: Epoch) -> None:
        """Begin a phase: take note of how the weights that it begins with were judged, unless better ones are known."""
        loss = self.measure(judged)
        self.loss, self.epoch = self.loss if loss is None else min(self.loss, loss), 0

    def offer(self, loss: float | None, epoch: int = 0, origin: str = "") -> bool:
        """Keep the present weights if they are better, or if nothing judges them; say whether they were kept."""
        if loss is not None and not loss < self.loss:  # a loss that is no number is not better
            return False
        self.loss = self.loss if loss is None else loss
        self.epoch, self.origin = epoch, origin
        self._best = values(self._variables)
        return True

    def offer_epoch(self, judged: Epoch) -> bool:
        """As `offer`, of the weights that an epoch ended with."""
        return self.offer(self.measure(judged), judged.epoch, judged.phase)

    def take(self, judged: Epoch) -> bool:
        """Keep the present weights, which an epoch ended with, whatever the others are like."""
        self.loss = NO_MEASURE
        return self.offer_epoch(judged)

    def restore(self) -> None:
        """Put the best weights back."""
        for variable, value in zip(self._variables, self._best, strict=True):
            variable.assign(value)

    def pack(self) -> Pack:
        return Pack({"loss": self.loss, "epoch": self.epoch, "origin": self.origin}, list(self._best))

    def unpack(self, pack: Pack) -> None:
        must_fit(self._variables, pack.arrays)
        self._best = list(pack.arrays)
        self.loss, self.epoch, self.origin = float(pack.facts["loss"]), int(pack.facts["epoch"]), str(pack.facts["origin"])


def loss_of(judged: Epoch, select: Select = "val") -> float | None:
    """What weights are chosen by, lower is better; None where there is nothing to go by."""
    if judged.target:
        return -judged.target["score"]
    if select == "last" or not judged.validation:
        return None
    return -judged.validation[headline(judged)] if select in ("accuracy", "features") else judged.validation["loss"]


def headline(judged: Epoch) -> str:
    """The measure of val besides the loss: accuracy, or what stands for it where labels are numbers."""
    return next(name for name in judged.validation if name != "loss")


def spoilt(first: Epoch, last: Epoch, count: int) -> bool:
    """Whether val says for sure that a classifier has become worse: its loss is higher, and its accuracy is lower by more than
    two standard errors, or no higher where the loss has grown much.

    Args:
        first, last: how it was judged before and after.
        count: examples of val.
    """
    before, after = first.validation["accuracy"], last.validation["accuracy"]
    error = ((before * (1 - before) + after * (1 - after)) / count) ** 0.5
    growth = last.validation["loss"] / max(first.validation["loss"], 1e-9)
    return (growth > 1 and after < before - 2 * error) or (growth > MUCH and after <= before)


def unimproved(phase: Phase, first: Epoch, epochs: Sequence[Epoch]) -> str:
    """That no epoch of a phase was better than its beginning, in words; "" where one was, or where the target says so.

    Args:
        first: how the weights were judged that the phase began with.
        epochs: of the run.
    """
    start = loss_of(first, phase.select)
    own = [loss for each in epochs if each.phase == phase.name and (loss := loss_of(each, phase.select)) is not None]
    if start is None or not own or by_target(phase.select) or min(own) < start:
        return ""
    measure, more = ("loss on val", "a lower") if phase.select == "val" else (f"{headline(first)} on val", "a higher")
    if phase.select == "features":
        measure = "score of the features"
    return (
        f"no epoch has {more} {measure} ({abs(min(own)):.4f} at best) than the weights that it began with "
        f"({abs(start):.4f}), so these are kept and the phase changes nothing"
    )


def by_target(select: Select) -> bool:
    """Whether weights are chosen by what the model says of the target."""
    return select == "target" or callable(select)


class Overall:
    """The best weights over all phases by the target's score, from where a phase first took statistics of the target.

    What follows may spoil them unseen. A phase that learns labels and is selected by val ends it, unless one follows that the
    target selects: its own weights are not comparable.

    Args:
        changed: number of a phase -> the variables that it and later ones may change.
    """

    def __init__(self, changed: Callable[[int], Sequence[Any]]):
        self._changed = changed
        self._since = 0
        self._selection: Selection | None = None

    def begin(self, number: int, phase: str, judged: Epoch) -> None:
        """Take the weights that a phase begins with, unless there are some already."""
        if self._selection is None:
            self._since, self._selection = number, Selection(self._changed(number), "target", f"before phase {phase}")
            self._selection.begin(judged)

    def offer(self, phase: str, loss: float) -> None:
        """Take what a phase ended with, if it is the best so far."""
        if self._selection is not None:
            self._selection.offer(loss, origin=f"after phase {phase}")

    def forget(self) -> None:
        """Let what comes be chosen by another measure."""
        self._selection = None

    def restore(self, loss: float) -> str:
        """Put the best weights back if they are better than what the last phase ended with; where they come from, or ""."""
        if self._selection is None or self._selection.loss >= loss:
            return ""
        self._selection.restore()
        return self._selection.origin

    def pack(self) -> Pack:
        if self._selection is None:
            return Pack({})
        pack = self._selection.pack()
        return pack._replace(facts={**pack.facts, "since": self._since})

    def unpack(self, pack: Pack) -> None:
        if pack.facts:
            self._since = int(pack.facts["since"])
            self._selection = Selection(self._changed(self._since), "target")
            self._selection.unpack(pack)
