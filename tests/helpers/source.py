"""The source as a graph: which module imports which, read from the files, not by importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {"tlapp": ROOT / "tlapp", "tlapp_plugins": ROOT / "plugins"}


def module_files() -> dict[str, Path]:
    """Name of every module -> its file."""
    modules = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = (package, *path.relative_to(folder).with_suffix("").parts)
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def imported_names(path: Path, everywhere: bool = True) -> Iterator[str]:
    """What a file imports, at its top level or everywhere: names of modules, and of what is taken from them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Name of a module -> the modules of this project that it imports, under TYPE_CHECKING and inside functions included."""
    return {module: {_owner(name, files) for name in imported_names(path)} - {"", module} for module, path in files.items()}


def _owner(name: str, files: Mapping[str, Path]) -> str:
    """The module that an imported name is or belongs to; "" where it is none of this project's."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, by way of others or not."""
    reached = {module: _reach(module, graph) for module in graph}
    groups = {frozenset(m for m in reached[module] if module in reached[m]) for module in graph if module in reached[module]}
    return sorted(sorted(group) for group in groups)


def _reach(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        if (module := waiting.pop()) not in reached:
            reached.add(module)
            waiting += graph[module]
    return reached
