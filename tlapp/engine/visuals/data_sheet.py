"""The data sheet of a run: how many examples of which class and split, copies, what was left out, sizes and formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from statistics import median
from typing import Any, NamedTuple

from tlapp.engine.visuals.run_facts import RunFacts


class DataSheet(NamedTuple):
    """Counts of the data: `rows` are (class, count a split ...); what is not known is empty."""

    splits: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int]]]
    totals: Sequence[int]
    copies: int
    left_out: int
    sizes: str
    kinds: Sequence[tuple[str, int]]


def data_sheet(facts: RunFacts) -> DataSheet:
    """What the run was made of."""
    used = [row for row in facts.data if row["split"]]
    splits = list(dict.fromkeys(row["split"] for row in used))
    counts: Counter[tuple[str, str]] = Counter()
    for row in used if facts.kind != "number" else ():
        counts.update((name, row["split"]) for name in facts.names_of(row["label"]) if name)
    names = sorted({label for label, _ in counts}, key=_place(facts))
    rows = [(label, [counts[label, split] for split in splits]) for label in names]
    sides = [(int(row["width"]), int(row["height"])) for row in used if row.get("width")]
    kinds = Counter(PurePath(row["path"]).suffix.lower() for row in used if PurePath(row.get("path", "")).suffix)
    return DataSheet(
        splits, rows, [sum(row["split"] == split for row in used) for split in splits],
        sum(int(row.get("copies") or 0) > 0 for row in used), sum(not row["split"] for row in facts.data), _sizes(sides),
        kinds.most_common(6),
    )  # fmt: skip


def _place(facts: RunFacts) -> Any:
    place = {label: number for number, label in enumerate(facts.labels)}
    return lambda label: (place.get(label, len(place)), label)


def _sizes(sides: Sequence[tuple[int, int]]) -> str:
    if not sides:
        return ""
    widths, heights = [w for w, _ in sides], [h for _, h in sides]
    middle = f"{median(widths):.0f} x {median(heights):.0f}"
    return f"{middle} pixels in the middle; {min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high"
