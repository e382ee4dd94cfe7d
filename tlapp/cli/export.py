"""tlapp export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from tlapp.api import load_run as load
from tlapp.cli.completion import PATH, complete_files, complete_folders, complete_runs
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.engine.export.formats import NAMES, named, quantizations, table
from tlapp.engine.export.snippets import LANGUAGES
from tlapp.engine.export.snippets import snippet as snippet_of
from tlapp.engine.runs.folder import SETTINGS, RunFolder
from tlapp.errors import UserError
from tlapp.reuse import export as write
from tlapp.words import printable


@click.command(cls=Command)
@click.argument("run", type=PATH, shell_complete=complete_runs)
@click.option(
    "--format", "kind", type=click.Choice(NAMES),
    help=f"What to write. {'; '.join(f'{name}: {each.words}' for name, each in table().items())}.",
)  # fmt: skip
@click.option(
    "--quantize", type=click.Choice(quantizations()), default="none",
    help="TFLite only. auto: the smallest that keeps the accuracy.  [default: none]",
)  # fmt: skip
@click.option("--max-drop", type=click.FloatRange(0, 1), default=0.01, metavar="X", help="Accuracy that quantization "
              "may cost on the test set.  [default: 0.01]")  # fmt: skip
@click.option("--on-device", type=click.IntRange(1, 1000), metavar="N", help="TFLite of a run that `tlapp teach` can teach: "
              "room for N classes that a phone adds by itself; not int8.")  # fmt: skip
@click.option("--allow-drop", is_flag=True, help="Keep an artifact that fails its check.")
@click.option(
    "--output",
    metavar="PATH",
    type=PATH,
    shell_complete=complete_folders,
    help="Folder to write.  [default: RUN/export/FORMAT[-QUANTIZE]]",
)
@click.option("--data", type=PATH, shell_complete=complete_files, help="The run's data, if they have moved.")
@click.option("--name", help="The model's name in its metadata and card.  [default: the run's]")
@click.option("--author", default="", help="The author's name in its metadata and card.")
@click.option("--licence", default="", help="The model's licence in its metadata and card, such as apache-2.0.")
@click.option(
    "--snippet",
    type=click.Choice(LANGUAGES),
    help="Print a program that loads the export, and exit.",
)
@trust_option
@json_option
def export(run: str, kind: str | None, snippet: str | None, trust: bool, as_json: bool, **settings: Any) -> None:
    """Export the model of the folder RUN for a server or a phone.

    Every export is checked against the trained model on the test pictures before it is saved.
    """
    if snippet:
        click.echo(program(run, snippet, kind or "tflite", trust), nl=False)
        return
    if kind is None:
        raise UserError(f"choose one of {', '.join(NAMES)}", option="format")
    with Screen() as screen:
        report = write(run, reporter=screen, trust=trust, format=kind, **settings)
    if as_json:
        click.echo(json.dumps(report))
        return
    for line in lines(report):
        click.echo(printable(line))


def program(run: str, language: str, kind: str, trust: bool) -> str:
    """A program that uses an artifact of a run; of a folder that is no run, one for pictures with one label each."""
    from tlapp.engine.inputs.image_export import ImageExport

    if not RunFolder(Path(run)).has(SETTINGS):
        return snippet_of(language, named(kind), ImageExport())
    saved = load(run, trust=trust)
    return snippet_of(language, named(kind), saved.input.export, saved.labelling.kind, saved.says_unknown)


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for people."""
    check, noun = report["check"], report["input"]["noun"]
    yield f"{report['format']}, quantize {report['quantize']}: {check['bytes'] / 1e6:.2f} MB"
    yield f"agreement with the Keras model: {check['agreement']:.2%} of {check['n']} test {noun}s"
    metric, what = check["metric"], "probability" if check["classes"] else "number"
    yield f"{metric}: {check[f'{metric}_before']:.4f} before, {check[f'{metric}_after']:.4f} after"
    yield f"largest difference of a {what}: {check['largest_difference']:.6f}"
    if check["files"]:
        yield f"{noun}s as they come: agreement {check['files']['agreement']:.2%} of {check['files']['n']}"
    time = check["latency"]
    yield f"one {noun}: {time['median_ms']:.1f} ms (median of {time['n']}, {time['threads']} threads)"
    if check["fault"]:
        yield f"kept although {check['fault']}"
    yield f"export: {report['folder']}"
