"""A finished run on pictures and classes whose names are hostile."""

from __future__ import annotations

import csv

import pytest
from helpers.one_phase import Tunes

from tlapp.engine.visuals.at_the_end import report_run
from tlapp.testing import pictures, tiny_run

SCRIPT = "<script>alert(1)</script>"
"""The name of a class."""
IMAGE = "<img src=x onerror=alert(1)>"
"""What the names of its pictures begin with."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tensorflow):
    """The engine's run; its report was written at its end."""
    folder = tmp_path_factory.mktemp("report")
    rows = []
    for path in sorted(pictures(folder / "pictures", each=14).rglob("*.png")):
        kind = path.parent.name
        moved = path.rename(path.with_name(f"{IMAGE if kind == 'circle' else kind}-{path.name}"))
        rows.append((moved, SCRIPT if kind == "circle" else kind))
    with open(folder / "data.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    run = tiny_run(Tunes(fit={"epochs": 2}), folder / "data.csv", folder / "run", report="on", test_share=0.4)
    report_run(run, 10)
    return run


@pytest.fixture(scope="session")
def finished(trained):
    """The run's folder."""
    return trained.record.folder
