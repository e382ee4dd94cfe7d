"""tlapp train."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tlapp import config as config_file
from tlapp.cli.completion import PATH, complete_files, complete_runs
from tlapp.cli.notes_shown import shown_before
from tlapp.cli.options import click_options, json_option, trust_option
from tlapp.cli.result import result_lines
from tlapp.cli.screen import Screen
from tlapp.cli.sentences import resume_command
from tlapp.cli.usage import Command
from tlapp.cli.watchdog import watchdog
from tlapp.engine.export.formats import NAMES
from tlapp.engine.options import RunOptions
from tlapp.engine.runs.folder import SETTINGS, RunFolder
from tlapp.errors import TlappError, UserError
from tlapp.settings import HEAD, Settings, plugin_options, resolve
from tlapp.words import flag, printable, with_flags


class TrainCommand(Command):
    """A command whose options grow with --plugin and --head, named on the command line or in --config."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["typed"] = _typed(args)
        ctx.meta["chosen"] = _chosen(ctx.meta["typed"], ctx.resilient_parsing)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        grown = [option for _, options in self.groups(ctx) for option in options]
        return [*grown, *super().get_params(ctx)]

    def groups(self, ctx: click.Context) -> list[tuple[str, list[click.Option]]]:
        """The options by who has them: the engine, the strategy, the head."""
        if "groups" not in ctx.meta:
            plugin, head = ctx.meta["chosen"]
            ctx.meta["groups"] = [("Run", click_options(RunOptions))]
            for kind, name, prefix in (("strategy", plugin, ""), ("head", head, HEAD)):
                try:
                    ctx.meta["groups"].append((f"{kind} {name}".capitalize(), click_options(plugin_options(kind, name), prefix)))
                except TlappError:
                    if not ctx.resilient_parsing:
                        resolve({**ctx.meta["typed"], "config": None}, ctx.meta["typed"].get("config"))  # all that is wrong
                        raise
        return ctx.meta["groups"]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups = [*self.groups(ctx), ("Command", [p for p in super().get_params(ctx) if isinstance(p, click.Option)])]
        for title, options in reversed(groups):
            with formatter.section(title):
                formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])


def _typed(args: Sequence[str]) -> dict[str, str]:
    """What the arguments name as plugin, head and config."""
    typed = {}
    for key in ("plugin", "head", "config"):
        for place, word in enumerate(args):
            if word.startswith(f"--{key}="):
                typed[key] = word.partition("=")[2]
            elif word == f"--{key}" and place + 1 < len(args):
                typed[key] = args[place + 1]
    return typed


def _chosen(from_flags: Mapping[str, str], lenient: bool) -> tuple[str, str]:
    """The plugin and head that the arguments, or their --config, name."""
    try:
        from_file = config_file.read(from_flags["config"]).values if "config" in from_flags else {}
    except TlappError:
        if not lenient:
            raise
        from_file = {}
    default = {key: RunOptions.model_fields[key].default for key in ("plugin", "head")}
    plugin, head = (str(from_flags.get(key) or from_file.get(key) or default[key]) for key in ("plugin", "head"))
    return plugin, head


@click.command(cls=TrainCommand)
@click.option("--config", metavar="YAML", type=PATH, shell_complete=complete_files, help="File of settings; flags override it.")
@click.option(
    "--resume", metavar="RUN", type=PATH, shell_complete=complete_runs, help="Resume a stopped run; no other options allowed."
)
@click.option("--dry-run", is_flag=True, help="Print the plan and exit.")
@click.option(
    "--exports", type=click.Choice([*NAMES, "none"]),
    help="Check before training that the model converts to this format.  [default: tflite with --dry-run, else none]",
)  # fmt: skip
@click.option(
    "--on", metavar="ray[:ADDRESS]", default="",
    help="Where the frozen front is computed and stages train: on a Ray cluster, or one of this machine. No setting of the run.",
)  # fmt: skip
@trust_option
@json_option
def train(
    config: str | None, resume: str | None, dry_run: bool, exports: str | None, on: str, trust: bool, as_json: bool, **flags: Any
) -> None:
    """Train a model on your pictures or texts, by the strategy --plugin.

    Options of other strategies and heads: tlapp train --plugin NAME --head NAME --help
    """
    from tlapp.api import carry_out
    from tlapp.engine.memory import needs_less

    settings = resumed(resume, flags, config) if resume else resolve(flags, config)
    wanted = exports or ("tflite" if dry_run else "none")
    checked = None if wanted == "none" else wanted
    killed = f"tlapp: was killed or crashed, most often because memory ran out: {with_flags(needs_less(settings.options))}"

    def shown(notes: Sequence[str]) -> str:
        before = shown_before(notes)
        return "when the run began" if resume else "before; --json has them" if dry_run and before else ""

    with watchdog(killed) as add, Screen(lambda folder: add(f"; or resume the run: {resume_command(folder)}"), shown) as screen:
        folder = carry_out(settings, screen, dry_run, resume is not None, checked, trust, on)
    if folder is None:
        if as_json:
            click.echo(json.dumps({"plan": screen.last_outline.to_json(), "exports": checked, **_told(screen, settings)}))
        return
    metrics = RunFolder(folder).metrics()
    if as_json:
        click.echo(json.dumps({"run": str(folder), **metrics, **_told(screen, settings)}))
    else:
        noun = RunFolder(folder).plan().get("noun", "picture")
        for line in result_lines(folder, metrics, len(screen.problems), noun):
            click.echo(printable(line))


def _told(screen: Screen, settings: Settings) -> dict[str, Any]:
    """What --json holds of the data and the settings."""
    problems = [dict(zip(("path", "problem", "other"), problem, strict=True)) for problem in screen.problems]
    labels = screen.last_outline.classes
    return {"notes": screen.notes, "labels": labels, "settings": settings.flat(), "problems": problems}


def resumed(run: str, flags: Mapping[str, Any], config: str | None) -> Settings:
    """The settings of a run that was begun.

    Raises:
        UserError: there is no such run, or other settings came with --resume.
    """
    if others := [flag(key) for key, value in {**flags, "config": config}.items() if value is not None]:
        raise UserError(f"goes on with the run's own settings; leave {', '.join(others)} out", run, "resume")
    path = RunFolder(Path(run)).file(SETTINGS)
    if not path.is_file():
        raise UserError(f"is not a run: a run's folder holds {SETTINGS}", run, "resume")
    return resolve({"run": run}, path, resume=True)
