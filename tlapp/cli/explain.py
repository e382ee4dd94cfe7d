"""tlapp explain."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tlapp.cli.completion import PATH, complete_files, complete_folders, complete_runs
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.engine.data.naming import named
from tlapp.engine.data.reading import Bad
from tlapp.engine.runs.answer_file import to_json
from tlapp.errors import UserError
from tlapp.words import printable


@click.command(cls=Command)
@click.argument("run", type=PATH, shell_complete=complete_runs)
@click.argument("files", type=PATH, nargs=-1, required=True, shell_complete=complete_files)
@click.option(
    "--output", metavar="FOLDER", type=PATH, default="heat-maps", shell_complete=complete_folders, show_default=True,
    help="Folder for the PNGs; nothing in it is written over.",
)  # fmt: skip
@click.option("--label", metavar="CLASS", help="The class to explain.  [default: the most probable one of each picture]")
@click.option(
    "--method", type=click.Choice(["grad-cam", "layer-cam"]), default="grad-cam", show_default=True,
    help="grad-cam: at the last map of the network. layer-cam: at a finer one.",
)  # fmt: skip
@trust_option
@json_option
def explain(run: str, files: tuple[str, ...], output: str, label: str | None, method: str, trust: bool, as_json: bool) -> None:
    """Show where in pictures a trained model sees what speaks for its answers.

    RUN is the folder of a run, FILES are pictures, folders of pictures or quoted globs. Each PNG has the picture on the left, and
    on the right what speaks for the class: dark for little, bright for much, a ring around the most.
    """
    from tlapp.engine.visuals.explain import check_takes_pictures
    from tlapp.engine.visuals.explain import explain as answers
    from tlapp.visuals import explained_run

    model = explained_run(run, trust)
    check_takes_pictures(model)
    asked, found, bad = named(files, model.input), [], []
    screen = Screen()
    for note in asked.notes:
        screen.note(note)
    for answer in answers(model, asked.sources, label, method, Path(output), asked.bad):  # type: ignore[arg-type]
        if isinstance(answer, Bad):
            bad.append(answer)
            click.echo(printable(f"{model.input.title(answer.source)}: {answer.reason}"), err=True)
            continue
        found.append(answer.to_json())
        if not as_json:
            at = f"{answer.peak['x']:.0%} from the left, {answer.peak['y']:.0%} from the top" if answer.peak else "nowhere"
            other = "" if answer.explained == answer.label else f", {answer.explained} {answer.explained_probability:.4f}"
            what = f"{answer.label} {answer.probability:.4f}{other}"
            click.echo(printable(f"{model.input.title(answer.file)}: {what}; most of it {at}: {answer.image}"))
    if as_json:
        click.echo(json.dumps({"explanations": found, "bad": [to_json(each) for each in bad]}))
    if bad:
        raise UserError(f"{len(bad)} of {len(asked.sources)} {model.input.noun}s cannot be read; each is named above")
