"""The law of directions: imports run downwards, no two files import each other, and files stay small enough to read."""

from __future__ import annotations

import ast
import re

import pytest
import tomllib
from helpers.source import ROOT, cycles, import_graph, imported_names, module_files

FILES = module_files()
GRAPH = import_graph(FILES)
HEAVY = {"tensorflow", "keras", "keras_cv", "tensorflow_hub", "sklearn"}
LATE = {"hub_layer.py", "decode_in_graph.py", "header_in_graph.py", "serve.py"}
"""Subclasses of TensorFlow's, imported inside the functions that use them."""
LONGEST = 250
KINDS = {"Fit", "Solve", "Statistics", "Blend", "Phase", "OneOf"}

BASE = (
    "tlapp.errors", "tlapp.words", "tlapp.home", "tlapp.tensorflow_import", "tlapp.untrusted_files", "tlapp.cluster",
)  # fmt: skip
CONTRACTS = (*BASE, "tlapp.contracts")
FACTS = (*CONTRACTS, "tlapp.engine.options", "tlapp.engine.memory")
INPUTS = (*FACTS, "tlapp.engine.inputs", "tlapp.engine.cache")
DATA = (*INPUTS, "tlapp.engine.network", "tlapp.engine.data", "tlapp.engine.runs", "tlapp.engine.report", "tlapp.engine.job")
BELOW = {
    **dict.fromkeys(BASE, BASE),
    "tlapp.contracts": CONTRACTS,
    "tlapp.backbones": (*CONTRACTS, "tlapp.backbones"),
    "tlapp_plugins": ("tlapp.contracts", "tlapp.api", "tlapp_plugins"),
    "tlapp.engine.options": FACTS,
    "tlapp.engine.memory": FACTS,
    "tlapp.engine.cache": (*FACTS, "tlapp.engine.cache"),
    "tlapp.engine.inputs": INPUTS,
    "tlapp.engine.job": (*FACTS, "tlapp.engine.inputs"),
    "tlapp.engine.network": (*INPUTS, "tlapp.engine.network"),
    "tlapp.engine.data": (*INPUTS, "tlapp.engine.data"),
    "tlapp.engine.runs": (*DATA,),
    "tlapp.engine.report": (*FACTS, "tlapp.engine.runs.history"),
    "tlapp.engine.export": (*DATA, "tlapp.engine.export"),
    "tlapp.engine.training": (*DATA, "tlapp.engine.training"),
    "tlapp.engine.advice": (*DATA, "tlapp.engine.training", "tlapp.engine.advice"),
    "tlapp.engine.visuals": (*DATA, "tlapp.engine.visuals"),
    "tlapp.engine.check": (*DATA, "tlapp.engine.training"),
    "tlapp.engine.outline": (*DATA, "tlapp.engine.training"),
    "tlapp.engine.merge": (*DATA, "tlapp.engine.training", "tlapp.engine.check"),
    "tlapp.engine.teach": (*DATA, "tlapp.engine.training", "tlapp.engine.check", "tlapp.engine.export.reference"),
    "tlapp.engine.few_shot": (*DATA, "tlapp.engine.training", "tlapp.engine.teach"),
    "tlapp.engine.run": (
        *DATA, "tlapp.engine.training", "tlapp.engine.check", "tlapp.engine.outline", "tlapp.engine.export.preflight",
        "tlapp.engine.merge", "tlapp.engine.advice", "tlapp.engine.visuals",
    ),
    "tlapp.engine.preview": (*DATA, "tlapp.engine.training", "tlapp.engine.run"),
    "tlapp.blame": (*CONTRACTS, "tlapp.engine"),
    "tlapp.registry": (*CONTRACTS, "tlapp.backbones.joined"),
    "tlapp.reporters": CONTRACTS,
    "tlapp.reporting": (*CONTRACTS, "tlapp.engine", "tlapp.registry"),
    "tlapp.config": BASE,
    "tlapp.defaults": (*CONTRACTS, "tlapp.engine"),
    "tlapp.settings": (*CONTRACTS, "tlapp.config", "tlapp.defaults", "tlapp.engine", "tlapp.registry"),
    "tlapp.plugin_source": BASE,
    "tlapp.testing": (*CONTRACTS, "tlapp.engine", "tlapp.registry", "tlapp.settings", "tlapp.blame", "tlapp.testing"),
    "tlapp.trials": (*CONTRACTS, "tlapp.engine", "tlapp.defaults", "tlapp.settings", "tlapp.api", "tlapp.reuse", "tlapp.trials"),
    "tlapp.race": (*CONTRACTS, "tlapp.engine", "tlapp.settings"),
    "tlapp.verdict": (*CONTRACTS, "tlapp.engine", "tlapp.settings"),
    "tlapp.learning_rate": (*CONTRACTS, "tlapp.engine", "tlapp.settings", "tlapp.blame"),
    "tlapp.api": (
        *CONTRACTS, "tlapp.engine", "tlapp.registry", "tlapp.settings", "tlapp.blame", "tlapp.race", "tlapp.verdict",
        "tlapp.learning_rate",
        "tlapp.reporting",
    ),
    "tlapp.reuse": (*CONTRACTS, "tlapp.engine", "tlapp.registry", "tlapp.settings", "tlapp.blame", "tlapp.api"),
    "tlapp.visuals": (*CONTRACTS, "tlapp.engine", "tlapp.api"),
    "tlapp.server": (*CONTRACTS, "tlapp.engine", "tlapp.api", "tlapp.server"),
    "tlapp.advice": (
        *CONTRACTS, "tlapp.engine", "tlapp.defaults", "tlapp.settings", "tlapp.blame", "tlapp.api", "tlapp.learning_rate",
    ),
    "tlapp": ("tlapp.api", "tlapp.reuse", "tlapp.advice", "tlapp.visuals"),
    "tlapp.cli": ("tlapp",),
    "tlapp.__main__": ("tlapp.cli",),
}  # fmt: skip
"""What the modules under each name may import; "tlapp" alone is the package's own file."""


