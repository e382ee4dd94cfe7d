"""A broken stranger harms only its own name: one sentence with its distribution and version, exit code 3."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tlapp import registry
from tlapp.cli.main import run
from tlapp.testing import pictures

HERE = Path(__file__).parent / "broken"
STRATEGIES = {
    "missing": "stranger_missing:Missing",
    "raises": "stranger_raises:Raises",
    "divides": "stranger_divides:Divides",
    "exits": "stranger_exits:Exits",
    "syntax": "stranger_syntax:Syntax",
    "no-module": "stranger_nowhere:It",
    "no-class": "stranger_types:Nothing",
    "function": "stranger_types:function",
    "number": "stranger_types:number",
    "no-plan": "stranger_types:NoPlan",
    "collides": "stranger_types:Collides",
    "future": "stranger_types:FromTheFuture",
    "bad-default": "stranger_types:BadDefault",
    "twice": "stranger_slow:Slow",
    "slow": "stranger_slow:Slow",
    "plan-raises": "stranger_plans:Raises",
    "no-phases": "stranger_plans:NoPhases",
    "misses-stage": "stranger_plans:MissesStage",
    "nan": "stranger_plans:NanLoss",
    "loss-raises": "stranger_plans:LossRaises",
    "part-raises": "stranger_plans:PartRaises",
    "sampler-raises": "stranger_plans:SamplerRaises",
    "labeller-raises": "stranger_plans:LabellerRaises",
    "labeller-shape": "stranger_plans:LabellerShape",
    "labeller-nothing": "stranger_plans:LabellerNothing",
    "augment-raises": "stranger_plans:AugmentRaises",
    "solver-raises": "stranger_plans:SolverRaises",
    "begins-like": "stranger_plans:BeginsLikeItsLabel",
    "loss-refuses": "stranger_plans:LossRefuses",
    "alternative": "stranger_plans:AlternativeRaises",
    "select-raises": "stranger_plans:SelectRaises",
    "graft-raises": "stranger_grafts:Raises",
    "graft-nothing": "stranger_grafts:Nothing",
    "graft-maps": "stranger_grafts:Maps",
    "graft-nests": "stranger_grafts:Nests",
    "graft-clones": "stranger_grafts:Clones",
    "graft-input": "stranger_grafts:OtherInput",
    "graft-name": "stranger_grafts:SameName",
}
HEADS = {
    "no-build": "stranger_types:NoBuild",
    "head-raises": "stranger_heads:Raises",
    "head-shape": "stranger_heads:Shape",
    "head-loss": "stranger_heads:LossRaises",
}
BACKBONES = {
    "tiny": "tlapp.testing:TinyBackbones",
    "no-load": "stranger_types:NoLoad",
    "load-raises": "stranger_heads:LoadRaises",
    "init-raises": "stranger_heads:InitRaises",
}
TRAIN = ["train", "--data", "{data}", "--backbone", "tiny:tiny", "--run", "{run}", "--plugin"]
SAID = [
    ([*TRAIN, "missing"], "does not import (stranger_missing:Missing): ModuleNotFoundError: No module named 'a_library"),
    ([*TRAIN, "raises"], "does not import (stranger_raises:Raises): RuntimeError: no licence"),
    ([*TRAIN, "divides"], "ZeroDivisionError"),
    ([*TRAIN, "exits"], "SystemExit: go away"),
    ([*TRAIN, "syntax"], "SyntaxError"),
    ([*TRAIN, "no-module"], "No module named 'stranger_nowhere'"),
    ([*TRAIN, "no-class"], "has no attribute 'Nothing'"),
    ([*TRAIN, "function"], "must be a subclass of tlapp.contracts.Strategy. Received: <function"),
    ([*TRAIN, "number"], "must be a subclass of tlapp.contracts.Strategy. Received: 3"),
    ([*TRAIN, "no-plan"], "does not define plan()"),
    ([*TRAIN, "collides"], "its option seed is already an option of the engine"),
    ([*TRAIN, "future"], "was written for contract 7.3; this tlapp has contract 1."),
    ([*TRAIN, "bad-default"], "its own default for part is refused by its own check"),
    ([*TRAIN, "twice"], "strategy twice of other 1.1 and stranger 0.3: 2 distributions claim this name; uninstall all but one"),
    ([*TRAIN, "plan-raises"], "plan() failed: KeyError: 'stage9'"),
    ([*TRAIN, "no-phases"], "plan() must return a Plan with a tuple of at least one phase. Received: None"),
    ([*TRAIN, "misses-stage"], "phase head: gives no rate for stage top of tiny:tiny"),
    ([*TRAIN, "nan"], "phase head, epoch 1, step 1: the loss mine is no longer a finite number"),
    ([*TRAIN, "loss-raises"], "phase head: its loss failed: KeyError: 'target'"),
    ([*TRAIN, "part-raises"], "phase head: its part mine failed: ZeroDivisionError"),
    ([*TRAIN, "sampler-raises"], "phase head: its sampler failed: IndexError"),
    ([*TRAIN, "labeller-raises", "--target", "{data}"], "phase head: its labeller failed: AttributeError"),
    ([*TRAIN, "labeller-shape", "--target", "{data}"], "arrays (24, 3) and (24,). Received: [(24,), (24,)]"),
    (
        [*TRAIN, "labeller-nothing", "--target", "{data}"],
        "must return finite labels, and weights of at least 0",
    ),
    ([*TRAIN, "augment-raises"], "phase head: its augment failed: AttributeError"),
    ([*TRAIN, "solver-raises"], "phase solve: its solver failed: AttributeError"),
    ([*TRAIN, "begins-like"], "stranger 0.3: strategy begins-like of stranger 0.3.1 is what it was made from"),
    ([*TRAIN, "loss-refuses"], "strategy loss-refuses of stranger 0.3: it wants a target"),
    ([*TRAIN, "alternative", "--target", "{data}"], "phase head: its loss failed: KeyError: 'nothing'"),
    ([*TRAIN, "select-raises", "--target", "{data}"], "phase head: its select failed: ZeroDivisionError"),
    ([*TRAIN, "graft-raises"], "its graft failed: ValueError: No such layer: nowhere"),
    ([*TRAIN, "graft-nothing"], "its graft breaks the graph: it must return a functional keras.Model. Received: NoneType"),
    ([*TRAIN, "graft-maps"], "its graft breaks the graph: it must have one output, (batch, features)"),
    ([*TRAIN, "graft-nests"], "its graft breaks the graph: it nests the backbone's layers in tiny"),
    ([*TRAIN, "graft-clones"], "has the name of a backbone's layer but is another layer"),
    ([*TRAIN, "graft-input"], "its inputs must be the backbone's, [((None, 32, 32, 3), 'float32')]. Received: [((None, 8, 8, 3)"),
    ([*TRAIN, "graft-name"], "its graft breaks the graph: no model can be built from it"),
    ([*TRAIN, "freeze", "--head", "no-build"], "does not define build()"),
    ([*TRAIN, "freeze", "--head", "head-raises"], "head head-raises of stranger 0.3: build() failed: AttributeError"),
    ([*TRAIN, "freeze", "--head", "head-shape"], "its layer must give (batch, classes), here (None, 3). Received: (None, 7)"),
    ([*TRAIN, "freeze", "--head", "head-loss"], "head head-loss of stranger 0.3: its loss failed: AttributeError"),
    ([*TRAIN, "freeze", "--backbone", "no-load:x"], "does not define load()"),
    ([*TRAIN, "freeze", "--backbone", "load-raises:one"], "load() failed: KeyError: 'weights'"),
    ([*TRAIN, "freeze", "--backbone", "init-raises:one"], "cannot be made without arguments: TypeError"),
    (["plugins", "show", "divides"], "ZeroDivisionError"),
    (["plugins", "check", "twice"], "2 distributions claim this name"),
]


def install(root, name, version, **groups):
    """Write what pip leaves behind for a distribution."""
    folder = root / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        line for group, points in groups.items() for line in (f"[tlapp.{group}]", *(f"{k} = {v}" for k, v in points.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder as of installed packages, with every broken stranger in it."""
    root = tmp_path_factory.mktemp("site")
    install(root, "stranger", "0.3", strategies=STRATEGIES, heads=HEADS, backbones=BACKBONES)
    install(root, "other", "1.1", strategies={"twice": "stranger_types:NoPlan"})
    (root / "stranger_syntax.py").write_text("class Syntax(:\n    pass\n")
    for path in HERE.glob("*.py"):
        (root / path.name).write_bytes(path.read_bytes())
    return root


