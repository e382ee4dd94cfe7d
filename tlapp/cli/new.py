"""What `tlapp plugins new` writes."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

from tlapp import registry
from tlapp.contracts import VERSION
from tlapp.errors import UserError

CHECKS = {"strategy": "check_strategy", "head": "check_head", "backbone": "check_backbones", "reporter": "check_reporter"}
TRY = {
    "strategy": "tlapp train --plugin {0}",
    "head": "tlapp train --plugin freeze --head {0}",
    "backbone": "tlapp train --plugin full --backbone {0}:small",
    "reporter": "tlapp train --plugin freeze --log {0}",
}


class Project(NamedTuple):
    """A written project, and the command that tries it."""

    folder: Path
    try_it: str


def write(name: str, kind: str, output: str | None) -> Project:
    """Write a project around one plugin.

    Raises:
        UserError: the name is not allowed or is taken, or the folder already exists.
    """
    _check_name(name, kind)
    folder = Path(output or f"tlapp-{name}")
    if folder.exists():
        raise UserError(f"{'--output ' if output else ''}{folder}: already exists; name a folder that does not exist")
    try:
        folder.mkdir(parents=True)
        for path, text in _files(name, kind):
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return Project(folder, TRY[kind].format(name))


def _check_name(name: str, kind: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UserError(f"{name}: a plugin's name is lower-case words joined by hyphens, such as last-one. Received: {name}")
    if name in registry.installed(kind):
        raise UserError(f"{name}: {registry.plugin_name(kind, name)} has that name; choose another")


def _files(name: str, kind: str) -> Iterator[tuple[str, str]]:
    module = f"tlapp_{name.replace('-', '_')}"
    words = {
        "name": name,
        "kind": registry.WORDS[kind],
        "group": registry.GROUPS[kind],
        "distribution": f"tlapp-{name}",
        "module": module,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "check": CHECKS[kind],
        "version": version("tlapp"),
        "contract": VERSION,
        "try_it": TRY[kind].format(name),
    }
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}.py": f"{kind}.py",
        f"test_{module}.py": "test.py",
    }
    for path, template in templates.items():
        text = (files("tlapp.cli") / "templates" / f"{template}.txt").read_text(encoding="utf-8")
        yield path, Template(text).substitute(words)
