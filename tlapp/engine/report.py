"""What the engine says while it works; it never prints. The command line and the Python API each listen in their own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tlapp.engine.runs.history import Epoch


class PhaseOutline(NamedTuple):
    """One phase in words and numbers.

    Attributes:
        does: what it does, in a sentence; see `tlapp.engine.outline.phase_words`.
        stages: the live ones, with their rates.
        trains: parameters of the backbone that train.
        cut: shapes of the activations that cross it, without the batch; empty where the network is not cut.
        front: "cached", "computed each epoch", or "none".
        cached_mb: size of what is cached, for all examples.
        one_of: number of the first of the alternatives that it is one of; None where it is none.
    """

    name: str
    kind: str
    does: str
    epochs: int | None
    learning_rate: float | None
    streams: tuple[str, ...]
    augment: str | None
    stages: dict[str, float]
    trains: int
    cut: tuple[tuple[int, ...], ...]
    front: str
    cached_mb: float
    one_of: int | None = None


class Outline(NamedTuple):
    """The whole run; `labelling` is "one" or "many", the labels of an example; `input` the kind of input, such as "image",
    `noun` what an example is called, `example` what one is to the network, in words,
    and `stage_names` what the stages of the backbone are called, from input to output.
    """

    strategy: str
    backbone: str
    weights: str
    licence: str
    head: str
    image_size: int | None
    classes: tuple[str, ...]
    images: dict[str, int]
    stages: int
    params: int
    phases: tuple[PhaseOutline, ...]
    labelling: str = "one"
    input: str = "image"
    noun: str = "picture"
    example: str = ""
    stage_names: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plan.json holds it."""
        return {**self._asdict(), "phases": [phase._asdict() for phase in self.phases]}


class Reporter(Protocol):
    """Told what happens, in this order: progress of reading, the data, the outline, the folder, progress and epochs a phase.

    Notes come at any time. A reporter may also have `data(notes, problems)`: it is then told once what should be known of the
    data, as sentences, and each problem with an example, as (example, problem, other example or ""). Without it, these
    sentences are notes like others.
    """

    def note(self, sentence: str) -> None:
        """Something the user should know."""
        ...

    def outline(self, outline: Outline) -> None:
        """The plan as the engine will carry it out."""
        ...

    def begun(self, folder: Path) -> None:
        """The run has its folder; from now on it can be resumed."""
        ...

    def progress(self, task: str, done: int, of: int) -> None:
        """How far a task is; a task ends at done == of."""
        ...

    def epoch(self, epoch: Epoch) -> bool | None:
        """An epoch has ended. True asks the run to stop: this phase ends, and those that follow have one epoch at most."""
        ...


def tell_data(reporter: Reporter, notes: Sequence[str], problems: Sequence[tuple[str, str, str]]) -> None:
    """Tell a reporter of the data, by its method `data` if it has one."""
    if (data := getattr(reporter, "data", None)) is not None:
        data(notes, problems)
        return
    for note in notes:
        reporter.note(note)


class Silent:
    """A reporter that listens to nothing."""

    def note(self, sentence: str) -> None: ...
    def outline(self, outline: Outline) -> None: ...
    def begun(self, folder: Path) -> None: ...
    def progress(self, task: str, done: int, of: int) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...


class Unseen(Silent):
    """Passes notes and progress on; for a run that is prepared, and not carried out."""

    def __init__(self, reporter: Reporter):
        self._reporter = reporter

    def note(self, sentence: str) -> None:
        self._reporter.note(sentence)

    def progress(self, task: str, done: int, of: int) -> None:
        self._reporter.progress(task, done, of)
