"""Peak memory is that of this process."""

from __future__ import annotations

import subprocess
import sys


def test_peak_memory_is_that_of_the_process_alone():
    child = "from tlapp.engine.run import peak_memory_mb; print(peak_memory_mb())"
    parent = (
        "import subprocess, sys; import numpy as np; held = np.ones(75_000_000); "
        f"print(subprocess.run([sys.executable, '-c', {child!r}], capture_output=True, text=True, check=True).stdout)"
    )
    said = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True).stdout
    assert 10 < float(said) < 400
