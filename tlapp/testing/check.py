"""The conformance suite: every rule of the contract tried on a plugin, by `tlapp plugins check` and by one line in pytest."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tlapp import registry
from tlapp.contracts import BackboneProvider, Head, RunReporter, Strategy
from tlapp.errors import PluginError
from tlapp.testing.subject import Broken, Subject, Untried
from tlapp.words import in_a_line

DOCUMENT = "docs/plugins.md"


class ContractError(PluginError, AssertionError):
    """A plugin breaks a rule of the contract."""


class Verdict(NamedTuple):
    """What one rule found: `seen` is why it is broken, or was not tried; `text` is the rule itself."""

    rule: str
    state: Literal["kept", "broken", "not tried"]
    seen: str
    text: str
    seconds: float

    def sentence(self, plugin_name: str) -> str:
        """The failure, with where the rule is written."""
        return f'{plugin_name} breaks the rule "{self.rule}": {self.seen}. The rule: {self.text} See {DOCUMENT}#rule-{self.rule}'


Rule = Callable[[Any], None]


def check_strategy(strategy: Strategy | type[Strategy]) -> None:
    """Try every rule for strategies.

    Args:
        strategy: with options of your choice; a class stands for its defaults.

    Raises:
        ContractError: the first rule that it breaks, what was seen, and where the rule is written.
    """
    _check("strategy", strategy)


def check_head(head: Head | type[Head]) -> None:
    """As `check_strategy`, for a head."""
    _check("head", head)


def check_backbones(provider: BackboneProvider | type[BackboneProvider], name: str | None = None) -> None:
    """As `check_strategy`, for a provider of backbones.

    Args:
        name: the backbone to load, as after the colon of its ID; None for the first of `names()`.
    """
    _check("backbone", provider, name)


def check_reporter(reporter: RunReporter | type[RunReporter]) -> None:
    """As `check_strategy`, for a reporter."""
    _check("reporter", reporter)


def _check(kind: str, plugin: Any, name: str | None = None) -> None:
    for verdict in examine(kind, plugin, name):
        if verdict.state == "broken":
            raise ContractError(verdict.sentence(plugin_name_of(kind, plugin)))


def examine(kind: str, plugin: Any, name: str | None = None) -> Iterator[Verdict]:
    """Try the rules one by one, each to its end whatever the others found.

    Args:
        kind: "strategy", "head", "backbone" or "reporter".
        plugin: an object or class.
        name: as in `check_backbones`.
    """
    with preparing(kind, plugin, name) as subject:
        yield from (attempt(rule, subject) for rule in rules_of(kind))


@contextmanager
def preparing(kind: str, plugin: Any, name: str | None = None) -> Iterator[Subject]:
    """The plugin under test, with a folder and a cache of its own and without a network, until the block ends."""
    from tlapp.testing.kinds import KINDS

    with tempfile.TemporaryDirectory() as folder, _own_cache(Path(folder) / "cache"), _no_network() as reached:
        yield KINDS[_singular(kind)][0](plugin, Path(folder), plugin_name_of(kind, plugin), reached, name)


def rules_of(kind: str) -> Sequence[Rule]:
    """The rules for a kind, in the order in which they are tried."""
    from tlapp.testing.kinds import KINDS

    return KINDS[_singular(kind)][1]


def _singular(kind: str) -> str:
    """The kind as this package spells it; "backbones" was the word before contract 1.2."""
    return "backbone" if kind == "backbones" else kind


def plugin_name_of(kind: str, plugin: Any) -> str:
    """How errors name a plugin: as installed, or by its class."""
    plugin_class = plugin if isinstance(plugin, type) else type(plugin)
    value = f"{plugin_class.__module__}:{plugin_class.__qualname__}"
    kind = _singular(kind)
    for name, points in registry.installed(kind).items():
        if any(point.value == value for point in points):
            return registry.plugin_name(kind, name)
    return f"{kind} {plugin_class.__qualname__}"


def text_of(rule: Rule) -> str:
    """A rule in words."""
    return " ".join((rule.__doc__ or "").split())


def attempt(rule: Rule, subject: Subject) -> Verdict:
    """Try one rule."""
    began = time.perf_counter()
    state: Literal["kept", "broken", "not tried"] = "kept"
    seen = ""
    try:
        rule(subject)
    except Untried as error:
        state, seen = "not tried", str(error)
    except PluginError as error:
        state, seen = "broken", error.message
    except Broken as error:
        state, seen = "broken", str(error)
    except Exception as error:  # a stranger's code may raise anything
        state, seen = "broken", in_a_line(error)
    return Verdict(rule.__name__.strip("_"), state, seen, text_of(rule), time.perf_counter() - began)


@contextmanager
def _own_cache(folder: Path) -> Iterator[None]:
    before = os.environ.get("TLAPP_CACHE")
    os.environ["TLAPP_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TLAPP_CACHE"]
        else:
            os.environ["TLAPP_CACHE"] = before


@contextmanager
def _no_network() -> Iterator[list[str]]:
    """Refuse every connection but those to this machine, and tell which were tried."""
    reached: list[str] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def refuse(self: socket.socket, address: Any) -> Any:
        if self.family == getattr(socket, "AF_UNIX", None) or str(address[0]) in ("127.0.0.1", "::1"):
            return connect(self, address)
        reached.append(str(address[0]))
        raise OSError("the network is switched off while a plugin is checked")

    def unresolved(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host in (None, "localhost", "127.0.0.1", "::1"):
            return resolve(host, *args, **kwargs)
        reached.append(str(host))
        raise socket.gaierror("the network is switched off while a plugin is checked")

    socket.socket.connect, socket.getaddrinfo = refuse, unresolved  # type: ignore[method-assign, assignment]
    try:
        yield reached
    finally:
        socket.socket.connect, socket.getaddrinfo = connect, resolve  # type: ignore[method-assign]