@pytest.fixture
def strangers(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    registry.installed.cache_clear()
    yield
    registry.installed.cache_clear()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("pictures"), each=8)


@pytest.mark.parametrize(
    ("arguments", "sentence"), SAID, ids=[" ".join(words[7 if words[0] == "train" else 0 :]) for words, _ in SAID]
)
def test_one_sentence_and_exit_code_3(arguments, sentence, strangers, data, tmp_path, tensorflow, capfd):
    assert run([word.format(data=data, run=tmp_path / "run") for word in arguments]) == 3
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("tlapp: ")]
    assert len(said) == 1
    assert sentence in said[0]
    assert len(re.findall(r"of (other 1.1 and )?stranger 0\.3(:| breaks)", said[0])) == 1
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize("place", [0, -1])
def test_traceback_shows_more_before_or_after_the_command(place, strangers, data, tmp_path, capfd):
    words = ["plugins", "show", "divides"]
    assert run(["--traceback", *words] if place == 0 else [*words, "--traceback"]) == 3
    said = capfd.readouterr().err
    assert "ZeroDivisionError" in said and "stranger_divides.py" in said and said.count("Traceback") >= 1


def test_every_other_command_still_works(strangers, data, tmp_path, capfd):
    arguments = ["--data", str(data), "--backbone", "tiny:tiny", "--epochs", "2", "--run", str(tmp_path / "run"), "--json"]
    assert run(["train", "--plugin", "freeze", *arguments]) == 0
    assert json.loads(capfd.readouterr().out)["run"] == str(tmp_path / "run")
    assert run(["evaluate", str(tmp_path / "run"), "--data", str(data)]) == 0
    assert run(["plugins", "show", "partial"]) == 0
    assert run(["train", "--plugin", "freeze", "--help"]) == 0
    capfd.readouterr()
    assert run(["backbones", "list"]) == 0
    told = capfd.readouterr().out
    assert "keras-cv:efficientnet-lite0" in told and "tiny:tiny" in told
    assert "init-raises: BROKEN: backbone init-raises of stranger 0.3: cannot be made without arguments" in told


