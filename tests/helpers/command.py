"""The command line in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def tlapp(*words, cwd=None, env=None, stdin=""):
    """`tlapp WORDS`, ended: its returncode, stdout and stderr."""
    command = [sys.executable, "-m", "tlapp", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False)
