"""tlapp audit."""

from __future__ import annotations

import base64
import html
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from tlapp.cli.completion import PATH, complete_files, complete_folders
from tlapp.cli.options import json_option, trust_option
from tlapp.cli.screen import Screen
from tlapp.cli.usage import Command
from tlapp.engine.inputs.shards.places import read
from tlapp.errors import UserError
from tlapp.words import printable

SHOWN, ON_PAGE, THUMBNAIL = 5, 200, 96
KINDS = {
    "conflict": "near-copies with different labels",
    "leak": "near-copies in two splits",
    "label": "labels that look wrong",
    "copy": "near-copies",
    "odd": "unlike all others",
    "dark": "too dark", "flat": "of one colour", "blurred": "blurred", "tiny": "tiny",
}  # fmt: skip


@click.command(cls=Command)
@click.option("--data", type=PATH, required=True, shell_complete=complete_files, help="As of `tlapp train`.")
@click.option("--backbone", help="Whose features are used.  [default: keras-cv:efficientnet-lite0]")
@click.option("--image-size", type=click.IntRange(32, 2048), metavar="N", help="Pixels a side.  [default: the backbone's own]")
@click.option(
    "--output", metavar="FOLDER", type=PATH, shell_complete=complete_folders, help="For audit.csv, and page.html to look at."
)
@click.option(
    "--write", metavar="CSV", type=PATH, shell_complete=complete_files, help="Write the rows without what is wrong, for --data."
)
@trust_option
@json_option
def audit(
    data: str, backbone: str | None, image_size: int | None, output: str | None, write: str | None, trust: bool, as_json: bool
) -> None:
    """Look for wrong labels, near-copies, leaks between splits, odd ones out, and pictures that show little.

    What is named may be right: look at it. Nothing is changed; --write leaves out suspected labels and all copies but one.
    """
    from tlapp.advice import audit as look
    from tlapp.engine.advice.audit import Finding, write_csv

    if output and Path(output).exists():
        raise UserError("already exists; remove it, or name another", output, option="output")
    with Screen() as screen:
        found = look(data, reporter=screen, trust=trust, write=write, backbone=backbone, image_size=image_size)
    if output:
        folder = Path(output)
        folder.mkdir(parents=True)
        write_csv(folder / "audit.csv", Finding._fields, [tuple(each.values()) for each in found["findings"]])
        (folder / "page.html").write_text(page(found), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(found))
        return
    for line in lines(found):
        click.echo(printable(line))
    made = (Path(output, "page.html"), Path(output, "audit.csv")) if output else ()
    for path in filter(None, (*made, write)):
        click.echo(printable(f"written: {path}"))


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """For people: how many of each kind, and the surest."""
    counts = Counter(each["kind"] for each in found["findings"])
    yield f"{found['pictures']} pictures: {len(found['findings'])} findings"
    for kind, words in KINDS.items():
        if counts[kind]:
            yield f"{words}: {counts[kind]}"
            for each in [one for one in found["findings"] if one["kind"] == kind][:SHOWN]:
                yield f"  {said(each)}"
    yield from found["classes"]


def said(each: Mapping[str, Any]) -> str:
    """A finding in words."""
    more = f" = {each['other']}" if each["other"] else f" -> {each['suggestion']}?" if each["suggestion"] else ""
    return f"{each['source']} ({each['label']}, {each['split']}){more}  {each['score']:.2f}"


def page(found: Mapping[str, Any]) -> str:
    """One page with thumbnails of what was found, which needs no other file; names stay text."""
    parts = [
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>audit</title>"
        "<style>body{font:15px sans-serif;margin:1em;color-scheme:light dark}figure{display:inline-block;width:13em;margin:.4em;"
        "vertical-align:top;overflow-wrap:anywhere}img{max-width:6em}</style><h1>audit</h1>"
    ]
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in found["classes"]]
    for kind, words in KINDS.items():
        each = [one for one in found["findings"] if one["kind"] == kind]
        if each:
            parts.append(f"<h2>{words}: {len(each)}</h2>" + "".join(map(_figure, each[:ON_PAGE])))
            parts.append(f"<p>and {len(each) - ON_PAGE} more, in audit.csv</p>" if len(each) > ON_PAGE else "")
    return "\n".join(parts)


def _figure(each: Mapping[str, Any]) -> str:
    shown = "".join(_image(path) for path in (each["source"], each["other"]) if path)
    short = {**each, **{key: "/".join(Path(each[key]).parts[-2:]) for key in ("source", "other")}}
    return f"<figure title='{html.escape(each['source'])}'>{shown}<figcaption>{html.escape(said(short))}</figcaption></figure>"


def _image(path: str) -> str:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(read(path))) as picture:
            small = picture.convert("RGB")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
    except (OSError, ValueError, UserError):
        return ""
    content = io.BytesIO()
    small.save(content, "JPEG", quality=70)
    return f"<img alt='' src='data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}'>"