def is_under(module, name):
    return module == name or module.startswith(f"{name}.")


def home(module):
    """The longest name in BELOW that a module is under."""
    if module == "tlapp":
        return module
    return max((name for name in BELOW if name != "tlapp" and is_under(module, name)), key=len, default="")


def test_every_module_has_a_place():
    empty = {name for name, path in FILES.items() if path.name == "__init__.py" and not path.read_text().count("\n") > 1}
    assert [module for module in FILES if not home(module) and module not in empty] == []


@pytest.mark.parametrize("room", BELOW)
def test_imports_run_downwards(room):
    wrong = [
        f"{module} imports {name}"
        for module in FILES
        if home(module) == room
        for name in sorted(GRAPH[module])
        if not any(is_under(name, may) for may in BELOW[room])
    ]
    assert wrong == []


def test_no_two_files_import_each_other():
    assert cycles(GRAPH) == []


def test_a_circle_is_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize("folder", ["tlapp", "plugins", "tests"])
def test_no_file_is_too_long_to_read(folder):
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST} == {}


def test_few_files_stand_directly_in_the_engine():
    assert len(list((ROOT / "tlapp" / "engine").glob("*.py"))) <= 12


def test_every_package_is_installed():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    assert listed == {name for name, path in FILES.items() if path.name == "__init__.py"}


def test_every_folder_of_modules_is_a_package():
    for path in FILES.values():
        assert (path.parent / "__init__.py").is_file(), path


def test_tensorflow_is_never_imported_at_start_up():
    assert len(FILES) > 30
    for path in FILES.values():
        if path.name not in LATE:
            for name in imported_names(path, everywhere=False):
                assert name.split(".")[0] not in HEAVY, f"{path.name} imports {name} at its top level"


def test_nothing_unpickles():
    for path in FILES.values():
        if path.name != "torch_file.py":  # the restricted reader
            assert "pickle" not in {name.split(".")[0] for name in imported_names(path)}, path


def engine_files(*but):
    return {str(path.relative_to(ROOT)): path for path in (ROOT / "tlapp" / "engine").rglob("*.py") if path.name not in but}


def questions(path, kinds):
    """The lines of a file that ask whether an object is of one of these classes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            names = {getattr(each, "id", getattr(each, "attr", "")) for each in ast.walk(node.args[1])}
            if names & kinds:
                yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_only_the_table_of_kinds_asks_what_kind_a_phase_is():
    # OneOf is unpacked in the last two, and nowhere else.
    paths = engine_files("kinds.py", "order.py", "check.py").values()
    assert [line for path in paths for line in questions(path, KINDS)] == []


@pytest.mark.parametrize("place", ["tlapp/blame.py", "tlapp/cli", "tlapp/testing", "plugins"])
def test_outside_the_engine_nobody_asks_what_kind_a_phase_is(place):
    paths = [ROOT / place] if place.endswith(".py") else [*(ROOT / place).rglob("*.py")]
    assert paths
    assert [line for path in paths for line in questions(path, KINDS - {"OneOf"})] == []


def test_only_inputs_and_formats_of_exports_know_texts():
    known = re.compile(r"texts?input|\btexts\b|\bWordPiece\b|\btokeni[sz]|\bvocabular|\bbert\b", re.IGNORECASE)
    inside = (
        "tlapp/engine/inputs/",
        "tlapp/engine/export/formats/",
        "tlapp/engine/options.py",
    )  # every default stands in options
    found = [
        f"{name}:{number}"
        for name, path in engine_files().items()
        if not name.startswith(inside)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if known.search(line)
    ]
    assert found == []


def test_the_engine_spells_no_flags():
    spelt = {
        f"{name}:{number}"
        for name, path in engine_files().items()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"(?<![\w-])--[a-z]", line)
    }
    assert spelt == set()
