"""What CI makes of pip-audit's answer: fails where a vulnerability is told, and says so where nothing could be."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

MAIN = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "audit.py"))["main"]
HOLE = {"id": "PYSEC-1", "fix_versions": ["1.1"]}
UNKNOWN = {"name": "mine", "skip_reason": "not found"}


def audit(folder, said, code=0):
    """What CI says, and its exit code, where pip-audit says `said`."""
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\necho 'could not connect' >&2\nexit {code}\n")
    program.chmod(0o755)
    return MAIN(str(program), "packages")


@pytest.mark.parametrize(
    ("dependencies", "code", "told"),
    [
        ([{"name": "a", "version": "1.0", "vulns": [HOLE]}, UNKNOWN], 1, "a 1.0: PYSEC-1, mended in 1.1"),
        (
            [{"name": "a", "version": "1.0", "vulns": []}, UNKNOWN],
            0,
            "1 packages, none with a known vulnerability; not known: mine",
        ),
        ([UNKNOWN], 0, "SKIPPED"),
    ],
    ids=["a hole", "none", "nobody knows"],
)
def test_a_vulnerability_fails_and_an_unknown_package_is_named(dependencies, code, told, tmp_path, capsys):
    assert audit(tmp_path, json.dumps({"dependencies": dependencies}), code=code) == code
    assert told in capsys.readouterr().out


def test_a_service_out_of_reach_is_told_and_passes(tmp_path, capsys):
    assert audit(tmp_path, "Traceback", code=1) == 0
    said = capsys.readouterr().out
    assert "SKIPPED" in said and "could not connect" in said
