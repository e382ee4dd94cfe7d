"""Every file in configs/ runs, and the complete one is complete."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from helpers.teachers import untrained

from tlapp import registry
from tlapp.cli.main import run
from tlapp.settings import resolve
from tlapp.testing import pictures

CONFIGS = sorted(Path(__file__).parents[1].glob("configs/*.yaml"))


def test_every_strategy_has_one():
    assert {path.stem for path in CONFIGS} == set(registry.installed("strategy")) | {"complete"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_dry_runs(path, tmp_path, tiny_network, capfd):
    """The complete one on the network that it names; the others, which name none, on one that loads in no time."""
    data = pictures(tmp_path / "data", each=6)
    own = [] if path.stem == "complete" else [key for key in ("target", "aux") if f"\n{key}:" in path.read_text()]
    more = [word for key in own for word in (f"--{key}", str(data))]
    if path.stem == "distill":
        more = ["--teacher", str(untrained(tmp_path / "teacher", sorted(each.name for each in data.iterdir())))]
    if path.stem != "complete":
        assert "\nbackbone:" not in path.read_text()
        more += ["--backbone", tiny_network]
    given = ["--config", str(path), "--data", str(data), *more, "--image-size", "32"]
    assert run(["train", *given, "--dry-run", "--exports", "none"]) == 0
    assert "plan:" in capfd.readouterr().err


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_opens_with_its_command_and_what_to_expect(path):
    first, *rest = path.read_text().splitlines()
    assert first.startswith(f"# tlapp train --config configs/{path.name}")
    assert rest[0].startswith("# ")


def test_the_complete_one_holds_every_default():
    path = next(path for path in CONFIGS if path.stem == "complete")
    settings = resolve({})
    flat = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.flat().items()}
    assert yaml.safe_load(path.read_text()) == flat
