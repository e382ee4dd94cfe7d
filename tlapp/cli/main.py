"""The `tlapp` command: the only place that turns an error into a message and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from importlib.metadata import version
from typing import Any

import click

from tlapp.cli import completion, signals
from tlapp.cli.sentences import error_lines, interrupted_line
from tlapp.cli.usage import Group
from tlapp.errors import TlappError

COMMANDS = {
    "train": "Train a model on your pictures or texts.",
    "audit": "Say what is wrong with your pictures: labels, near-copies, leaks, odd ones out.",
    "advise": "Say which backbone and strategy suit your data, before training.",
    "preview": "Show what a strategy's augmentation does to your pictures.",
    "find-lr": "Find a learning rate for your data, in seconds.",
    "evaluate": "Measure a trained model on labelled pictures or texts.",
    "predict": "Classify pictures or texts with a trained model.",
    "report": "Write a page about a finished run: figures, mistakes, heat maps, data.",
    "explain": "Show where in pictures a trained model sees what speaks for its answers.",
    "export": "Export a trained model for a server or a phone.",
    "serve": "Answer over HTTP with a trained model, and show a page to try it on.",
    "teach": "Add a class or examples to a finished run, in seconds.",
    "adapt": "Make a run that knows other classes, by a few examples of each.",
    "merge": "Make a whole model of what a run changed and the pre-trained network.",
    "verify": "Check that an export is unchanged and gives the same answers.",
    "runs": "List your runs.",
    "compare": "Train several strategies on the same splits, and say which is better.",
    "tune": "Search the options of a strategy.",
    "diff": "Say in which settings two runs differ, and which answers.",
    "plugins": "List, show, check or create strategies, heads and backbone providers.",
    "cache": "Show or clear the cache.",
    "backbones": "List the pre-trained networks, or show one.",
    "doctor": "Check what works on this machine.",
}


class Commands(Group):
    """A group that imports a command's file when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        return getattr(importlib.import_module(f"tlapp.cli.{name}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("tlapp"), prog_name="tlapp")
@click.option("--traceback", "shown", is_flag=True, help="Show the Python traceback of an error; may also follow a command.")
def tlapp(shown: bool) -> None:
    """Transfer learning: from a folder of pictures to a model on a server or a phone."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a bug, 2 the user's to fix, 3 a plugin's, 130 by Ctrl-C, 143 by SIGTERM."""
    _replace_what_is_closed()
    sys.unraisablehook = _unraisable
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _replace_what_is_closed() -> None:
    """Have three standard files: where one is closed, the next file that is opened would be taken for it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for good; it takes the lowest free number


def _unraisable(failed: Any) -> None:
    """Show what failed in a finalizer, unless for want of memory: that was told where it ended the command."""
    from tlapp.engine.memory import ran_out

    if failed.exc_value is None or not ran_out(failed.exc_value):
        sys.__unraisablehook__(failed)


def run(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    shows_traceback = "--traceback" in arguments  # before or after the command
    words = [word for word in arguments if word != "--traceback"]
    try:
        signals.listen()
        if completion.VARIABLE in os.environ:
            completion.prepare()
        return tlapp.main(args=words, prog_name="tlapp", standalone_mode=False) or 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TlappError as error:
        if shows_traceback:
            traceback.print_exc()
        for line in error_lines(error):
            click.echo(f"tlapp: {line}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo(f"tlapp: {interrupted_line(error)}", err=True)
        return 128 + (signals.received[0] if signals.received else signal.SIGINT)
