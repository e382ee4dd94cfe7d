"""Forks a process for every command line that it is sent: TensorFlow is imported once, and yet each run is a process of its own.

Standard input: a JSON object a line, {"arguments": [...], ...} to start one or {"wait": pid}.
Standard output: the pid of what was started, or the status with which it ended.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

import strange

from tlapp import registry
from tlapp.tensorflow_import import quiet_tensorflow
from tlapp.testing import TinyBackbones


def main() -> None:
    quiet_tensorflow()
    import keras  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        print(os.waitpid(request["wait"], 0)[1] if "wait" in request else start(request), flush=True)


def start(request: dict) -> int:
    """Fork; the child runs the command line and never returns."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            become(request)
            from tlapp.cli.main import main as command

            command(request["arguments"])
        except SystemExit as ended:
            code = int(ended.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return pid


def become(request: dict) -> None:
    """Take on what a request asks for: files for the output, environment, changed constants, limits."""
    os.setpgid(0, 0)
    for descriptor, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), descriptor)
    os.environ.update(request.get("environment", {}))
    registry.backbone = lambda identity, trust=False: (TinyBackbones(), "tiny")
    load = registry.load
    registry.load = lambda kind, name: strange.STRATEGIES.get(name) or load(kind, name)
    for name, value in request.get("constants", {}).items():
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(module), constant, value)
    if request.get("clock") == "backwards":
        turn_back()
    if request.get("powers") == "none":
        drop_powers()
    if "file_bytes" in request:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
    if "more_memory" in request:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + request["more_memory"],) * 2)


def turn_back() -> None:
    """Make the clock begin yesterday and run backwards."""
    real, begin = time.time, time.time() - 86_400
    time.time = lambda: begin - (real() - begin)


def drop_powers() -> None:
    """Give up root's right to read and write whatever it likes, so that a file's own permissions count."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    main()
