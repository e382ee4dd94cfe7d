"""Which examples a run knows already: those that it was trained on, or chosen by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tlapp.contracts import Input
from tlapp.engine.data.streams import Stream
from tlapp.engine.inputs import decode
from tlapp.engine.inputs.decode import Report
from tlapp.engine.inputs.shards import places


class Overlap(NamedTuple):
    """How many examples a run was trained on, how many more chose its epoch, and how many of the run's own have gone."""

    train: int
    val: int
    gone: int

    def sentence(self, count: int, noun: str, splits: Path) -> str:
        """A warning about `count` examples that a model is measured on; "" where there is no reason for one."""
        if self.train + self.val:
            return (
                f"{self.train + self.val} of {count} {noun}s are in the run's training set ({self.train}) or validation set "
                f"({self.val}), so these figures are too good; measure on {noun}s that the run has not seen, such as its test "
                f"set: option data={splits}"
            )
        gone = f"{self.gone} {noun}{'s' * (self.gone > 1)} of the run's training or validation set"
        return f"{gone} cannot be found, so copies of them are not noticed here" if self.gone else ""


def overlap(
    rows: Iterable[Mapping[str, str]], contents: Mapping[str, str], stream: Stream, examples: Input, report: Report
) -> Overlap:
    """Compare a stream with the rows of a run's splits.csv: where files lie, their arrays, and the bytes of those of equal size.

    Args:
        contents: example -> the digest of its arrays; those that are not there are compared by their bytes only.
    """
    streams = {"train": "train", "aux": "train", "val": "val"}
    known = {row[examples.column]: streams[row["split"]] for row in rows if row["split"] in streams}
    places = {_place(source, examples): name for source, name in known.items()}
    shown = {contents[source]: name for source, name in known.items() if source in contents}
    found = zip(stream.files, stream.contents, strict=True)
    met = [places.get(_place(source, examples)) or shown.get(content) for source, content in found]
    others = {digest: None for digest, name in zip(stream.digests, met, strict=True) if not name}
    sizes = {_size(source, examples) for source, name in zip(stream.files, met, strict=True) if not name} - {None}
    of_known = {source: _size(source, examples) for source in known}
    alike = [source for source, size in of_known.items() if size in sizes and size is not None]
    hashes, *_ = decode.digests(alike, examples, report)
    same = {digest: known[source] for source, digest in zip(alike, hashes, strict=True) if digest in others}
    names = [name or same.get(digest) for digest, name in zip(stream.digests, met, strict=True)]
    away = [source for source, size in of_known.items() if size is None and examples.content(source) is None]
    return Overlap(names.count("train"), names.count("val"), sum(source not in contents for source in away))


def _place(source: str, examples: Input) -> str:
    return os.path.realpath(source) if examples.content(source) is None else source


def _size(source: str, examples: Input) -> int | None:
    """Bytes of a file, or of its place in a shard; None where there is none."""
    if examples.content(source) is not None:
        return None
    try:
        return os.path.getsize(source)
    except OSError:
        return places.size(source)
