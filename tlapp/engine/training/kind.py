"""What the engine knows of a kind of phase."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from tlapp.contracts import Augment, Phase
from tlapp.engine.network.net import Living
from tlapp.engine.training.session import Session, Slot

TRAINING = frozenset((
    "batch_size", "augment", "patience", "schedule", "label_smoothing", "clip_norm", "weight_decay", "class_weights", "precision",
))  # fmt: skip
"""The options of a run that only training reads, most of them only training by gradient."""


class Kind(ABC):
    """What the engine knows of a kind of phase."""

    name: ClassVar[str]
    """As plan.json says it."""
    in_place: ClassVar[bool] = True
    """Whether it changes weights, and not the head as a whole."""
    trains: ClassVar[bool] = False
    """Whether it trains by gradient, on examples that the option augment changes."""
    refits: ClassVar[bool] = False
    """Whether what it found can be found again with val, which chose nothing in it."""

    @abstractmethod
    def faults(self, phase: Any) -> Iterator[str]:
        """What is wrong with a phase of this kind, in words."""

    @abstractmethod
    def does(self, phase: Any, stages: str) -> Iterator[str]:
        """What a phase does, in pieces of a sentence; `stages` are its live stages in words, "" where there are none."""

    @abstractmethod
    def living(self, phase: Any) -> Living:
        """What of the network trains."""

    @abstractmethod
    def carry_out(self, session: Session, slot: Slot) -> None:
        """Carry a phase out; the net has the phase's best weights then."""

    def refit(self, session: Session, slot: Slot) -> bool:
        """Carry a phase out again, on train and val, where the kind `refits`; say whether it was."""
        return False

    def reads(self, phase: Any) -> frozenset[str]:
        """Those of the options `TRAINING` that a phase reads."""
        return frozenset()

    def learns_labels(self, phase: Any) -> bool:
        """Whether the head learns from labels, so that val says something."""
        return True

    def needs_target(self, phase: Any) -> bool:
        """Whether it reads the target beside the streams that it names."""
        return False

    def since(self, phase: Any) -> str:
        """Name of the earlier phase whose beginning it goes back to; "" where it does not."""
        return ""

    def one_label(self, phase: Any) -> str:
        """What it does that takes one label an example, in words; "" where it does nothing of the kind."""
        return ""

    def shortened(self, phase: Any, epochs: int) -> Phase:
        """The phase with so many epochs, where it has any."""
        return phase


def augments_of(phase: Phase) -> tuple[Augment, ...]:
    """The augmentations that a phase itself says it may have."""
    return (*phase.augments, *([phase.augment] if phase.augment else []))
