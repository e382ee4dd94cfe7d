"""Ctrl-C and SIGTERM: raised where they arrive, and once more where the code that they arrived in swallowed them."""

from __future__ import annotations

import os
import signal
import threading

from tlapp.trials import OWNED

received: list[int] = []
"""The signals that asked this process to stop."""


def listen() -> None:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt."""
    received.clear()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        if os.environ.pop(OWNED, None):
            threading.Thread(target=_stop_with_parent, daemon=True).start()


def check() -> None:
    """Raise what was swallowed: Python drops an exception that a signal raises inside a finaliser or a callback from C.

    Raises:
        KeyboardInterrupt: the process was asked to stop.
    """
    if received:
        raise KeyboardInterrupt


def _stop(number: int, frame: object) -> None:
    received.append(number)
    raise KeyboardInterrupt


def _stop_with_parent() -> None:
    """Stop this process once the one that holds the other end of its standard input has gone, for whatever reason."""
    while os.read(0, 1024):  # not through sys.stdin, whose lock would be held when Python shuts down
        pass
    os.kill(os.getpid(), signal.SIGTERM)
