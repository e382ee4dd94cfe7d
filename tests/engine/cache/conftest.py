"""Each test of the cache has a folder of its own, and no limit."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TLAPP_CACHE_LIMIT", raising=False)
    return tmp_path / "cache"
