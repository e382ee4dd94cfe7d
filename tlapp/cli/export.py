"""tlapp export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from tlapp.api import load
from tlapp.cli.options import trust_option
from tlapp.cli.screen import Screen
from tlapp.words import printable


@click.command()
@click.argument("run")
@click.option("--format", "kind", type=click.Choice(["savedmodel", "tflite", "keras", "onnx"]), help="What to write.")
@click.option(
    "--quantize", type=click.Choice(["none", "float16", "dynamic", "int8", "auto"]), default="none",
    help="TFLite only. auto: the smallest that keeps the accuracy.  [default: none]",
)  # fmt: skip
@click.option("--max-drop", type=click.FloatRange(0, 1), default=0.01, metavar="X", help="Accuracy on the test pictures that "
              "quantising may cost.  [default: 0.01]")  # fmt: skip
@click.option("--allow-drop", is_flag=True, help="Keep an artifact that fails its check.")
@click.option("--output", metavar="PATH", help="Folder to write.  [default: RUN/export/FORMAT[-QUANTIZE]]")
@click.option("--data", help="Where the run's pictures are now, if they have moved.")
@click.option("--name", help="The model's name in its metadata and card.  [default: the run's]")
@click.option("--author", default="", help="The author's name in its metadata and card.")
@click.option("--licence", default="", help="The model's licence in its metadata and card, such as apache-2.0.")
@click.option(
    "--snippet",
    type=click.Choice(["python", "kotlin", "swift"]),
    help="Write a program that uses the artifact, and nothing else.",
)
@trust_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object to standard output, and nothing else there.")
def export(run: str, kind: str | None, snippet: str | None, trust: bool, as_json: bool, **settings: Any) -> None:
    """Write the model of the folder RUN for a server or a phone, and check that it does what the model does."""
    from tlapp.engine.export import ExportOptions
    from tlapp.engine.export import export as deliver

    if snippet:
        from tlapp.engine.data.labelling import of_run
        from tlapp.engine.export import snippets

        click.echo(snippets.snippet(snippet, kind or "tflite", of_run(Path(run)).kind), nl=False)
        return
    if kind is None:
        raise click.UsageError("give --format savedmodel, tflite, keras or onnx")
    saved = load(run, trust=trust)
    with Screen() as screen:
        report = deliver(saved, ExportOptions.model_validate({"format": kind, **settings}), screen)
    if as_json:
        click.echo(json.dumps(report))
        return
    for line in lines(report):
        click.echo(printable(line))


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for people."""
    found = report["check"]
    yield f"{report['format']}, quantize {report['quantize']}: {found['bytes'] / 1e6:.2f} MB"
    yield f"agreement with the Keras model: {found['agreement']:.2%} of {found['n']} test pictures"
    yield f"accuracy: {found['accuracy_before']:.4f} before, {found['accuracy_after']:.4f} after"
    yield f"largest difference of a probability: {found['largest_difference']:.6f}"
    if found["files"]:
        yield f"encoded files: agreement {found['files']['agreement']:.2%} of {found['files']['n']}"
    time = found["latency"]
    yield f"one picture: {time['median_ms']:.1f} ms (median of {time['n']}, {time['threads']} threads)"
    if found["fault"]:
        yield f"kept although {found['fault']}"
    yield f"export: {report['folder']}"
