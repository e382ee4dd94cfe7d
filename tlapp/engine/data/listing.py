"""What the options list, and whether it fits together, before any example is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tlapp.contracts import Input
from tlapp.engine.data import folders
from tlapp.engine.data.files import has_folders
from tlapp.engine.data.labelling import ONE, Labelling
from tlapp.engine.data.tables import Item
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError
from tlapp.words import a_few, did_you_mean, natural_sort


@dataclass(frozen=True)
class Listing:
    """What the options list: "pool" is the part of data to split, "aux" that of aux; the other streams are whole.

    `own_classes` are the classes of each stream that does not have those of data.
    """

    streams: dict[str, list[Item]]
    classes: tuple[str, ...]
    own_classes: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    labelling: Labelling
    input: Input


def list_sources(options: RunOptions, examples: Input, labelling: Labelling = ONE) -> Listing:
    """List what the options name and check that it fits together.

    Raises:
        UserError: a source is missing or not as it should be; names the option.
    """
    source = folders.labelled("data", options.data, examples, labelling.cells)
    streams = {"pool": [item for item in source.items if item.split in (None, "train")]}
    sentences = list(source.notes)
    classes = _classes("data", options.data, streams["pool"], labelling)
    for split, path in (("val", options.val), ("test", options.test)):
        own = [item for item in source.items if item.split == split]
        if path is not None:
            given = folders.one_stream(split, path, split, examples, labelling.cells)
            streams[split] = given.items
            sentences += given.notes
            if own:
                sentences.append(
                    f"option data={options.data}: its {split} {examples.noun}s are not used, as option {split} was set"
                )
        elif own:
            streams[split] = own
        if split in streams:
            option, source_path, part = (split, path, "") if path else ("data", options.data, f"{split}: ")
            check_known(option, source_path, streams[split], classes, labelling, part)
    _check_shares(options, streams)
    if options.target is not None:
        unlabelled = folders.any_examples("target", options.target, examples)
        streams["target"] = _target(options.target, unlabelled.items, classes, examples, labelling)
        sentences += unlabelled.notes
    own_classes: dict[str, tuple[str, ...]] = {}
    if options.aux is not None:
        second = folders.labelled("aux", options.aux, examples, labelling.cells)
        sentences += second.notes
        if any(item.split == "val" for item in second.items):
            sentences.append(f"option aux={options.aux}: its val {examples.noun}s are not used")
        streams["aux"] = [item for item in second.items if item.split in (None, "train")]
        own_classes["aux"] = own_classes["aux_test"] = _classes("aux", options.aux, streams["aux"], labelling)
        if measured := [item for item in second.items if item.split == "test"]:
            streams["aux_test"] = measured
            check_known("aux", options.aux, measured, own_classes["aux"], labelling, "test: ")
    for name, path in (("support", options.support), ("query", options.query)):
        if path is not None:
            given = folders.one_stream(name, path, "train", examples, labelling.cells)
            streams[name], sentences = given.items, [*sentences, *given.notes]
            own_classes[name] = own_classes.get("support") or _classes(name, path, given.items, labelling)
            check_known(name, path, given.items, own_classes[name], labelling)
    return Listing(streams, classes, own_classes, tuple(sentences), labelling, examples)


def fitted(listing: Listing) -> Listing:
    """The same, its input as suits the examples to train on, with sentences about them."""
    examples, notes = listing.input.fitted([item.source for item in listing.streams["pool"]])
    return replace(listing, input=examples, notes=(*listing.notes, *notes))


def _classes(option: str, path: str, items: Sequence[Item], labelling: Labelling) -> tuple[str, ...]:
    _check_labels(option, path, items, labelling)
    labels = {labelling.text(item.label): labelling.names(item.label) for item in items}
    classes = tuple(natural_sort({name for names in labels.values() for name in names}))
    if bad := next((name for name in classes if name.splitlines() != [name] or not _is_text(name)), None):
        raise UserError(f"class {bad!a}: a class's name must be one line of Unicode text; rename it", path, option)
    if len(labels) < 2:
        received = f"one, {next(iter(labels))}" if labels else "none: no row is of split train"
        inside = os.path.join(path, next(iter(labels))) if labels else ""
        hint = f" (did you mean option {option}={inside}?)" if os.path.isdir(inside) and has_folders(inside) else ""
        raise UserError(f"expected at least two {labelling.differ}. Received: {received}{hint}", path, option)
    return classes


def _check_labels(option: str, path: str, items: Sequence[Item], labelling: Labelling) -> None:
    """Raise a UserError that names the first example whose label cannot be read."""
    for item in items:
        if fault := labelling.fault(item.label or ""):
            raise UserError(f"{item.title}: {fault}", path, option)


def _is_text(name: str) -> bool:
    """Whether a name can be written down: names of files may hold bytes that stand for no character."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _target(path: str, items: list[Item], classes: Sequence[str], examples: Input, labelling: Labelling) -> list[Item]:
    bare = sum(item.label is None for item in items)
    if 0 < bare < len(items) and labelling.cells == "needed":
        raise UserError(f"{bare} of {len(items)} rows have no label; label all or none", path, option="target")
    if bare == len(items):
        return items
    advice = f"; for {examples.noun}s without labels give a folder that holds them directly"
    check_known("target", path, items, classes, labelling, advice=advice)
    return [item._replace(label=item.label or "") for item in items]


def check_known(
    option: str, path: str, items: Sequence[Item], classes: Sequence[str], labelling: Labelling, part: str = "", advice: str = ""
) -> None:
    """Raise a UserError if a label cannot be read, or a class that it names is not among `classes`."""
    _check_labels(option, path, items, labelling)
    unknown = natural_sort({name for item in items for name in labelling.names(item.label)} - set(classes))
    if unknown:
        hint = did_you_mean(unknown[0], classes)
        raise UserError(
            f"{part}not among the classes trained on ({a_few(classes)}): {a_few(unknown)}{hint}{advice}",
            path,
            option,
        )


def _check_shares(options: RunOptions, streams: Mapping[str, Any]) -> None:
    if not {"val", "test"} & streams.keys() and options.val_share + options.test_share >= 1:
        raise UserError(
            f"together with option test_share={options.test_share:g} leaves nothing to train on: their sum must be below 1",
            options.val_share,
            "val_share",
        )
