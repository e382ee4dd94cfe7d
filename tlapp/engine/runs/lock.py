"""One process trains a run at a time: a lock on its folder, which ends with the process."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from tlapp.engine.runs.folder import LOCK
from tlapp.errors import UserError


class RunLock:
    """The lock of a run folder; reading the folder needs none."""

    def __init__(self) -> None:
        self._lock: FileLock | None = None

    def acquire(self, folder: Path, option: str = "resume") -> None:
        """Take the lock of a folder that exists, unless this object has it; `option` names the folder.

        Raises:
            UserError: another process, or another run of this one, has it.
        """
        if self._lock is not None:
            return
        lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError("another process trains this run now; wait until it ends", folder, option) from error
        except OSError:  # a disk without locks; where it cannot be written at all, what is written next says so
            return
        self._lock = lock

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def remove(self) -> None:
        """Give the lock back and delete its file: for a run that is finished, which nobody can go on with."""
        if self._lock is not None:
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self.release()


def is_held(folder: Path) -> bool:
    """Whether a process trains the run in a folder now."""
    path = folder / LOCK
    if not path.is_file():
        return False
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        with lock:
            return False
    except Timeout:
        return True
    except OSError:  # a disk without locks, or one that is read-only
        return False
