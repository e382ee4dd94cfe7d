"""Pictures of three kinds in class folders, and a tiny network in a file: what a run needs, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tlapp.testing import SIZE, TinyBackbones, pictures


def furnish(folder: Path, each: int) -> Path:
    """Write `data`, so many pictures a kind, and `tiny.keras` into a folder; return it."""
    pictures(folder / "data", each=each)
    TinyBackbones().load("tiny").graph.save(folder / "tiny.keras")
    return folder


def of(place: Path) -> dict[str, Any]:
    """The settings of a run on what `furnish` wrote."""
    return {"data": str(place / "data"), "backbone": f"file:{place}/tiny.keras", "image_size": SIZE}
