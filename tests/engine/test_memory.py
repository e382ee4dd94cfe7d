"""Peak memory is that of this process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from tlapp.engine.memory import ran_out


def test_peak_memory_is_that_of_the_process_alone():
    child = "from tlapp.engine.run import peak_memory_mb; print(peak_memory_mb())"
    parent = (
        "import subprocess, sys; import numpy as np; held = np.ones(75_000_000); "
        f"print(subprocess.run([sys.executable, '-c', {child!r}], capture_output=True, text=True, check=True).stdout)"
    )
    said = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True).stdout
    assert 10 < float(said) < 400


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError(os.strerror(errno.EAGAIN)), RuntimeError("can't start new thread"), KeyError("other")]
)
def test_what_says_that_memory_ran_out(error):
    caused = ValueError("a picture")
    caused.__cause__ = error
    assert ran_out(error) is ran_out(caused) is not isinstance(error, KeyError)


def test_no_command_needs_a_module_that_windows_lacks():
    child = (
        "import sys; sys.modules.update(dict.fromkeys(('fcntl', 'grp', 'pwd', 'resource', 'syslog'))); "
        "import importlib; from tlapp.cli.main import COMMANDS as names; "
        "[importlib.import_module('tlapp.cli.' + name.replace('-', '_')) for name in names]; "
        "from tlapp.engine import memory, run; memory.open = lambda *_, **__: open('/nowhere'); print(memory.peak_memory_mb())"
    )
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "0.0"), done.stderr
