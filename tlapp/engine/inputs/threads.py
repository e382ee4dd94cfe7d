"""Threads that share work and stop together."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_MOST_WORKERS = 16


def workers() -> int:
    """Cores that this process may use, within reason."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST_WORKERS, cores)


def each(work: Callable[[int], int], count: int, threads: int, report: Callable[[int], None]) -> None:
    """Call work(0), work(1) ... on threads and report the sum of what they return.

    The first error stops all of them, and so does the end of the main thread.
    """
    numbers, lock = iter(range(count)), threading.Lock()
    errors: list[BaseException] = []
    done = 0

    def run() -> None:
        nonlocal done
        while not errors:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                if not threading.main_thread().is_alive():
                    raise KeyboardInterrupt
                finished = work(number)
                with lock:
                    done += finished
                    report(done)
            except BaseException as error:
                errors.append(error)

    pool = [threading.Thread(target=run, name="tlapp-decode") for _ in range(min(threads, count))]
    for thread in pool:
        thread.start()
    try:
        for thread in pool:
            thread.join()
    except BaseException as error:
        errors.insert(0, error)
        for thread in pool:
            thread.join()
    if errors:
        raise errors[0]
