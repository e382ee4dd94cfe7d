"""Whoever names no data is told first that the built-in digits are used; whoever names them is not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NOTE = (
    "note: --data is not set: training on the built-in handwritten digits (1,797 pictures of 8 x 8 pixels); "
    "set --data FOLDER to train on your own"
)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], True), (["--config", "empty.yaml"], True), (["--data", "builtin:digits"], False), (["--config", "digits.yaml"], False)],
)
def test_no_data_is_told_first(arguments, told, tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "digits.yaml").write_text("data: builtin:digits\n")
    # It stops at the plan, before TensorFlow is loaded.
    command = [sys.executable, "-m", "tlapp", "train", *arguments, "--last", "99"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=dict(os.environ))
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and lines[-1].startswith("tlapp: --last 99")
    assert lines[:-1] == ([NOTE] if told else [])
