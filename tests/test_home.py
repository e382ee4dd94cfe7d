"""Where there is no home folder, as for a user of a container whom no table knows, temporary files serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlapp.backbones.keras_applications import keras_folder
from tlapp.engine.cache import store
from tlapp.home import expanded, home


@pytest.fixture
def homeless(monkeypatch):
    def none(self=None):
        raise RuntimeError("Could not determine home directory.")

    for name in ("TLAPP_CACHE", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", none)
    monkeypatch.setattr(Path, "expanduser", none)


def test_without_a_home_the_folders_are_temporary_ones(homeless):
    assert home().name.startswith("tlapp-") and home().parent.is_dir()
    assert store.folder().is_relative_to(home()) and keras_folder().is_relative_to(home())


def test_a_tilde_is_the_home_folder():
    assert expanded("~/x/y") == Path.home() / "x" / "y" and expanded("/x") == Path("/x")