def listed(capfd, *flags):
    assert run(["plugins", "list", "--json", *flags]) == 0
    return {(row["kind"], row["name"]): row for row in json.loads(capfd.readouterr().out)["plugins"]}


UNCHECKED = {
    "syntax": "is not Python: SyntaxError",
    "no-module": "there is no module stranger_nowhere",
    "twice": "2 distributions claim this name",
}
CHECKED = {words[-1]: sentence for words, sentence in SAID[:12]} | {"twice": UNCHECKED["twice"]}


def test_the_list_runs_no_code_and_marks_what_cannot_be_imported(strangers, capfd):
    for name in [name for name in sys.modules if name.startswith("stranger")]:
        del sys.modules[name]
    rows = listed(capfd)
    broken = {key: row["broken"] for key, row in rows.items() if row["broken"]}
    assert {name for _, name in broken} == {*UNCHECKED}
    for name, reason in UNCHECKED.items():
        assert reason in broken["strategy", name], name
    assert rows["strategy", "twice"]["from"] == "other 1.1 and stranger 0.3"
    assert not rows["strategy", "partial"]["broken"] and rows["strategy", "partial"]["from"].startswith("tlapp ")
    assert rows["strategy", "slow"]["help"] == "Take your time." and not rows["strategy", "slow"]["broken"]
    assert not [name for name in sys.modules if name.startswith("stranger")]


def test_with_check_the_list_imports_and_tells_the_rest(strangers, capfd, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    rows = listed(capfd, "--check")
    for name, reason in CHECKED.items():
        assert reason in rows["strategy", name]["broken"], name
    assert not rows["strategy", "slow"]["broken"] and not rows["strategy", "nan"]["broken"]
    assert "cannot be made without arguments: TypeError" in rows["backbone", "init-raises"]["broken"]
    assert "does not define build()" in rows["head", "no-build"]["broken"]


def test_a_slow_import_does_not_slow_the_list_down(site):
    def seconds(path):
        code = f"import sys, time; sys.path[:0] = {path!r}; from tlapp.cli.main import run; began = time.perf_counter();"
        code += "run(['plugins', 'list']); print(time.perf_counter() - began, file=sys.stderr)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(done.stderr.splitlines()[-1]), done.stdout

    with_slow, told = seconds([str(site)])
    assert with_slow < 2.5
    assert "Take your time." in told and "BROKEN: there is no module stranger_nowhere" in told
