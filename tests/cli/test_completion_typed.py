"""What a person's keys become in a real bash and zsh on a terminal, where there are any."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest

BASH = """PS1='' PS2=''
eval "$(_TLAPP_COMPLETE=bash_source tlapp)"
"""
ZSH = """PS1='' PS2=''
autoload -U compinit; compinit -u -D
eval "$(_TLAPP_COMPLETE=zsh_source tlapp)"
"""
SHELLS = {"bash": (["--norc", "--noprofile", "-i"], BASH), "zsh": (["-f", "-i"], ZSH)}
PATIENCE = 60

CASES = {
    "export saved_models/\tpl\t": ["export", "saved_models/plain"],
    "predict saved_models/pl\tpic\t": ["predict", "saved_models/plain", "pic.png"],
    "train --resume saved_models/pl\t": ["train", "--resume", "saved_models/plain"],
    "export saved_models/my\t": ["export", "saved_models/my run"],
    'export "saved_models/my\t': ["export", "saved_models/my run"],
}
"""Keys after "tlapp " -> the arguments that it then gets."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with runs, and a tlapp that completes, and else writes its arguments to a file."""
    root = tmp_path_factory.mktemp("place")
    for name in ("plain", "my run"):
        (root / "saved_models" / name / "inside").mkdir(parents=True)
        (root / "saved_models" / name / "settings.yaml").write_text("")
    (root / "other" / "folder").mkdir(parents=True)
    (root / "pic.png").write_text("")
    (root / "bin").mkdir()
    command = root / "bin" / "tlapp"
    command.write_text(
        f'#!/bin/sh\n[ -n "$_TLAPP_COMPLETE" ] && exec "{sys.executable}" -m tlapp "$@"\n'
        "printf '%s\\n' \"$@\" > got.tmp; mv got.tmp got\n"
    )
    command.chmod(0o755)
    return root


class Terminal:
    """A shell on a terminal, in which keys are typed."""

    def __init__(self, shell, place):
        options, script = SHELLS[shell]
        self.place, (self.keys, end) = place, pty.openpty()
        (place / "setup").write_text(script)
        env = {**os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", "TERM": "xterm"}
        self.process = subprocess.Popen(
            [shell, *options], stdin=end, stdout=end, stderr=end, cwd=place, env=env, start_new_session=True
        )
        os.close(end)
        self.typed(". ./setup; tlapp ready\r")

    def typed(self, line):
        """The arguments that tlapp got in the end."""
        (self.place / "got").unlink(missing_ok=True)
        os.write(self.keys, line.encode())
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends and not (self.place / "got").exists():
            if select.select([self.keys], [], [], 0.05)[0]:
                os.read(self.keys, 65536)
        return [word.removesuffix("/") for word in (self.place / "got").read_text().splitlines()]

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.keys)


@pytest.fixture(scope="module", params=SHELLS)
def terminal(request, place):
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param}")
    shell = Terminal(request.param, place)
    yield shell
    shell.close()


@pytest.mark.parametrize("keys", CASES)
def test_keys(keys, terminal):
    spaced = keys.replace("pl\tpic", "pl\t pic")  # bash puts a slash after a folder, and no blank
    assert terminal.typed(f"tlapp {spaced}\r") == CASES[keys]
