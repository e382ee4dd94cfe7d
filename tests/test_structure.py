"""Imports run one way: cli -> engine -> contracts; plugins and backbones -> contracts. Read from the source, not by importing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "keras", "keras_cv", "tensorflow_hub", "sklearn"}
MAY = {
    "tlapp/contracts": {"tlapp.contracts", "tlapp.errors"},
    "tlapp/engine": {
        "tlapp.contracts",
        "tlapp.engine",
        "tlapp.errors",
        "tlapp.tensorflow_import",
        "tlapp.untrusted_files",
        "tlapp.words",
    },
    "tlapp/backbones": {"tlapp.contracts", "tlapp.backbones", "tlapp.errors", "tlapp.untrusted_files"},
    "plugins": {"tlapp.contracts", "tlapp_plugins"},
}
LATE = {
    "hub_layer.py",
    "decode_in_graph.py",
    "serve.py",
}  # subclasses of TensorFlow's, imported inside the functions that use them
FILES = sorted(path for folder in ("tlapp", "plugins") for path in (ROOT / folder).rglob("*.py"))


def imports(path, everywhere):
    """Modules that a file imports, at its top level or everywhere."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("folder", MAY)
def test_imports_run_one_way(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path, everywhere=True):
            if name.split(".")[0] in ("tlapp", "tlapp_plugins"):
                assert any(name == may or name.startswith(may + ".") for may in MAY[folder]), f"{path.name} imports {name}"


def test_tensorflow_is_never_imported_at_start_up():
    files = [path for path in FILES if path.name not in LATE]
    assert len(files) > 30
    for path in files:
        for name in imports(path, everywhere=False):
            assert name.split(".")[0] not in HEAVY, f"{path.name} imports {name} at its top level"


def test_nothing_unpickles():
    for path in FILES:
        if path.name != "torch_file.py":  # the restricted reader
            assert "pickle" not in set(imports(path, everywhere=True)), path
