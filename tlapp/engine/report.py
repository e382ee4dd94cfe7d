"""What the engine says while it works; it never prints. The command line and the Python API each listen in their own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from tlapp.engine.outline import Outline
    from tlapp.engine.runs.history import Epoch


class Reporter(Protocol):
    """Told what happens, in this order: notes and progress of reading, the outline, the folder, progress and epochs a phase."""

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

    def epoch(self, epoch: Epoch) -> None:
        """An epoch has ended."""
        ...


class Silent:
    """A reporter that listens to nothing."""

    def note(self, sentence: str) -> None: ...
    def outline(self, outline: Outline) -> None: ...
    def begun(self, folder: Path) -> None: ...
    def progress(self, task: str, done: int, of: int) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...
