"""tlapp cache."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from tlapp.cli.completion import complete_cache
from tlapp.cli.options import json_option
from tlapp.cli.usage import Group
from tlapp.engine.cache import store
from tlapp.engine.cache.store import Entry
from tlapp.errors import UserError
from tlapp.words import bytes_in_words, printable

SHOWN = 8
"""Letters of a key in the list, and the fewest that name an entry."""
SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


class Age(click.ParamType):
    """A stretch of time such as 30d, in seconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+)([hdw])", str(value).strip())
        if not match:
            self.fail("expected a number of hours, days or weeks, such as 12h, 30d or 2w", param, ctx)
        return int(match[1]) * SECONDS[match[2]]


@click.group(cls=Group)
def cache() -> None:
    """Show or clear the cache: decoded pictures, and activations of frozen fronts."""


@cache.command("list")
@json_option
def list_entries(as_json: bool) -> None:
    """List the entries, the least recently used first: what they hold, for which data, and the total size."""
    entries = store.entries()
    total = sum(entry.bytes for entry in entries)
    if as_json:
        about = {"folder": str(store.folder()), "bytes": total, "limit": store.limit()}
        click.echo(json.dumps({"entries": [entry._asdict() for entry in entries], **about}))
        return
    for line in lines(entries):
        click.echo(printable(line))
    click.echo(f"{_count(entries)}, {bytes_in_words(total)} of at most {bytes_in_words(store.limit())}, in {store.folder()}")


def lines(entries: Sequence[Entry]) -> Iterator[str]:
    """Two lines an entry."""
    for entry in entries:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        yield f"{entry.key[:SHOWN]}  {entry.what:12} {bytes_in_words(entry.bytes):>10}  used {used}"
        shape = f"{entry.rows:,} of {' x '.join(map(str, entry.shape))}" if entry.shape else ""
        whose = f"of {entry.backbone}" if entry.backbone else ""
        data = f"from {entry.data}" if entry.data else ""
        if words := ", ".join(filter(None, (whose, shape, data))):
            yield f"  {words}"


@cache.command("clear")
@click.argument("names", nargs=-1, shell_complete=complete_cache)
@click.option("--older", type=Age(), metavar="AGE", help="Only entries unused for longer than AGE, such as 12h, 30d or 2w.")
@click.option("--yes", is_flag=True, help="Do not ask before everything is removed.")
def clear_entries(names: tuple[str, ...], older: float | None, yes: bool) -> None:
    """Remove all entries, or only NAMES: keys, or data folders and tables. Nothing is lost but time."""
    everything = not names and older is None
    entries = chosen(store.entries(), names, older)
    if everything and entries and not yes and not _agreed(entries):
        click.echo("nothing removed")
        return
    freed = store.clear() if everything else store.remove(entries)
    click.echo(f"{_count(entries)} removed, {bytes_in_words(freed)} freed")


def chosen(entries: Sequence[Entry], names: Sequence[str], older: float | None) -> list[Entry]:
    """Those entries that names stand for, and that were not used for `older` seconds.

    Raises:
        UserError: a name stands for none.
    """
    for name in names:
        if not any(_is_called(entry, name) for entry in entries):
            raise UserError(f"{name}: no entry has this key or was made from these data; see tlapp cache list")
    named = [entry for entry in entries if not names or any(_is_called(entry, name) for name in names)]
    return [entry for entry in named if older is None or entry.used < time.time() - older]


def _is_called(entry: Entry, name: str) -> bool:
    by_key = len(name) >= SHOWN and entry.key.startswith(name)
    return by_key or any(part in (name, os.path.abspath(name)) for part in entry.data.split(", ") if part)


def _agreed(entries: Sequence[Entry]) -> bool:
    """Whether the person at the terminal wants everything removed.

    Raises:
        UserError: there is nobody to ask.
    """
    what = f"{_count(entries)}, {bytes_in_words(sum(entry.bytes for entry in entries))}"
    if not sys.stdin.isatty():
        raise UserError(f"tlapp cache clear: would remove {what}; say --yes, as there is no terminal to ask on")
    return click.confirm(f"Remove {what}? What is needed is computed again.", err=True)


def _count(entries: Sequence[Entry]) -> str:
    return f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"
