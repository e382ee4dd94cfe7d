"""The watchdog explains a process that the system has killed, and is silent otherwise."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest


def test_the_watchdog_is_silent_otherwise(capfd):
    from tlapp.cli.watchdog import watchdog

    with watchdog("gone") as add:
        add(" and away")
    with contextlib.suppress(KeyboardInterrupt), watchdog("gone"):
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""


FIRST = """
import contextlib
from tlapp.cli import watchdog
def interrupt(words):
    raise KeyboardInterrupt
watchdog.printable = interrupt
with contextlib.suppress(KeyboardInterrupt), watchdog.watchdog("gone"):
    pass
"""


def test_a_watchdog_is_silent_where_an_interrupt_comes_before_its_words():
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("place", ["", None])
def test_no_watchdog_where_no_process_can_be_had(place, monkeypatch, capfd):
    from tlapp.cli import watchdog

    monkeypatch.setattr(sys, "executable", place)
    with watchdog.watchdog("gone") as add:
        add("on")
    assert capfd.readouterr().err == ""


DIES = r"""
import os, signal, subprocess
from tlapp.cli.watchdog import watchdog
with watchdog("gone, caf\u00e9 \udcff\x1b") as add:
    add("; and away")
    {}
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "en_US.ISO-8859-1"])
def test_the_watchdog_says_the_same_in_every_language(locale):
    done = subprocess.run(
        [sys.executable, "-c", DIES.format("")],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "LC_ALL": locale},
    )
    assert done.returncode == -signal.SIGKILL and done.stdout == b""
    assert done.stderr.decode() == "gone, café \\udcff\\x1b; and away\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_watchdog_does_not_heed_an_interrupt():
    found = "int(open(f'/proc/self/task/{os.getpid()}/children').read())"
    act = f"import time; time.sleep(0.5); os.kill({found}, signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", DIES.format(act)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL and done.stderr.startswith("gone") and len(done.stderr.splitlines()) == 1
