"""From the options to streams: named sets of examples, read, split and labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tlapp.contracts import Input, Task
from tlapp.contracts.strategy import Labels
from tlapp.engine.cache.columns import Digests, Shapes
from tlapp.engine.data import notes, reading, splits
from tlapp.engine.data.files import absolute
from tlapp.engine.data.inventory import EMPTY, Inventory, inventory
from tlapp.engine.data.labelling import ONE, Labelling
from tlapp.engine.data.listing import Listing, list_sources
from tlapp.engine.data.loading import Loading
from tlapp.engine.data.subset import Subset, unread
from tlapp.engine.inputs.decode import Report
from tlapp.engine.inputs.examples import Examples, Table
from tlapp.engine.inputs.rows import Use
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError
from tlapp.words import a_few

OTHERS = ("target", "aux", "aux_test", "support", "query")
"""Streams beside train, val and test."""


@dataclass(frozen=True)
class Stream:
    """A named set of examples.

    Attributes:
        files: where each example came from; the example itself where it lies in no file.
        labels: as `Labelling.numbers` gives them: (n,) int32 or float64, or (n, classes) bool; None where unlabelled.
        digests: of each source's bytes, for the keys of caches.
        contents: digests of each example's arrays, which copies share, however they are stored.
        examples: `take(indices)` gives an array a tensor of the input, such as (n, size, size, 3) uint8, read from disk.
        groups: of each example, which a CSV may name; "" where it names none.
    """

    name: str
    files: tuple[str, ...]
    labels: np.ndarray | None
    digests: Digests
    contents: Digests
    examples: Examples
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class Dataset:
    """All streams of a run: train, val, test and, where given, target, aux and what of it is held out, aux_test,
    support and query.

    `own_classes` are the classes of each stream that does not have those of train; `notes` are sentences to show the user;
    `input` is what read the examples; `inventory` is all that was listed.
    """

    input: Input
    classes: tuple[str, ...]
    streams: Mapping[str, Stream]
    notes: tuple[str, ...] = ()
    own_classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labelling: Labelling = ONE
    inventory: Inventory = EMPTY

    def classes_of(self, name: str) -> tuple[str, ...]:
        """The classes of a stream."""
        return self.own_classes.get(name, self.classes)

    @property
    def sides(self) -> dict[str, tuple[int, int]]:
        """The width and height of each example, by its name in a stream; 0 where they are not known."""
        known = {row.source: (row.width or 0, row.height or 0) for row in self.inventory.listed}
        names = (name for stream in self.streams.values() for name in stream.files)
        return {name: known.get(absolute(name, self.input), (0, 0)) for name in names}


class Row(NamedTuple):
    """A line of splits.csv."""

    source: str
    label: str
    split: str


def load(
    options: RunOptions, examples: Input, report: Report | None = None, labelling: Labelling = ONE, use: Use | None = None
) -> Dataset:
    """List, check, read and split what the options name.

    Raises:
        UserError: a source is missing or not as it should be, or an example cannot be read; names the option or the file.
    """
    return _load(list_sources(options, examples, labelling), options, report or _silent, use)


def start(listing: Listing, options: RunOptions, report: Report | None = None, use: Use | None = None) -> Loading[Dataset]:
    """Read and split what was listed, in a thread of its own."""
    return Loading(lambda progress: _load(listing, options, progress, use), report or _silent)


def expected_counts(listing: Listing, options: RunOptions) -> dict[str, int]:
    """How many examples each stream will hold if all can be read and copies are those of the same source alone."""
    parts = _split(unread(listing.streams), options, listing)
    if options.aux is not None:
        parts |= _split_aux(parts, options, listing.labelling)
    return {name: len(part) for name, part in parts.items()}


def task_of(data: Listing | Dataset, counts: Mapping[str, int], labels: Labels) -> Task:
    """What a strategy is told of the data."""
    own = data.own_classes
    return Task(data.classes, counts, own.get("aux", ()), labels, own.get("support") or own.get("query", ()))


def split_rows(dataset: Dataset) -> list[Row]:
    """Which example is in which stream; the rows of train, val and test make a CSV for the option data that repeats the split."""
    rows = []
    for stream in dataset.streams.values():
        classes, words = dataset.classes_of(stream.name), dataset.labelling.words
        labels = [""] * len(stream) if stream.labels is None else words(stream.labels, classes)
        rows += [Row(absolute(file, dataset.input), label, stream.name) for file, label in zip(stream.files, labels, strict=True)]
    return rows


def _load(listing: Listing, options: RunOptions, report: Report, use: Use | None) -> Dataset:
    labelling, noun = listing.labelling, listing.input.noun
    paths = (options.data, options.val, options.test, options.target, options.aux, options.support, options.query)
    result = reading.read(listing.streams, listing.input, options.on_bad, report, reading.words_of(paths), use)
    parts = _split(result.examples, options, listing)
    _check_rest(parts["train"], listing.classes, ("data", options.data), labelling, noun)
    if options.aux is not None:
        parts |= _split_aux(parts, options, labelling)
        _check_rest(parts["aux"], listing.own_classes["aux"], ("aux", options.aux), labelling, noun)
    for name, path in (("support", options.support), ("query", options.query)):
        if path is not None:
            present = sorted({label for item in listing.streams[name] for label in labelling.names(item.label)})
            judged_by = np.concatenate([parts[each].same for each in ("val", "test", "aux_test") if each in parts])
            parts[name] = parts[name].where(~np.isin(parts[name].same, judged_by))
            _check_rest(parts[name], present, (name, path), labelling, noun)
    if empty := next((name for name, part in parts.items() if not len(part)), None):
        raise UserError(f"{empty}: none of its {noun}s can be read", received=empty)
    judged = {name: parts[name] for name in ("train", "val", "test")}
    sentences = (*listing.notes, *notes.of(judged, listing.classes, result.bad, labelling, listing.input))
    if options.aux is not None and "aux_test" not in parts:
        sentences += (
            f"option aux={options.aux}: not measured: no class has the {splits.SMALLEST} {noun}s needed to hold some out",
        )
    streams: Mapping[str, Stream] = {
        name: stream(name, parts[name], result.tables, listing.own_classes.get(name, listing.classes), labelling)
        for name in ("train", "val", "test", *OTHERS)
        if name in parts
    }
    fitted = labelling.fitted(_numbers(streams["train"]))
    shapes = Shapes.of(result.tables[0].extra.get("shapes", ()))
    listed = inventory({name: parts[name] for name in streams}, result.bad, shapes, labelling, listing.input)
    return Dataset(listing.input, listing.classes, streams, sentences, listing.own_classes, fitted, listed)


def _split(examples: dict[str, Subset], options: RunOptions, listing: Listing) -> dict[str, Subset]:
    noun = listing.input.noun
    pool, whole = examples["pool"], {name: part for name, part in examples.items() if name != "pool"}
    shares = {"val": options.val_share, "test": options.test_share}
    shares = {split: share for split, share in shares.items() if split not in whole}
    assigned = splits.assign([*pool.items], pool.same, shares, options.seed, listing.labelling)
    parts = {split: pool.where(each == split for each in assigned) for split in ("train", *shares)}
    for split in shares:
        if not len(parts[split]):
            what = f"groups or {noun}s" if any(item.group for item in pool.items) else f"{noun}s"
            raise UserError(
                f"no class has the {splits.SMALLEST} {what} needed to split off {split}; add some, or set option {split}",
                options.data,
                "data",
            )
    return {**parts, **whole}


def _split_aux(examples: Mapping[str, Subset], options: RunOptions, labelling: Labelling) -> dict[str, Subset]:
    """What of the second set trains, and what is held out, if anything.

    An example that the first set holds too goes the way that it goes there: none trains that is judged by.
    """
    aux, judged = examples["aux"], np.concatenate([examples[name].same for name in ("val", "test")])
    new = aux.where(~np.isin(aux.same, np.concatenate([judged, examples["train"].same])))
    shares = {} if "aux_test" in examples else {"test": options.test_share}
    assigned = splits.assign([*new.items], new.same, shares, options.seed, labelling)
    chosen = new.where(split == "test" for split in assigned)
    held = np.isin(aux.same, np.concatenate([judged, chosen.same]))
    held_out = examples["aux_test"] + aux.where(held) if "aux_test" in examples else aux.where(held)
    return {"aux": aux.where(~held), **({"aux_test": held_out} if len(held_out) else {})}


def _check_rest(train: Subset, classes: Sequence[str], origin: tuple[str, str], labelling: Labelling, noun: str) -> None:
    """Check that every class still has an example to train on."""
    present = {name for label in {*train.labels} for name in labelling.names(label)}
    lost = [name for name in classes if name not in present]
    if lost:
        option, value = origin
        raise UserError(f"no {noun} of {a_few(lost)} is left to train on", value, option)


def stream(name: str, examples: Subset, tables: tuple[Table, ...], classes: Sequence[str], labelling: Labelling) -> Stream:
    """Examples with their labels as numbers."""
    labels = examples.labels
    return Stream(
        name,
        examples.sources,
        None if None in labels else labelling.numbers(labels, classes),
        examples.files,
        examples.contents,
        Examples(tables, examples.rows),
        tuple(item.group or "" for item in examples.items),
    )


def _numbers(stream: Stream) -> np.ndarray:
    assert stream.labels is not None, "train always has labels"
    return stream.labels


def _silent(what: str, done: int, total: int) -> None:
    """Report to nobody."""
