"""A plugin's help line, read from its source: nothing of the plugin is run."""

from __future__ import annotations

import ast
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint
from importlib.util import resolve_name
from typing import Any, NamedTuple

from tlapp.words import in_a_line

IMPORTS = 5  # from module to module, from the one that an entry point names to the one that defines the class


class Summary(NamedTuple):
    """A plugin's help line, and the reason why it cannot be imported; each "" where there is none."""

    help: str = ""
    fault: str = ""


def summary(point: EntryPoint) -> Summary:
    """What the source behind an entry point tells; takes milliseconds, however long the import takes."""
    module, _, name = point.value.partition("[")[0].strip().partition(":")
    try:
        return Summary(_docstring(module, name, IMPORTS).partition("\n")[0])
    except ModuleNotFoundError as error:
        return Summary(fault=str(error))
    except (SyntaxError, ValueError) as error:
        return Summary(fault=f"{module} is not Python: {in_a_line(error)}")
    except (ImportError, KeyError):  # no source, or a namespace package in another one, which only an import can find
        return Summary()


def _docstring(module: str, name: str, imports: int) -> str:
    """The docstring of a class that a module defines or imports; "" where that cannot be told."""
    spec = _spec(module)
    read: Any = getattr(spec.loader, "get_source", lambda name: None)
    for node in reversed(ast.parse(read(module) or "").body):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ast.get_docstring(node) or ""
        if isinstance(node, ast.ImportFrom) and imports:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    origin = resolve_name("." * node.level + (node.module or ""), spec.parent)
                    return _docstring(origin, alias.name, imports - 1)
    return ""


def _spec(module: str) -> ModuleSpec:
    """Where a module is; its packages are looked up and, unlike by importlib.util.find_spec, not run."""
    package = module.rpartition(".")[0]
    path = _spec(package).submodule_search_locations or [] if package else None
    specs = (finder.find_spec(module, path) for finder in sys.meta_path)
    spec = next((each for each in specs if each is not None), None)
    if spec is None:
        raise ModuleNotFoundError(f"there is no module {module}")
    return spec
