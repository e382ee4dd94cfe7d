"""Examples in shards: tar files in WebDataset's layout and TFRecord files, listed without unpacking or copying anything."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.data.files import COMPANIONS, kinds_in_words, unread_note
from tlapp.engine.data.tables import SPLIT_NAMES, Item, Labels
from tlapp.engine.inputs import are_sharded
from tlapp.engine.inputs.encodings import NotUtf8, decoded
from tlapp.engine.inputs.shards.files import PACKED, is_packed, is_tar, shards
from tlapp.engine.inputs.shards.member import Damaged
from tlapp.engine.inputs.shards.samples import Sample, samples
from tlapp.errors import UserError
from tlapp.words import a_few

CLASSES = "classes.txt"
"""The names of classes that labels number from 0, one a line, beside the shards or above their folders."""


class _Origin(NamedTuple):
    """The option that named the shards, if one did, and its value."""

    option: str | None
    path: str

    def error(self, file: str, words: str) -> UserError:
        """What is wrong with a shard."""
        inside = os.path.relpath(file, self.path) if os.path.isdir(self.path) else os.path.basename(file)
        named = words if file == self.path else f"{inside}: {words}"
        return UserError(named, self.path, self.option)


def listed(option: str | None, path: str, examples: Input, labels: Labels) -> tuple[list[Item], tuple[str, ...]] | None:
    """The examples in the shards that a path stands for, in their order there, and notes; None where it stands for none.

    Raises:
        UserError: a shard is missing, compressed or not as it must be, or a label is; names the shard.
    """
    origin = _Origin(option, path)
    if not are_sharded(examples) or not (files := shards(path)):
        return None
    for file in files:
        _check_plain(origin, file)
    splits, classes = _splits(origin, files), _classes(origin, files)
    used = files if not any(splits.values()) else [file for file in files if splits[file]]
    unread, items = Counter[str](), list[Item]()
    for file in used:
        items += _items(origin, file, splits[file], classes, labels, unread)
    shown = Counter({suffix: count for suffix, count in unread.items() if os.path.splitext(suffix)[1] not in COMPANIONS})
    if not items:
        instead = f", but {kinds_in_words(shown, examples)}" if shown else ""
        raise UserError(f"no {examples.noun}s there{instead}", path, option)
    prefix = f"option {option}={path}" if option else path
    spare = [os.path.basename(file) for file in files if file not in set(used)]
    notes = [f"{prefix}: not used, as their names say neither train, val nor test: {a_few(spare)}"] if spare else []
    return items, (*notes, *([f"{prefix}: {unread_note(shown, examples)}"] if shown else ()))


def _check_plain(origin: _Origin, file: str) -> None:
    if is_packed(file):
        tool = PACKED[os.path.splitext(file.lower())[1]]
        words = f"compressed, and nothing in it can be read at its place; decompress it once: {tool} {os.path.basename(file)}"
        raise origin.error(file, words)
    if not os.path.isfile(file):
        raise origin.error(file, "there is no such file")


def _items(
    origin: _Origin, file: str, split: str | None, classes: Sequence[str], labels: Labels, unread: Counter[str]
) -> Iterator[Item]:
    known: dict[str | None, str | None] = {}  # a million equal labels are one text
    try:
        for sample in samples(file, unread):
            if sample.label not in known:
                known[sample.label] = _label(origin, file, sample, classes, labels)
            label = known[sample.label]
            if label is None and labels != "optional":
                wanted = f"{sample.name.rpartition('.')[0]}.cls, .json or .txt right beside it"
                beside = f"; expected {wanted}; if its folders are the classes, unpack it" if is_tar(file) else ""
                raise origin.error(file, f"{_called(file, sample)} has no label{beside}")
            inside = sample.name.removeprefix(f"{label}/") if is_tar(file) else f"{os.path.basename(file)}/{sample.name}"
            yield Item(f"{file}/{sample.name}", inside, label, split)
    except Damaged as error:
        raise origin.error(file, str(error)) from error
    except OSError as error:
        raise origin.error(file, f"cannot be read: {error.strerror}") from error


def _called(file: str, sample: Sample) -> str:
    return sample.name if is_tar(file) else f"record {sample.name}"


def _label(origin: _Origin, file: str, sample: Sample, classes: Sequence[str], labels: Labels) -> str | None:
    """A label by the names of its classes, where they are known; None for none."""
    if sample.label is None:
        return None
    parts = [unicodedata.normalize("NFC", part) for part in sample.label.split(";")]
    if classes and all(part.isascii() and part.isdigit() for part in parts):
        if wrong := next((part for part in parts if int(part) >= len(classes)), None):
            words = f"{_called(file, sample)}: its label is {wrong}, and {CLASSES} names {len(classes)} classes, from 0"
            raise origin.error(file, words)
        parts = [classes[int(part)] for part in parts]
    return ";".join(parts) or ("" if labels == "sets" else None)


def _classes(origin: _Origin, files: Sequence[str]) -> list[str]:
    """The names of the classes that labels number; none where nothing names them."""
    folder = os.path.dirname(files[0])
    above = os.path.dirname(folder) if os.path.basename(folder).lower() in SPLIT_NAMES else folder
    for place in (folder, above):
        try:
            with open(os.path.join(place, CLASSES), "rb") as file:
                return [name.strip() for name in decoded(file.read()).splitlines()]
        except FileNotFoundError:
            continue
        except (OSError, NotUtf8) as error:
            raise origin.error(os.path.join(place, CLASSES), str(error)) from error
    return []


def _splits(origin: _Origin, files: Sequence[str]) -> Mapping[str, str | None]:
    """Shard -> the split that its folder or its name says; None where it says none, or all say the same."""
    folders = {os.path.dirname(file) for file in files}
    by_folder = len(folders) > 1 or (os.path.isdir(origin.path) and not os.path.samefile(origin.path, next(iter(folders))))
    splits: dict[str, str | None] = {}
    for file in files:
        name = os.path.basename(os.path.dirname(file) if by_folder else file)
        said = {SPLIT_NAMES[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLIT_NAMES}
        if len(said) > 1:
            raise origin.error(file, f"its name says {' and '.join(sorted(said))}; rename it")
        splits[file] = said.pop() if said else None
    return splits if len(set(splits.values())) > 1 else dict.fromkeys(files)
