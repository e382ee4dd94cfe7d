"""tlapp teach."""

from __future__ import annotations

import json
from typing import Any

import click

from tlapp.api import load_run
from tlapp.cli.completion import PATH, complete_files, complete_runs
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.errors import UserError
from tlapp.reuse import teach as add
from tlapp.reuse import undo_teach
from tlapp.words import printable


@click.command(cls=Command)
@click.argument("run", type=PATH, shell_complete=complete_runs)
@click.argument("name", required=False)
@click.argument("files", type=PATH, nargs=-1, shell_complete=complete_files)
@click.option("--undo", is_flag=True, help="Put back what the run was before it was last taught.")
@trust_option
@json_option
def teach(run: str, name: str | None, files: tuple[str, ...], undo: bool, trust: bool, as_json: bool) -> None:
    """Add pictures of the class NAME, a new one or one of its own, to the finished run in the folder RUN.

    FILES are pictures, folders of pictures or quoted globs. The pictures that the run was trained on are not needed; it must be
    one of --plugin feature-extract --classifier lda. Its network stays as it is; only the head changes.
    """
    if undo:
        if name:
            raise UserError("takes no class and no files", option="undo")
        left = undo_teach(run)
        report: dict[str, Any] = {"run": run, "labels": [*load_run(run).labels], "lessons": left}
        lines = [f"undone; classes: {', '.join(report['labels'])}"]
    elif not name or not files:
        raise UserError("name a class and its pictures or texts: tlapp teach RUN NAME FILES...")
    else:
        with Screen() as screen:
            taught = add(run, name, files, reporter=screen, trust=trust)
        report = {"run": run, **taught._asdict()}
        lines = [f"{name}: {taught.examples} examples learnt; classes: {', '.join(taught.labels)}"]
        if taught.before is not None:
            lines.append(f"accuracy on the run's own test: {taught.before:.4f} before, {taught.after:.4f} now")
        lines.append(f"run: {run}")
    if as_json:
        click.echo(json.dumps(report))
        return
    for line in lines:
        click.echo(printable(line))
