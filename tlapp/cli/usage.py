"""Commands and groups whose usage errors are sentences: what is wrong, and what the user may have meant."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import click

from tlapp import registry
from tlapp.engine.runs.folder import SETTINGS, RunFolder
from tlapp.errors import UserError
from tlapp.words import did_you_mean, flag, suggestion

PLACES = ("data", "config", "resume", "plugin", "backbone")
"""Options that an argument without a flag may be meant for, in `meant_option`."""


class Command(click.Command):
    """A command: unknown options, values that are no choice, and arguments that it does not take end in a sentence."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        values: Mapping[str, Any] = {}
        try:
            values, rest, _ = self.make_parser(ctx).parse_args(list(args))
            help_option = self.get_help_option(ctx)
            if rest and not (help_option and values.get(str(help_option.name))):
                raise UserError(_unexpected(self, ctx, rest[0]))
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise UserError(sentence(error, ctx, values)) from error


class Group(click.Group):
    """A group of commands: a command that it does not have ends in a sentence."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise UserError(sentence(error, ctx, {})) from error

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = str(args[0]), self.list_commands(ctx)
        if name in known or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        hint = f"say tlapp train --data {quote(name)}" if os.path.exists(name) and not ctx.parent else suggestion(name, known)
        raise UserError(f"{ctx.command_path} {quote(name)}: there is no such command; {hint}")


def sentence(error: click.UsageError, ctx: click.Context, values: Mapping[str, Any]) -> str:
    """What click finds wrong, in the words of the other errors; `values`: what was typed, by the parameters' names."""
    if isinstance(error, click.NoSuchOption):
        return f"{error.option_name}: {ctx.command_path} has no such option{_near(error.option_name, ctx)}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{ctx.command_path}: {_name(error.param)} is missing; {_usage(ctx)}"
    if isinstance(error, click.BadOptionUsage):
        option = next((each for each in ctx.command.get_params(ctx) if error.option_name in each.opts), None)
        return f"{error.option_name}: {'takes no value' if getattr(option, 'is_flag', False) else 'needs a value'}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        value = values.get(error.param.name or "")
        choices = error.param.type.choices if isinstance(error.param.type, click.Choice) else ()
        shown = f"{_name(error.param)} {value}" if isinstance(value, str) else _name(error.param)
        return f"{shown}: {_plain(error.message)}{did_you_mean(str(value), map(str, choices))}"
    return f"{ctx.command_path}: {_without_end(error)}; {_usage(ctx)}"


def meant_option(word: str, options: Iterable[click.Parameter]) -> str:
    """The option that an argument without a flag is most likely meant for, with its value, as one types it; "" if none is."""
    own = {option.name: option for option in options if isinstance(option, click.Option)}
    key, equals, value = word.lstrip("-").partition("=")
    if (name := key.replace("-", "_")) in own:
        return f"{flag(name)} {quote(value) if equals else own[name].make_metavar(click.get_current_context())}".rstrip()
    if choice := next((each for each in own.values() if word in (getattr(each.type, "choices", None) or ())), None):
        return f"{choice.opts[0]} {word}"
    place = next((place for place in PLACES if place in own and _fits(place, word)), None)
    return f"{flag(place)} {quote(word)}" if place else ""


def _fits(option: str, word: str) -> bool:
    if option == "config":
        return word.endswith((".yaml", ".yml"))
    if option == "resume":
        return RunFolder(Path(word)).has(SETTINGS)
    if option in registry.OPTIONS.values():
        kind = next(kind for kind, other in registry.OPTIONS.items() if other == option)
        return word.partition(":")[0] in registry.installed(kind)
    others = [other for other in PLACES if other != option]
    is_path = os.path.exists(word) or os.sep in word or word.endswith(".csv") or word.startswith("builtin:")
    return is_path and not any(_fits(other, word) for other in others)


def _unexpected(command: click.Command, ctx: click.Context, word: str) -> str:
    with ctx.scope(cleanup=False):
        meant = meant_option(word, command.get_params(ctx))
    return f"{ctx.command_path}: unexpected argument {quote(word)}; {f'say {meant}' if meant else _usage(ctx)}"


def _near(name: str, ctx: click.Context) -> str:
    """What may have been meant by an option, or where the options are."""
    known = [name for option in ctx.command.get_params(ctx) for name in option.opts if name.startswith("--")]
    chosen: Sequence[str] = ctx.meta.get("chosen", ())
    others = f"; strategy {chosen[0]} and head {chosen[1]} do not have it" if chosen else f"; see {ctx.command_path} --help"
    near = did_you_mean(name, [*known, "--help"])
    return near + others if chosen else near or others


def _name(parameter: click.Parameter) -> str:
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name.upper()


def _usage(ctx: click.Context) -> str:
    return " ".join(["usage:", ctx.command_path, *ctx.command.collect_usage_pieces(ctx)])


def _plain(message: str) -> str:
    """click's sentence without its capital and end."""
    text = message.strip().removesuffix(".")
    return text[:1].lower() + text[1:]


def _without_end(error: click.ClickException) -> str:
    return _plain(error.format_message())
