"""A second process that explains the end of the first one, which cannot do so where it is killed or crashes outside Python."""

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
sentence = sys.stdin.buffer.read()
if sentence and sys.stderr:
    if sys.stderr.isatty():
        sentence = b"\r\x1b[K\x1b[?25h" + sentence  # over a progress bar, which had hidden the cursor
    sys.stderr.buffer.write(sentence + b"\n")"""


@contextmanager
def watchdog(sentence: str) -> Iterator[Callable[[str], None]]:
    """A second process, which writes a sentence to standard error if this one ends inside the block, for whatever reason.

    Yields a function that adds words to the sentence. Where no second process can be started, nothing is written.
    """
    try:
        child = subprocess.Popen(  # noqa: S603 - this interpreter, on our own code
            [sys.executable or "", "-I", "-S", "-c", CHILD],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError:
        yield lambda words: None
        return
    pipe = child.stdin
    assert pipe is not None, "it was asked for"

    def add(words: str) -> None:
        with contextlib.suppress(OSError):  # somebody killed it
            pipe.write(printable(words).encode())
            pipe.flush()

    try:
        add(sentence)
        yield add
    finally:
        child.kill()
        child.wait()
        with contextlib.suppress(OSError):
            pipe.close()
