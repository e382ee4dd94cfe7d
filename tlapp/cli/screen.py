"""What a run looks like: rich on a terminal, plain lines in a pipe. Everything here goes to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, cast

from tlapp.cli import signals
from tlapp.words import printable, with_flags

if TYPE_CHECKING:
    from rich.console import Console

    from tlapp.engine.report import Outline, PhaseOutline
    from tlapp.engine.runs.history import Epoch

FORCED = {"FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
"""Variables by which a pipe may be treated as a terminal."""
TASKS = {"read": "reading examples", "hash": "looking at files", "front": "frozen front"}


class Lasting:
    """A text file that may go away, as a pipe's reader or the room for a log does; what is written then is lost."""

    def __init__(self, file: IO[str]):
        self._file = file

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Screen:
    """A reporter for people. Use it as a context manager.

    Args:
        begun: called with the folder of a run once there is one.
        shown: says of notes on the data where they were shown before; they are then counted rather than repeated.
    """

    def __init__(
        self, begun: Callable[[Path], None] = lambda folder: None, shown: Callable[[Sequence[str]], str] = lambda notes: ""
    ) -> None:
        # A copy of standard error: TensorFlow's import silences the original for some seconds.
        self._file: Any = Lasting(os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace"))
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self.last_outline: Any = None
        self.notes: list[str] = []
        self.problems: Sequence[tuple[str, str, str]] = ()
        self.begun, self._shown = begun, shown

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(file=cast(IO[str], self._file), highlight=False, soft_wrap=True)

    def __enter__(self) -> Screen:
        # asked first, as importing rich takes a while
        if (self._file.isatty() or FORCED & os.environ.keys()) and self._console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=self._console, transient=True)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()
        self._file.flush()
        self._file.close()

    def note(self, sentence: str) -> None:
        if self._is_new(sentence):
            self._line(f"note: {self.notes[-1]}")

    def data(self, notes: Sequence[str], problems: Sequence[tuple[str, str, str]]) -> None:
        self.problems = problems
        if not (notes and (where := self._shown(notes))):
            for note in notes:
                self.note(note)
        elif new := sum(map(self._is_new, notes)):
            self._line(f"note: {new} note{'s' * (new > 1)} on the data {'were' if new > 1 else 'was'} shown {where}")

    def outline(self, outline: Outline) -> None:
        self.last_outline = outline
        for line in outline_lines(outline):
            self._line(line)

    def progress(self, task: str, done: int, of: int) -> None:
        if threading.current_thread() is threading.main_thread():
            signals.check()
        if self._bars is None:
            return
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(TASKS.get(task, task), total=of)
        self._bars.update(self._tasks[task], completed=done, total=of)
        if done >= of:
            self._bars.remove_task(self._tasks.pop(task))

    def epoch(self, epoch: Epoch) -> None:
        terms = "  ".join(f"{name} {value:.4f}" for name, value in epoch.terms.items())
        validation = "  ".join(f"val {name} {value:.4f}" for name, value in epoch.validation.items())
        if epoch.target:
            validation = f"{validation}  target score {epoch.target['score']:.4f}"
        star = "  *" if epoch.best and (epoch.validation or epoch.target) else ""
        self._line(f"  {epoch.phase} {epoch.epoch}: {terms}  {validation}{star}")

    def _is_new(self, sentence: str) -> bool:
        """Keep a note, unless it was told before."""
        words = printable(with_flags(sentence))
        if words in self.notes:
            return False
        self.notes.append(words)
        return True

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False)
        self._file.flush()


def outline_lines(outline: Outline) -> Iterator[str]:
    """The plan for people."""
    from tlapp.engine.outline import indents

    images = ", ".join(f"{count} {name}" for name, count in outline.images.items())
    size = f", {outline.image_size} px" if outline.image_size else f", {outline.example}" if outline.example else ""
    yield f"plan: {outline.strategy} on {outline.backbone} ({outline.weights or 'weights unknown'}){size}"
    several = f", any number of them a {outline.noun}" if outline.labelling == "many" else ""
    labels = "labels are numbers" if outline.labelling == "number" else f"{len(outline.classes)} classes{several}"
    yield f"  {labels}; {outline.noun}s: {images}"
    for phase, indent in zip(outline.phases, indents([phase.one_of for phase in outline.phases]), strict=True):
        if indent.heading:
            yield indent.heading
        yield f"{indent.space}{phase.name}: {phase.does}{_cut(phase)}"


def _cut(phase: PhaseOutline) -> str:
    """Where a phase cuts the network, and on what it runs."""
    crossing = " + ".join("x".join(map(str, shape)) for shape in phase.cut)
    front = f"; front cut at {crossing}, {phase.front}" if phase.cut else "; the whole network runs each epoch"
    if phase.front == "cached":
        front += f" ({phase.cached_mb:g} MB)"
    return front + (f"; augment {phase.augment}" if phase.augment else "")
