"""What the shell completes: files, runs, and names of backbones, plugins and cache entries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class, split_arg_string

from tlapp import registry
from tlapp.tensorflow_import import forbid_tensorflow

VARIABLE = "_TLAPP_COMPLETE"
"""In the environment where a shell asks for completions."""

Complete = Callable[[click.Context, click.Parameter, str], list[Any]]


_SOURCE_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response type value

    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete $1)

    while IFS=',' read -r type value; do
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            path) compopt -o filenames; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"

    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Bash, which splits words at colons and equals signs: keras-cv:efficientnet-lite0 are three.

    Its script is click's, but for the type "path": bash puts a backslash before a blank in it, and a slash after a folder.
    """

    source_template = _SOURCE_BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        words, number = split_arg_string(os.environ["COMP_WORDS"]), int(os.environ["COMP_CWORD"])
        self.split = ":" in words
        *before, last = joined([*words[1 : number + 1], *([] if number < len(words) else [""])])
        self.typed = last
        return before, last

    def format_completion(self, item: CompletionItem) -> str:
        begun = self.typed[: self.typed.rfind(":") + 1] if self.split else ""
        plain = item.type == "plain"
        return f"{'path' if item.path else item.type},{item.value.removeprefix(begun) if plain else item.value}"


class Zsh(ZshComplete):
    """Zsh, whose script takes an empty value for none at all."""

    def format_completion(self, item: CompletionItem) -> str:
        return super().format_completion(item if item.value else CompletionItem("_", type=item.type))


def joined(words: Iterable[str]) -> list[str]:
    """Words as they were typed, where bash has split them at colons; an equals sign after an option is left out."""
    whole: list[str] = []
    goes_on = False
    for word in words:
        if word == "=" and whole and whole[-1].startswith("--"):
            whole.append("")
            goes_on = True
        elif whole and (word.startswith(":") or goes_on):
            whole[-1] += word
            goes_on = word.endswith(":")
        else:
            whole.append(word)
            goes_on = word.endswith(":")
    return whole or [""]


def prepare() -> None:
    """Have our own completion for bash and zsh."""
    add_completion_class(Bash)
    add_completion_class(Zsh)


def silent(complete: Complete) -> Complete:
    """The same function, but nothing where it fails: an error would litter the prompt."""

    @wraps(complete)
    def inside(context: click.Context, parameter: click.Parameter, typed: str) -> list[Any]:
        try:
            return complete(context, parameter, typed)
        except Exception:
            return []

    return inside


class AnyPath(click.ParamType):
    """The name of a file or folder, in which `~` is the home folder: a shell leaves it in quotes and in --option=~/x."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return os.path.expanduser(value)


PATH = AnyPath()


def complete_files(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Names of files and folders."""
    return [CompletionItem(typed, type="file")]


def complete_folders(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Names of folders."""
    return [CompletionItem(typed, type="dir")]


@silent
def complete_runs(context: click.Context, parameter: click.Parameter, typed: str) -> list[Any]:
    """Runs under saved_models, the newest first, for --resume only unfinished ones; else folders, for predict files as well.

    Never both: zsh would lose what was typed.
    """
    from tlapp.engine.runs.catalog import folders
    from tlapp.engine.runs.folder import METRICS

    runs = [run for run in folders() if parameter.name != "resume" or not run.has(METRICS)]
    names = [name for name in (str(run.path) for run in runs) if name.startswith(typed) and name.isprintable()]
    if names:
        return [CompletionItem(name, path=True) for name in names]
    return [CompletionItem(typed, type="file" if context.info_name in ("predict", "explain") else "dir")]


@silent
def complete_backbones(context: click.Context, parameter: click.Parameter, typed: str) -> list[Any]:
    """Prefixes of providers; after the colon of an ID, its provider's names where that takes no Keras, or files."""
    prefix, colon, _ = typed.partition(":")
    if not colon:
        return [f"{name}:" for name in registry.installed("backbone") if name.startswith(typed)]
    with forbid_tensorflow():
        names = [f"{prefix}:{name}" for name in registry.load("backbone", prefix)().names()]
    if not names:  # any path will do
        return [CompletionItem(typed.partition(":")[2], type="file")]
    return [name for name in names if name.startswith(typed)]


def complete_plugins(*kinds: str) -> Complete:
    """Names of plugins of these kinds, or of the kind that the option --kind names."""

    @silent
    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
        chosen = context.params.get("kind")
        names = {name for kind in ([chosen] if chosen else kinds) for name in registry.installed(str(kind))}
        return sorted(name for name in names if name.startswith(typed))

    return complete


@silent
def complete_cache(context: click.Context, parameter: click.Parameter, typed: str) -> list[Any]:
    """Keys of cache entries, with what they hold."""
    from tlapp.engine.cache import store

    return [CompletionItem(entry.key, help=entry.what) for entry in store.entries() if entry.key.startswith(typed)]
