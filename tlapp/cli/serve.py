"""tlapp serve."""

from __future__ import annotations

from pathlib import Path

import click

from tlapp.cli.completion import PATH, complete_files, complete_runs
from tlapp.cli.options import task_option, trust_option
from tlapp.cli.usage import Command
from tlapp.engine.inputs.threads import workers as cores
from tlapp.errors import UserError
from tlapp.words import printable

NEEDS = "tlapp serve needs more packages: pip install 'tlapp[serve]'"


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=PATH, shell_complete=complete_runs)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, metavar="N", help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
              help="Where to listen. Anything but this machine's own address needs --token-file.")  # fmt: skip
@click.option("--token-file", type=PATH, shell_complete=complete_files, metavar="FILE",
              help="A file that holds a token; requests must bring it, as the header Authorization: Bearer TOKEN.")  # fmt: skip
@click.option("--max-megabytes", type=click.FloatRange(0, 1000, min_open=True), default=20, show_default=True, metavar="X",
              help="The largest request.")  # fmt: skip
@click.option("--max-megapixels", type=click.FloatRange(0, 100, min_open=True), default=50, show_default=True, metavar="X",
              help="The largest picture, in millions of pixels.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0, 3600, min_open=True), default=30, show_default=True, metavar="SECONDS",
              help="How long a request may take to arrive, and its answer to be made.")  # fmt: skip
@click.option("--queue", type=click.IntRange(1, 10_000), default=64, show_default=True, metavar="N",
              help="Pictures that may wait; more get the answer 503, try again.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 64), metavar="N", help="Pictures computed at a time.  [default: all cores]")
@task_option
@trust_option
def serve(
    model: str, port: int, host: str, token_file: str | None, max_megabytes: float, max_megapixels: float, timeout: float,
    queue: int, threads: int | None, task: str | None, trust: bool,
) -> None:  # fmt: skip
    """Answer requests over HTTP with a trained model, and show a page to try it on.

    MODEL is the folder of a run, or an export: its folder, or the model file in it. Of a run that was exported to TFLite the
    export answers, and TensorFlow is not loaded. Ctrl-C or SIGTERM stops it once the requests under way are answered.
    """
    try:
        from tlapp.server.limits import Limits
        from tlapp.server.listen import Server, bound, read_token
        from tlapp.server.model import opened
    except ImportError as error:
        if str(error.name).partition(".")[0] not in ("starlette", "uvicorn", "python_multipart", "h11", "anyio"):
            raise
        raise UserError(NEEDS) from error
    workers = threads or cores()
    limits = Limits(round(max_megabytes * 1e6), round(max_megapixels * 1e6), timeout, queue, workers=workers)
    token = read_token(token_file) if token_file else None
    with bound(host, port, token) as listener:
        chosen = opened(Path(model), workers, task, trust)
        server = Server(chosen, limits, listener, token, host)
        for note in chosen.notes:
            click.echo(printable(f"note: {note}"), err=True)
        click.echo(printable(f"{chosen.place} answers at {server.url} (Ctrl-C stops it)"))
        server.run()
    click.echo("stopped", err=True)
