"""`tlapp plugins`, completion in the shell, projects that `new` writes, and the documentation's own code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from tlapp import registry
from tlapp.cli.main import run, tlapp
from tlapp.contracts import Strategy
from tlapp.testing import check_strategy, examine
from tlapp.words import with_flags

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "plugins.md").read_text()


def answer(capfd, *words, code=0):
    assert run(list(words)) == code
    found = capfd.readouterr()
    return found.err if code else found.out


def test_the_list_speaks_the_plugins_own_words(capfd):
    rows = json.loads(answer(capfd, "plugins", "list", "--json"))["plugins"]
    every = {(kind, name) for kind in registry.GROUPS for name in registry.installed(kind)}
    assert {(row["kind"], row["name"]) for row in rows} == every
    for row in rows:
        assert row["help"] and not row["broken"]
    partial = next(line for line in answer(capfd, "plugins", "list").splitlines() if " partial " in line)
    assert partial.split()[:2] == ["strategy", "partial"] and "Train the head and the last stages" in partial


@pytest.mark.parametrize("name", [*registry.installed("strategy")])
def test_show_tells_options_and_the_plan(name, capfd):
    text = answer(capfd, "plugins", "show", name)
    for key, field in registry.load("strategy", name).model_fields.items():
        assert f"--{key.replace('_', '-')} " in text and with_flags(field.description) in text
    if name == "distill":
        assert "no plan with the default options: option teacher: needs the folder" in text
    else:
        assert "plan for keras-cv:efficientnet-lite0 (8 stages, 224 x 224 pixels)" in text
        assert "the head" in text.partition("plan for")[2]


def test_show_of_heads_sources_and_what_is_not_there(capfd):
    assert "--head-hidden" in answer(capfd, "plugins", "show", "mlp")
    assert "backbones list" in answer(capfd, "plugins", "show", "keras-cv")
    assert "did you mean partial?" in answer(capfd, "plugins", "show", "partil", code=2)
    assert "no head of that name" in answer(capfd, "plugins", "show", "partial", "--kind", "head", code=2)


def complete(*words):
    """What a shell is offered for the last of the words."""
    *before, typed = words
    found = BashComplete(tlapp, {}, "tlapp", "_TLAPP_COMPLETE").get_completions(before, typed)
    return [item.value for item in found], {item.type for item in found}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["train", "--plugin", "pa"], ["partial"]),
        (["train", "--head", "l"], ["linear"]),
        (["train", "--backbone", "keras-c"], ["keras-cv:"]),
        (["train", "--backbone", "keras-cv:efficientnet-lite"], [f"keras-cv:efficientnet-lite{i}" for i in range(5)]),
        (["train", "--plugin", "partial", "--las"], ["--last"]),
        (["train", "--plugin=partial", "--las"], ["--last"]),
        (["train", "--plugin", "freeze", "--las"], []),
        (["train", "--plugin", "freeze", "--head", "mlp", "--head-h"], ["--head-hidden"]),
        (["train", "--plugin", "feature-extract", "--classifier", "l"], ["logistic", "lda", "linear-svm"]),
        (["train", "--plugin", "no-such", "--see"], ["--seed"]),
        (["train", "--cache", "o"], ["off"]),
        (["plugins", "show", "grad"], ["gradual"]),
        (["plugins", "check", "--kind", "head", "co"], ["cosine"]),
        (["pl"], ["plugins"]),
    ],
)
def test_completion(words, offered):
    assert complete(*words)[0] == offered


def test_paths_complete_as_files():
    assert complete("train", "--data", "pic")[1] == {"file"}


def test_completion_answers_without_tensorflow():
    code = (
        "import sys; from tlapp.cli.main import run\ntry: run([])\nfinally: assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    environment = {"_TLAPP_COMPLETE": "bash_complete", "COMP_WORDS": "tlapp train --plugin part", "COMP_CWORD": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "plain,partial"


@pytest.fixture
def written(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def new(kind):
        said = answer(capfd, "plugins", "new", f"my-{kind}", "--kind", kind)
        assert f"pip install -e tlapp-my-{kind}" in said
        return tmp_path / f"tlapp-my-{kind}"

    return new


@pytest.mark.parametrize("kind", registry.GROUPS)
def test_a_new_project_is_complete_and_keeps_the_quick_rules(kind, written, monkeypatch, tensorflow):
    folder = written(kind)
    module = f"tlapp_my_{kind}"
    assert {path.name for path in folder.iterdir()} == {"README.md", "pyproject.toml", f"{module}.py", f"test_{module}.py"}
    assert f'my-{kind} = "{module}:My{kind.capitalize()}"' in (folder / "pyproject.toml").read_text()
    for path in folder.iterdir():
        assert "$" not in path.read_text().replace("${", ""), path
    monkeypatch.syspath_prepend(str(folder))
    plugin = getattr(__import__(module), f"My{kind.capitalize()}")
    for verdict in examine(kind, plugin()):
        if verdict.rule == "learns":  # tried once, in the slow test of installed projects
            break
        assert verdict.state == "kept", verdict


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["Last One"], "lower-case words joined by hyphens"),
        (["class"], "lower-case words joined by hyphens"),
        (["partial"], "strategy partial of tlapp"),
        (["mine", "--output", "."], "already exists"),
    ],
)
def test_new_refuses_in_a_sentence(arguments, fragment, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert fragment in answer(capfd, "plugins", "new", *arguments, code=2)
    assert not [*tmp_path.iterdir()]


def test_check_shows_a_line_a_rule(capfd, tensorflow):
    found = json.loads(answer(capfd, "plugins", "check", "feature-extract", "--json"))
    assert found["kept"] and [rule["rule"] for rule in found["rules"]][:3] == ["contract", "options", "yaml"]
    assert "only a backbone provider" in answer(capfd, "plugins", "check", "feature-extract", "--load", "x", code=2)
    assert "give one with --load" in answer(capfd, "plugins", "check", "hub", code=2)


BLOCKS = [
    block for block in re.findall(r"```python\n(.*?)```", DOCUMENT.partition("## Reference")[0], re.S) if "(Strategy)" in block
]


@pytest.mark.parametrize("number", [pytest.param(i, marks=pytest.mark.slow) for i in range(len(BLOCKS) - 1)] + [len(BLOCKS) - 1])
def test_the_tutorials_strategies_keep_every_rule(number, tmp_path, monkeypatch, tensorflow):
    (tmp_path / f"tutorial{number}.py").write_text(BLOCKS[number])
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__(f"tutorial{number}")
    (plugin,) = (v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Strategy) and v is not Strategy)
    check_strategy(plugin())


def test_the_tutorial_starts_at_ten_lines():
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize(
    ("kind", "name", "given", "made"),
    [
        ("strategy", "partial", ["last=1", "learning-rate=1e-4"], {"last": 1, "learning_rate": 1e-4}),
        ("head", "mlp", ["hidden=8,4"], {"hidden": (8, 4)}),
    ],
)
def test_a_plugin_is_checked_with_the_options_given(kind, name, given, made, monkeypatch, capfd):
    seen = []
    monkeypatch.setattr("tlapp.testing.examine", lambda *arguments: seen.append(arguments) or ())
    answer(capfd, "plugins", "check", name, *(word for each in given for word in ("--set", each)))
    assert {key: getattr(seen[0][1], key) for key in made} == made and seen[0][0] == kind


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("partial", "lst=1", "tlapp: --set lst=1: strategy partial has no option lst; did you mean last?"),
        ("partial", "last", "tlapp: --set last: must be KEY=VALUE, such as last=1"),
        (
            "partial",
            "last=0",
            "tlapp: --last 0: stages to train, counted from the output; should be greater",
        ),
        ("keras-cv", "last=0", "tlapp: --set last=0: a backbone provider has no options; keras-cv is one"),
    ],
)
def test_a_wrong_option_to_check_with_is_told(name, given, sentence, capfd):
    assert sentence in answer(capfd, "plugins", "check", name, "--set", given, code=2)
