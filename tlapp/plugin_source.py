"""What can be told of a plugin from its source, without running any of it: its help, and why it will not import."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

from tlapp.contracts.version import misfit
from tlapp.settings import collisions
from tlapp.words import in_a_line

NEEDED = {"strategy": ("Strategy", ("plan",)), "head": ("Head", ("build",)), "backbones": ("BackboneProvider", ("names", "load"))}
"""Kind -> the contract's class, and the methods that it leaves to be written."""


class Glance(NamedTuple):
    """A plugin's help, one line, and the reason why it cannot work; each "" where there is none to be seen."""

    help: str = ""
    fault: str = ""


class Fault(Exception):
    """A reason why a plugin cannot work."""


def glance(kind: str, point: EntryPoint) -> Glance:
    """What the source of an entry point of a kind tells. Takes milliseconds, whatever its import would take."""
    try:
        module, _, name = point.value.partition("[")[0].strip().partition(":")
        _check_imports(module, set())
        found = _find(module, name, 0)
        if found is not None:
            _check_class(kind, found)
        return Glance(_first_line(found))
    except Fault as fault:
        return Glance(fault=str(fault))


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is. Its parents are looked up but, unlike by importlib.util.find_spec, not run."""
    try:
        top, *rest = module.split(".")
        spec = importlib.util.find_spec(top)
        for depth in range(len(rest)):
            if spec is None or spec.submodule_search_locations is None:
                return None
            name, places = ".".join((top, *rest[: depth + 1])), list(spec.submodule_search_locations)
            found = (getattr(finder, "find_spec", PathFinder.find_spec)(name, places) for finder in sys.meta_path)
            spec = next((one for one in found if one is not None), None)
        return spec
    except (ImportError, ValueError, AttributeError):
        return None


def _tree(module: str) -> ast.Module | None:
    """A module's source, parsed; None where it has none (compiled, or a folder).

    Raises:
        Fault: there is no such module, or it is not Python.
    """
    spec = _spec(module)
    if spec is None:
        raise Fault(f"there is no module {module}")
    if not spec.origin or not spec.origin.endswith(".py"):
        return None
    try:
        return ast.parse(Path(spec.origin).read_bytes(), spec.origin)
    except (SyntaxError, ValueError, OSError) as error:
        raise Fault(f"{module} is not Python: {in_a_line(error)}") from error


def _check_imports(module: str, seen: set[str]) -> None:
    """Look for imports that must fail, and for a bare `raise`, in a module, its parents and what it imports of its own package.

    Raises:
        Fault: one was found.
    """
    top = module.partition(".")[0]
    for place in range(module.count(".") + 1):
        name = ".".join(module.split(".")[: place + 1])
        if name in seen or name in sys.modules:
            continue
        seen.add(name)
        tree = _tree(name)
        for node in tree.body if tree else ():
            if isinstance(node, ast.Raise):
                raise Fault(f"{name} raises an error when it is imported: {ast.unparse(node)}")
            for wanted in _imported(node, name):
                if wanted.partition(".")[0] == top:
                    _check_imports(wanted, seen)
                elif wanted.partition(".")[0] not in sys.modules and _spec(wanted.partition(".")[0]) is None:
                    raise Fault(f"{name} needs {wanted.partition('.')[0]}, which is not installed")


def _imported(node: ast.stmt, module: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield _source(node, module)


def _source(node: ast.ImportFrom, module: str) -> str:
    """The module that an import statement of `module` names, relative ones resolved."""
    if not node.level:
        return node.module or ""
    spec = _spec(module)
    inside = module if spec and spec.submodule_search_locations is not None else module.rpartition(".")[0]
    package = ".".join(inside.split(".")[: len(inside.split(".")) - node.level + 1])
    return f"{package}.{node.module}" if node.module else package


def _find(module: str, name: str, depth: int) -> ast.ClassDef | None:
    """The class of a name, followed through up to five imports; None where that cannot be told.

    Raises:
        Fault: the name is no class, or is not there.
    """
    tree = _tree(module)
    if tree is None or not name.isidentifier() or depth > 5:
        return None
    for node in reversed(tree.body):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            raise Fault(f"{module}:{name} is a function, not a class")
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find(_source(node, module), alias.name, depth + 1)
    if not any(_may_define(node, name) for node in tree.body):
        raise Fault(f"{module} has no {name}")
    return None


def _may_define(node: ast.stmt, name: str) -> bool:
    """Whether a statement that is no class could bind the name: an assignment, a star import, a block."""
    plain = (ast.Import, ast.ImportFrom, ast.Expr, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    if isinstance(node, ast.FunctionDef):
        return node.name == "__getattr__"
    return not isinstance(node, plain) and name in ast.unparse(node)


def _check_class(kind: str, node: ast.ClassDef) -> None:
    """Look for what is missing or not allowed in a class, as far as its own lines tell.

    Raises:
        Fault: it was found.
    """
    base, methods = NEEDED[kind]
    own = {item.name for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))}
    direct = node.bases and all(ast.unparse(parent).rpartition(".")[2] == base for parent in node.bases)
    if direct and (missing := [method for method in methods if method not in own]):
        raise Fault(f"does not define {', '.join(missing)}()")
    for item in node.body:
        if not isinstance(item, (ast.AnnAssign, ast.Assign)):
            continue
        target = item.target if isinstance(item, ast.AnnAssign) else item.targets[0]
        if not isinstance(target, ast.Name):
            continue
        if target.id == "contract" and isinstance(item.value, ast.Constant) and (unfit := misfit(item.value.value)):
            raise Fault(f"does not fit: {unfit}")
        if isinstance(item, ast.AnnAssign) and kind != "backbones" and collisions(kind, [target.id]):
            raise Fault(f"its option {target.id} is one of the engine's own; give it another name")


def _first_line(node: ast.ClassDef | None) -> str:
    return ((node and ast.get_docstring(node)) or "").partition("\n")[0]
