"""The model card, and the words for a file's metadata."""

from __future__ import annotations

from typing import Any

from tlapp.engine.export.metadata import Facts
from tlapp.engine.export.options import ExportOptions
from tlapp.engine.saved import SavedRun


def facts(run: SavedRun, options: ExportOptions) -> Facts:
    """What a TFLite file says about itself."""
    said = f"Names a picture: one of {len(run.labels)} classes. Trained by strategy {run.settings['plugin']}."
    return Facts(options.name or run.folder.resolve().name, said, "1", options.author, "", run.labels)


def write(run: SavedRun, options: ExportOptions, report: dict[str, Any]) -> str:
    """README.md of an export."""
    return f"# {options.name or run.folder.resolve().name}\n"
