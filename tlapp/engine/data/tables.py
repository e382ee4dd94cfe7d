"""Tables of examples, CSV or JSON lines: a column of the input's, such as path, and label, and optionally split and group."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

from tlapp.contracts import Input
from tlapp.engine.inputs.lines import Lines, opened
from tlapp.engine.inputs.shards import places
from tlapp.engine.inputs.shards.files import SPLITS as SPLIT_NAMES
from tlapp.errors import UserError

OTHER_STREAMS = frozenset({"target", "aux", "aux_test", "support", "query"})
"""What else the column split holds in the table that a run writes of its splits."""
ABOUT = ("label", "split", "group", "error", "problem")
"""Columns that are read besides the examples' own."""
Labels = Literal["needed", "optional", "sets"]
"""Of a CSV's labels: each must be there; the column may be missing, and cells empty; a cell may be empty, standing for none."""


class Item(NamedTuple):
    """One example listed: the file to open or the example itself; its name within its class or CSV; what is known of it.

    A file that lies directly in its class's folder needs no name: `title` is that of the file.
    """

    source: str
    name: str
    label: str | None = None
    split: str | None = None
    group: str | None = None

    @property
    def title(self) -> str:
        """Its name within its class or CSV."""
        return self.name or os.path.basename(self.source)


class Table(NamedTuple):
    """The examples of a CSV, how many rows of it say themselves what is wrong with theirs, and whether predict wrote it."""

    items: list[Item]
    faulty: int = 0
    answered: bool = False

    def notes(self, option: str, path: str) -> Iterator[str]:
        """Sentences about what was left out, and about labels that are answers."""
        if self.faulty:
            rows = f"{self.faulty} row{'s' * (self.faulty > 1)}"
            yield f"option {option}={path}: not used, {rows} whose column error or problem says what is wrong"
        if self.answered:
            yield f"option {option}={path}: its labels are the answers of a model (it has a column error), which may be wrong"


def read(option: str, file_path: str, labels: Labels, examples: Input) -> Table:
    """List the examples of a CSV; paths in it are relative to it, and may hold bytes that are not UTF-8, as a run writes them.

    Rows are left out that the answers of predict or a run's data.csv give to what could not be read.

    Raises:
        UserError: it is no such CSV; names the line.
    """
    with opened(option, file_path) as rows:
        found = list(_items(rows, option, file_path, labels, examples))
    items = [item for item in found if item is not None]
    if not items:
        raise UserError("has no rows under its header", file_path, option)
    _check_groups(option, file_path, items)
    return Table(items, len(found) - len(items), "error" in rows.header and any(item.label for item in items))


def _items(rows: Lines, option: str, file_path: str, labels: Labels, examples: Input) -> Iterator[Item | None]:
    """The example of each row; None for a row that says what is wrong with its own."""
    columns, own = _columns(rows, option, file_path, labels, examples)
    for row in rows:
        cells = {name: row.get(title, "").strip() for name, title in columns.items()}
        cells[examples.column] = "\t".join(cells[name] if len(own) == 1 else cells[name].replace("\t", " ") for name in own)
        if _says_what_is_wrong(cells):
            yield None
            continue
        _must_be_text(cells, {"path"} if examples.column == "path" else ())
        try:
            yield _item(cells, os.path.dirname(file_path), labels, examples)
        except _Fault as fault:
            _must_be_text(cells)  # a path in another encoding
            raise UserError(f"line {rows.number}: {fault}", file_path, option) from fault


def _says_what_is_wrong(cells: dict[str, str]) -> bool:
    """Whether a row has an error and no label, as in answers, or a problem and no split, as in data.csv: it cannot be read."""
    return any(cells.get(why) and not cells.get(lacks, "-") for why, lacks in (("error", "label"), ("problem", "split")))


def _must_be_text(cells: dict[str, str], but: Collection[str] = ()) -> None:
    """Raise a UnicodeError where a cell holds bytes that are not UTF-8, but for some columns."""
    for name, cell in cells.items():
        if name not in but:
            cell.encode()


def _columns(rows: Lines, option: str, file_path: str, labels: Labels, examples: Input) -> tuple[dict[str, str], tuple[str, ...]]:
    """Our names for the columns -> the header's; and the names of those that hold an example."""
    header = rows.header
    "".join(header).encode()  # in an error like that of reading where it is no UTF-8
    columns = {name.strip().lower(): name for name in header}
    try:
        own = examples.columns(columns)
    except UserError as error:
        raise UserError(str(error), file_path, option) from error
    needed = {*own} if labels == "optional" else {*own, "label"}
    if not needed <= columns.keys():
        hint = " (separate them with commas)" if any(mark in name for name in header for mark in ";\t") else ""
        received = ",".join(header) or "nothing"
        raise UserError(
            f"expected the columns {','.join(own)},label and optionally split,group{hint}. Received: {received}",
            file_path,
            option,
        )
    return {name: title for name, title in columns.items() if name in (*own, *ABOUT)}, own


class _Fault(ValueError):
    """What is wrong with a row."""


def _item(cells: dict[str, str], base: str, labels: Labels, examples: Input) -> Item:
    column, split = examples.column, cells.get("split", "").lower()
    cell, is_file = cells[column], column == "path" and not _is_built_in(cells[column], examples)
    source = os.path.join(base, cell) if is_file else cell
    label = unicodedata.normalize("NFC", cells.get("label", "")) or ("" if labels == "sets" else None)
    if not cell and is_file:
        raise _Fault(f"its {column} is empty")
    if is_file and not os.path.isfile(source) and places.size(source) is None:
        raise _Fault(f"there is no file {source}")
    if label is None and labels == "needed" and split not in OTHER_STREAMS:
        raise _Fault("its label is empty, which only a head with several labels an example takes, such as option head=multilabel")
    if "split" in cells and split not in {*SPLIT_NAMES, *OTHER_STREAMS}:
        raise _Fault(f"split must be train, val or test. Received: {cells['split'] or 'nothing'}")
    name = cell.replace("\\", "/") if column == "path" else examples.title(cell)
    return Item(source, name, label, SPLIT_NAMES.get(split, split or None), cells.get("group") or None)


def _is_built_in(cell: str, examples: Input) -> bool:
    try:
        return examples.content(cell) is not None
    except (ValueError, IndexError):  # it only begins like an example of a built-in set
        return False


def _check_groups(option: str, file_path: str, items: list[Item]) -> None:
    splits: dict[str, str | None] = {}
    for item in items:
        if item.group is not None and splits.setdefault(item.group, item.split) != item.split:
            both = f"{splits[item.group]} and {item.split}"
            raise UserError(f"group {item.group} is in {both}; a group belongs in one split", file_path, option)
