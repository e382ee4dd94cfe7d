"""The pictures of a shard with their labels: in a tar members of one key side by side, 0001.jpg and 0001.cls, .json or .txt."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from tlapp.engine.inputs.formats import SUFFIXES
from tlapp.engine.inputs.lines import text
from tlapp.engine.inputs.shards import places, tfrecord
from tlapp.engine.inputs.shards.files import is_tar
from tlapp.engine.inputs.shards.member import Damaged, Member

LABELS = (".cls", ".json", ".txt")
"""Suffixes of members that hold a label, the first before the others."""
KEYS = ("label", "cls")
"""Of a label in JSON."""
_LONGEST = 1 << 20
_NO_LABELS = frozenset({"readme", "license", "licence", "copying", "classes"})
"""Names of texts that lie in tars without being a label."""
_SIDE_BY_SIDE = "(pack the shard sorted by name)"


class Sample(NamedTuple):
    """A picture: its name in the shard, and its label as it stands there; None where there is none."""

    name: str
    label: str | None


def samples(path: str, unread: Counter[str]) -> Iterator[Sample]:
    """The pictures of a shard, in order; `unread` counts the suffixes of members that are neither picture nor label.

    Raises:
        Damaged: the shard, a label in it, or the order of its members is not as it must be.
        OSError: it cannot be read.
    """
    with open(path, "rb", buffering=1 << 13) as file:
        if not is_tar(path):
            for record in places.members(path, file):
                yield Sample(record.name, tfrecord.label(record, file))
            return
        key, group = "", dict[str, Member]()
        for member in places.members(path, file):
            suffix = places.suffix(member.name)
            if suffix not in SUFFIXES and suffix not in LABELS:
                unread[suffix] += 1
                continue
            if (own := member.name[: len(member.name) - len(suffix)]) != key:
                yield from _sample(group, file)
                key, group = own, {}
            if suffix in group:
                raise Damaged(f"holds two members of the name {member.name}")
            group[suffix] = member
        yield from _sample(group, file)


def _sample(group: dict[str, Member], file: BinaryIO) -> Iterator[Sample]:
    """The sample that members of one key make; none of what only lies there."""
    pictures = [member.name for suffix, member in group.items() if suffix in SUFFIXES]
    labels = [group[suffix] for suffix in LABELS if suffix in group]
    if len(pictures) > 1:
        raise Damaged(f"holds two pictures of one key: {' and '.join(pictures)}")
    if not pictures:
        for member in labels:
            if member.name.rpartition("/")[2].partition(".")[0].lower() not in _NO_LABELS:
                raise Damaged(f"{member.name} has no picture of the same key beside it {_SIDE_BY_SIDE}")
        return
    found = (_label(member, file) for member in labels)
    yield Sample(pictures[0], next((label for label in found if label is not None), None))


def _label(member: Member, file: BinaryIO) -> str | None:
    """The label that a member holds; None of JSON that has none."""
    try:
        content = member.read_from(file, _LONGEST).decode("utf-8-sig")
        if not member.name.lower().endswith(".json"):
            return content.strip()
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        if isinstance(error, Damaged):
            raise
        wrong = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise Damaged(f"{member.name} is not {wrong}") from error
    if not isinstance(values, dict):
        return text(values)
    return next((text(values[key]) for key in KEYS if values.get(key) is not None), None)
