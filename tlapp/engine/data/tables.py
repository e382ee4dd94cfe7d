"""CSVs of pictures: columns path and label, and optionally split and group."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterator
from typing import Literal, NamedTuple

from tlapp.errors import UserError

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
Labels = Literal["needed", "optional", "sets"]
"""Of a CSV's labels: each must be there; the column may be missing, and cells empty; a cell may be empty, standing for none."""


class Item(NamedTuple):
    """One picture listed: the path to open; its name within its class or CSV; what the source says about it."""

    path: str
    name: str
    label: str | None = None
    split: str | None = None
    group: str | None = None


def read(option: str, where: str, labels: Labels) -> list[Item]:
    """List the pictures of a CSV, whose paths are relative to it.

    Raises:
        UserError: it is no such CSV; names the line.
    """
    try:
        with open(where, encoding="utf-8-sig", newline="") as file:
            items = list(_items(csv.DictReader(file), option, where, labels))
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where, option) from error
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text; save it as CSV UTF-8", where, option) from error
    except csv.Error as error:
        raise UserError(f"is not a CSV: {error}", where, option) from error
    if not items:
        raise UserError("has no rows under its header", where, option)
    _check_groups(option, where, items)
    return items


def _items(rows: csv.DictReader[str], option: str, where: str, labels: Labels) -> Iterator[Item]:
    columns = _columns(rows, option, where, labels)
    for row in rows:
        cells = {name: (row.get(column) or "").strip() for name, column in columns.items()}
        yield _item(cells, option, where, rows.line_num, labels)


def _columns(rows: csv.DictReader[str], option: str, where: str, labels: Labels) -> dict[str, str]:
    """Our names for the columns -> the header's."""
    header = list(rows.fieldnames or ())
    columns = {name.strip().lower(): name for name in header}
    needed = {"path"} if labels == "optional" else {"path", "label"}
    if not needed <= columns.keys():
        hint = " (separate them with commas)" if any(mark in name for name in header for mark in ";\t") else ""
        raise UserError(
            f"expected the columns path,label and optionally split,group{hint}. Received: {','.join(header) or 'nothing'}",
            where,
            option,
        )
    return {name: column for name, column in columns.items() if name in Item._fields}


def _item(cells: dict[str, str], option: str, where: str, number: int, labels: Labels) -> Item:
    path = os.path.join(os.path.dirname(where), cells["path"])
    label = unicodedata.normalize("NFC", cells.get("label", "")) or ("" if labels == "sets" else None)
    split = None
    fault = ""
    if not cells["path"]:
        fault = "its path is empty"
    elif not os.path.isfile(path):
        fault = f"there is no file {path}"
    elif label is None and labels == "needed":
        fault = "its label is empty"
    elif "split" in cells:
        split = SPLIT_NAMES.get(cells["split"].lower())
        if split is None:
            fault = f"split must be train, val or test. Received: {cells['split'] or 'nothing'}"
    if fault:
        raise UserError(f"line {number}: {fault}", where, option)
    return Item(path, cells["path"].replace("\\", "/"), label, split, cells.get("group") or None)


def _check_groups(option: str, where: str, items: list[Item]) -> None:
    splits: dict[str, str | None] = {}
    for item in items:
        if item.group is not None and splits.setdefault(item.group, item.split) != item.split:
            both = f"{splits[item.group]} and {item.split}"
            raise UserError(f"group {item.group} is in {both}; a group belongs in one split", where, option)
