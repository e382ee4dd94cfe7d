"""A second process that speaks when the first cannot: what is killed, or crashes outside Python, has no last word."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tlapp.words import printable

CHILD = r"""import sys
from _signal import SIGINT, SIG_IGN, signal
signal(SIGINT, SIG_IGN)
told = sys.stdin.buffer.read()
if told and sys.stderr:
    if sys.stderr.isatty():
        told = b"\r\x1b[K\x1b[?25h" + told  # over a progress bar, which had hidden the cursor
    sys.stderr.buffer.write(told + b"\n")"""


@contextmanager
def witness(sentence: str) -> Iterator[Callable[[str], None]]:
    """Have a sentence said on standard error should this process end inside, however that is; yields what adds words to it.

    Where no process can be had, nothing is said.
    """
    try:
        child = subprocess.Popen(  # noqa: S603 - this interpreter, on our own code
            [sys.executable or "", "-I", "-S", "-c", CHILD],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError:
        yield lambda words: None
        return
    said = child.stdin
    assert said is not None, "it was asked for"

    def add(words: str) -> None:
        with contextlib.suppress(OSError):  # somebody killed it
            said.write(printable(words).encode())
            said.flush()

    try:
        add(sentence)
        yield add
    finally:
        child.kill()
        child.wait()
        with contextlib.suppress(OSError):
            said.close()
