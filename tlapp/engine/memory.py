"""Memory that runs out: a sentence that says which settings take less."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tlapp.engine.options import RunOptions
from tlapp.errors import UserError
from tlapp.words import in_a_line


def ran_out(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that there is no more memory: Python's, or TensorFlow's own.

    Where there is no room for a thread's stack, C++ says that a resource is unavailable, and Python that it cannot start one.
    """
    each = (error, error.__cause__)  # a picture that needed it is named by an error of its own
    no_thread = (os.strerror(errno.EAGAIN), "can't start new thread")
    return any(
        isinstance(one, MemoryError) or type(one).__name__ == "ResourceExhaustedError"
        or (isinstance(one, RuntimeError) and str(one) in no_thread) for one in each
    )  # fmt: skip


def needs_less(options: RunOptions) -> str:
    """What to do about it."""
    size = options.image_size or "the backbone's own"
    return f"lower option batch_size (now {options.batch_size}) or option image_size (now {size}), or close other programs"


@contextmanager
def enough_memory(options: RunOptions) -> Iterator[None]:
    """Turn running out of memory, inside, into a UserError that names the settings to lower."""
    try:
        yield
    except Exception as error:
        if not ran_out(error):
            raise
        raise UserError(
            f"memory ran out: {needs_less(options)}; the last checkpoint, if there is one, is kept ({in_a_line(error)[:160]})"
        ) from error


def peak_memory_mb() -> float:
    """The most memory that this process had in use, in MiB; 0 if the system does not say (Windows)."""
    try:  # Linux's ru_maxrss counts what the process had that started this one
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(int(line.split()[1]) / 2**10 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ModuleNotFoundError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def memory_bytes() -> tuple[int | None, int | None]:
    """All memory and what of it is available; None where the system does not say (Windows)."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None, None
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            available = next(int(line.split()[1]) * 2**10 for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        available = None
    return total, available
