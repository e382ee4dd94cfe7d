"""A connection to a cluster of Ray, https://docs.ray.io."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from tlapp.cluster.worker_group import Work, WorkerGroup
from tlapp.errors import UserError
from tlapp.words import in_a_line

RETRIES = 3
"""How often a task is done again whose worker was lost."""
ANSWER_SECONDS = 5.0
ONE_CORE = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Cluster:
    """A Ray cluster that this process is connected to until it is closed.

    Args:
        where: "ray" for one of all cores of this machine, which is started, "ray:ADDRESS" for one that runs.

    Attributes:
        ray: the package.
        cores: of all its machines, at least 1.
        lost: how many examples this process computed instead, as each worker that had them was lost.

    Raises:
        UserError: it is something else; Ray is not installed, or not to be reached.
    """

    def __init__(self, where: str):
        address = address_of(where)
        try:
            import ray
        except ImportError as error:
            raise UserError("needs the package ray: pip install 'tlapp[ray]'", option="on") from error
        self.ray, self._own, self._output = ray, not ray.is_initialized(), redirect_stdout(sys.stderr)
        if self._own:
            _must_answer(address)
            own: dict[str, Any] = {} if address else {"include_dashboard": False}
            try:
                with _signals_kept():
                    ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
            except Exception as error:  # Ray raises bare ones too, such as where a busy machine takes too long to start it
                ray.shutdown()
                sentence = f"cannot be {'reached' if address else 'started'}: {in_a_line(error)}"
                raise UserError(sentence, where, option="on") from error
        self._output.__enter__()  # Ray tells of lost workers on standard output, where --json is read
        self.lost = 0
        self.cores = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def task(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Starts a function of a module on one core of some machine, and again where its worker is lost; gives its reference."""
        settings = {"num_cpus": 1, "max_retries": RETRIES, "runtime_env": {"env_vars": ONE_CORE}, **options}
        started: Callable[..., Any] = self.ray.remote(**settings)(function).remote
        return started

    @property
    def machines(self) -> int:
        """How many there are with as many cores as `group` takes of each: those of the smallest."""
        return len(self._machine_cores())

    def group(self, work: Work) -> WorkerGroup:
        """Processes that train together, one a machine, on all of its cores."""
        cores = self._machine_cores()
        return WorkerGroup(self.ray, work, len(cores), min(cores))

    def _machine_cores(self) -> list[int]:
        every = [int(node["Resources"].get("CPU", 0)) for node in self.ray.nodes() if node["Alive"]]
        return [cores for cores in every if cores]

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        if self._own:
            self.ray.shutdown()
        self._output.__exit__(None, None, None)


@contextmanager
def connected(where: str, dry: bool, note: Callable[[str], None]) -> Iterator[Cluster | None]:
    """A cluster while it is needed; None for "", or where `dry` says that `where` is only to be checked.

    Args:
        note: is told, at the end, of work that the cluster lost.

    Raises:
        UserError: as `Cluster`.
    """
    if where:
        address_of(where)
    cluster = Cluster(where) if where and not dry else None
    try:
        yield cluster
    finally:
        if cluster is not None:
            cluster.close()
            if cluster.lost:
                note(f"workers of the cluster were lost again and again: this machine computed {cluster.lost:,} examples instead")


def address_of(where: str) -> str:
    """The address in "ray:ADDRESS"; "" for "ray".

    Raises:
        UserError: it is something else.
    """
    name, _, address = where.partition(":")
    if name != "ray":
        raise UserError("expected ray, or ray:ADDRESS", where, option="on")
    return address


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep this process's answer to SIGTERM, which Ray replaces by an exit at once."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _must_answer(address: str) -> None:
    """Refuse an address where nothing answers, which Ray itself asks for many minutes.

    Raises:
        UserError: nothing does.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise UserError(f"cannot be reached: {error.strerror or error}", f"ray:{address}", option="on") from error
