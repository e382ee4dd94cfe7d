"""The labelled examples that a trained model is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from tlapp.contracts import Input
from tlapp.engine.data import folders, reading
from tlapp.engine.data.labelling import ONE, Labelling
from tlapp.engine.data.listing import check_known
from tlapp.engine.data.streams import Stream, stream
from tlapp.engine.data.tables import OTHER_STREAMS, Item
from tlapp.engine.inputs.decode import Report
from tlapp.errors import UserError

Split = Literal["train", "val", "test", "all"]
SPLITS: tuple[str, ...] = get_args(Split)
"""What the option split may be."""


def load_labelled(
    option: str, path: str, classes: Sequence[str], examples: Input, on_bad: str = "fail", report: Report | None = None,
    labelling: Labelling = ONE, split: str | None = None,
) -> tuple[Stream, tuple[str, ...]]:  # fmt: skip
    """One labelled stream of classes known before, and notes.

    Args:
        split: which part of data that are divided: train, val, test or all; None for test.

    Returns:
        The stream, called as the part is, or "data" where it is all there is.

    Raises:
        UserError: as the option data of train; there is no such part; or a class is not among `classes`.
    """
    source = folders.labelled(option, path, examples, labelling.cells)
    items = [item for item in source.items if item.split not in OTHER_STREAMS]
    chosen, name, notes = _part(option, path, items, split, examples.noun)
    check_known(option, path, chosen, classes, labelling)
    result = reading.read({name: chosen}, examples, on_bad, report or (lambda what, done, total: None), reading.words_of([path]))
    left_out = (f"left out: {reading.in_words(result.bad, examples)}",) if result.bad else ()
    judged = stream(name, result.examples[name], result.tables, classes, labelling)
    return judged, (*source.notes, *notes, *left_out)


def _part(option: str, path: str, items: Sequence[Item], split: str | None, noun: str) -> tuple[list[Item], str, tuple[str, ...]]:
    """The items of a split, what to call them, and notes."""
    if split not in (None, *SPLITS):
        raise UserError(f"must be one of {', '.join(SPLITS)}. Received: {split}", split, option="split")
    there = [name for name in SPLITS if any(item.split == name for item in items)]
    if not there and split not in (None, "all"):
        raise UserError(f"{path} is not divided into train, val and test; leave option split out", split, option="split")
    if not there or split == "all":
        return list(items), "data", ()
    wanted = split or "test"
    chosen = [item for item in items if item.split == wanted]
    if not chosen:
        raise UserError(f"has no {noun}s of split {wanted}; set option split={there[0]}, or option split=all", path, option)
    note = f"option {option}={path}: measured on its split test, {len(chosen)} of {len(items)} {noun}s; option split chooses"
    return chosen, wanted, (note,) if split is None and len(chosen) < len(items) else ()
