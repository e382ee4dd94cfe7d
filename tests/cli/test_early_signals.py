"""Ctrl-C while Python still imports tlapp ends in a sentence and 130, as it does later."""

from __future__ import annotations

import subprocess
import sys

import pytest

STOPPED_AT = """
import os, signal, sys, time

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

sys.meta_path.insert(0, Stop())
from tlapp.__main__ import main
sys.argv = ["tlapp", *{words!r}]
main()
"""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("tlapp.cli", ["plugins", "list"]),
        ("click", ["plugins", "list"]),
        ("tlapp.cli.train", ["train", "--dry-run"]),
        ("pydantic", ["train", "--dry-run"]),
        ("tlapp.api", ["train", "--dry-run"]),
    ],
)
def test_it_ends_in_a_sentence_wherever_it_comes(module, words):
    code = STOPPED_AT.format(module=module, words=words)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "tlapp: interrupted")


def test_nothing_is_imported_before_ctrl_c_is_listened_to():
    code = "import sys; before = set(sys.modules); import tlapp.__main__; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert set(done.stdout.split()) <= {"tlapp", "tlapp.__main__", "__future__", "os", "stat", "posixpath", "genericpath",
                                        "os.path", "_collections_abc", "abc", "_abc", "_stat"}  # fmt: skip
