"""tlapp cache."""

from __future__ import annotations

import time

import click

from tlapp.cli.usage import Group
from tlapp.engine.cache import store


@click.group(cls=Group)
def cache() -> None:
    """What tlapp keeps to start faster: decoded pictures and activations of frozen fronts."""


@cache.command("list")
def list_entries() -> None:
    """Each entry, the least recently used first, and the total."""
    entries = store.entries()
    for entry in entries:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        click.echo(f"{entry.key}  {entry.what:12} {entry.bytes / 1e6:10.1f} MB  used {used}")
    total = sum(entry.bytes for entry in entries)
    click.echo(f"{len(entries)} entries, {total / 1e6:.1f} MB of at most {store.limit() / 1e6:.0f} MB, in {store.folder()}")


@cache.command("clear")
def clear_entries() -> None:
    """Remove every entry. Nothing is lost but time."""
    click.echo(f"{store.clear() / 1e6:.1f} MB freed")
