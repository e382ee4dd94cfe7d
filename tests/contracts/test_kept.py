"""Plugins written for earlier versions of the contract still run, unchanged."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tlapp.contracts.version import VERSION
from tlapp.testing import pictures, tiny_run

KEPT = Path(__file__).parent / "kept"


def kept(version):
    """The module of plugins written for a version."""
    path = KEPT / f"plugin_{version.replace('.', '_')}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("target"), each=4, seed=3)


def test_every_earlier_version_has_plugins_that_are_kept():
    major, minor = map(int, VERSION.split("."))
    assert {path.stem for path in KEPT.glob("*.py")} == {f"plugin_{major}_{number}" for number in range(minor)}


@pytest.mark.parametrize(("version", "name"), [("1.0", "Humble"), ("1.0", "Confuse"), ("1.1", "Either")])
def test_a_strategy_of_an_earlier_version_trains(version, name, shapes, target, tmp_path, tensorflow):
    strategy = getattr(kept(version), name)()
    assert type(strategy).contract == version
    options = {} if name == "Humble" else {"target": str(target)}
    run = tiny_run(strategy, shapes, tmp_path / "run", patience=3, **options)
    names = [phase.name for phase in run.outline.phases]
    assert names == {"Humble": ["tune"], "Confuse": ["confuse"], "Either": ["warm-up", "tune-0.0001", "tune-0.001"]}[name]
    terms = {"Humble": {"task", "sure"}, "Confuse": {"task", "domain"}, "Either": {"task"}}[name]
    assert {*run.work.history.epochs[-1].terms} == terms
    assert [phase.one_of is not None for phase in run.outline.phases] == [name == "Either" and "tune" in each for each in names]


def test_a_head_of_an_earlier_version_trains(shapes, tmp_path, tensorflow):
    from tlapp_plugins.freeze import Freeze

    run = tiny_run(Freeze(epochs=2), shapes, tmp_path / "run", head=kept("1.1").Several())
    assert run.outline.labelling == "many" and run.work.history.epochs
