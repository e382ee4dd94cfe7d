"""What a command does once its answers are out, so that the next ones come sooner."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tlapp.engine.runs.predictor import Predictor
from tlapp.words import printable


def keep_fast(model: Predictor, sources: Sequence[str] = ()) -> None:
    """Make the file by which a run answers without TensorFlow, where there is none yet, and say so in a line."""
    if folder := model.keep(sources):
        click.echo(printable(f"note: kept {folder}: from now on the answers come without TensorFlow, and sooner"), err=True)
