"""A run's folder that could not be made is refused before anything is read."""

from __future__ import annotations

import os

import pytest

from tlapp.engine.runs.record import Record
from tlapp.errors import UserError


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "notes").write_text("")
    with pytest.raises(UserError, match=r"cannot be written: Not a directory: .*notes$") as caught:
        Record(str(tmp_path / "notes" / "deep" / "run"), "freeze")
    assert caught.value.option == "run" and [each.name for each in tmp_path.iterdir()] == ["notes"]


def test_a_folder_where_the_user_may_not_write_is_refused(tmp_path, monkeypatch):
    asked, may = [], os.access
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append(str(path)) or (mode & os.W_OK == 0 and may(path, mode)))
    with pytest.raises(UserError, match="cannot be written: Permission denied: "):
        Record(str(tmp_path / "deep" / "run"), "freeze")
    assert asked == [str(tmp_path)]


def test_a_relative_folder_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not Record("deep/run", "freeze").begun and [*tmp_path.iterdir()] == []
