"""The public API: `tlapp.contracts` changes only with its version, and docs/plugins.md tells all of it.

After a change that is meant, `python tests/contracts/test_contract.py` writes the version's snapshot and the reference in
docs/plugins.md.
"""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tlapp import contracts, testing
from tlapp.contracts.version import VERSION, misfit
from tlapp.engine.options import RunOptions
from tlapp.settings import COMMAND

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "plugins.md"
SNAPSHOT = ROOT / "tests" / "contracts" / f"{VERSION}.txt"
GRAPH = ("Step", "after", "ends", "expand", "is_nested", "needed", "rebuild", "replay", "steps")
BUILD = (
    "anatomy",
    "assemble",
    "bad_size",
    "bad_weights",
    "check_file",
    "flat",
    "fresh_names",
    "picture",
    "pooled",
    "read_weights",
    "unknown",
)
BEGIN, END = "<!-- reference, written by tests/contracts/test_contract.py: begin -->", "<!-- reference: end -->"
CONTRACTS = (
    "contracts.backbone",
    "contracts.input",
    "contracts.input_export",
    "contracts.options",
    "contracts.plan",
    "contracts.strategy",
    "contracts.version",
    "errors",
)
MODULES = {
    "tlapp.contracts": [
        *(
            f"tlapp.contracts.{name}"
            for name in ("backbone", "input", "input_export", "losses", "options", "plan", "reporter", "strategy", "version")
        ),
        "tlapp.errors",
    ],
    "tlapp.contracts.graph": ["tlapp.contracts.graph"],
    "tlapp.contracts.build": ["tlapp.contracts.build", "tlapp.contracts.anatomy"],
    "tlapp.testing": ["tlapp.testing.check", "tlapp.testing.tiny"],
}
NAMES = {
    "tlapp.contracts": contracts.__all__,
    "tlapp.contracts.graph": GRAPH,
    "tlapp.contracts.build": BUILD,
    "tlapp.testing": testing.__all__,
}


def definitions(modules):
    """Name -> its statement, and the string below it if it is an assignment."""
    found = {}
    for module in modules:
        body = ast.parse(Path(importlib.import_module(module).__file__).read_text()).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found[node.name] = node, ast.get_docstring(node) or ""
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node, string(after)
    return found


def string(node):
    told = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return node.value.value if told else ""


def stub(node, docs):
    """A definition without its body, and with the strings under its fields where asked for."""
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(base) for base in node.bases]
        yield f"class {node.name}({', '.join(bases)})" if bases else f"class {node.name}"
        for item, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(item, ast.AnnAssign) and not ast.unparse(item.target).startswith("_"):
                yield f"    {ast.unparse(item)}" + (f"  # {string(after)}" if docs and string(after) else "")
            elif isinstance(item, ast.FunctionDef) and (not item.name.startswith("_") or item.name == "__init__"):
                told = (ast.get_docstring(item) or "").partition("\n")[0]
                yield f"    def {item.name}({ast.unparse(item.args)})" + returns(item) + (f"  # {told}" if docs and told else "")
    elif isinstance(node, ast.FunctionDef):
        yield f"def {node.name}({ast.unparse(node.args)})" + returns(node)
    else:
        yield ast.unparse(node)


def returns(node):
    return f" -> {ast.unparse(node.returns)}" if node.returns else ""


def snapshot():
    lines = []
    for module in ("tlapp.contracts", "tlapp.contracts.graph", "tlapp.contracts.build"):
        known = definitions(MODULES[module])
        lines.append(f"# {module}")
        for name in sorted(NAMES[module]):
            lines += stub(known[name][0], docs=False) if name in known else [name]
    # A plugin may not have an option of the same name, so that each name is part of the contract.
    lines += ["# options of the engine", *sorted({*RunOptions.model_fields, *COMMAND})]
    return "\n".join(lines) + "\n"


def reference():
    lines = []
    for module, modules in MODULES.items():
        lines += [f"### {module}", ""]
        known = definitions(modules)
        for name in sorted(NAMES[module], key=str.lower):
            node, told = known[name]
            lines += [f"#### {name}", "", told, "", "```python", *stub(node, docs=True), "```", ""]
    return "\n".join(lines)


def test_the_public_api_changes_only_with_its_version():
    assert SNAPSHOT.exists(), f"contract {VERSION} has no snapshot: python tests/contracts/test_contract.py writes it"
    assert snapshot() == SNAPSHOT.read_text(), (
        f"tlapp.contracts is not what it was in version {VERSION}. Raise VERSION in tlapp/contracts/version.py (the minor number "
        "where plugins still work as they are, the major one where they do not) and run python tests/contracts/test_contract.py"
    )


def test_every_version_so_far_has_its_snapshot():
    kept = sorted(tuple(map(int, path.stem.split("."))) for path in SNAPSHOT.parent.glob("*.txt"))
    assert kept[-1] == tuple(map(int, VERSION.split(".")))


def test_the_reference_is_that_of_the_code():
    text = DOCUMENT.read_text()
    inside = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert inside == reference().strip(), "run python tests/contracts/test_contract.py"


def test_everything_public_has_words():
    for module, modules in MODULES.items():
        known = definitions(modules)
        for name in NAMES[module]:
            assert known[name][1].strip(), f"{module}.{name} has no docstring"


def test_every_rule_is_in_the_documentation_with_its_words():
    from tlapp.testing.check import rules_of, text_of

    text = DOCUMENT.read_text()
    words = " ".join(text.split())
    rules = {rule for kind in ("strategy", "head", "backbone") for rule in rules_of(kind)}
    for rule in rules:
        assert f"### rule-{rule.__name__}\n" in text, rule.__name__
        assert text_of(rule) in words, rule.__name__
    assert set(re.findall(r"^### rule-(\w+)$", text, re.M)) == {rule.__name__ for rule in rules}


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.0", ""),
        (VERSION, ""),
        ("1.99", "install a newer tlapp"),
        ("2.0", "install a newer tlapp"),
        ("0.9", "install a newer release of it"),
        ("one", "must be a version of tlapp.contracts"),
        (None, "must be a version of tlapp.contracts"),
    ],
)
def test_a_misfit_is_told_in_words(version, words):
    assert words in misfit(version) if words else misfit(version) == ""


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot())
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{reference()}\n{END}{rest.partition(END)[2]}")
