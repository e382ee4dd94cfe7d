"""How a cluster is reached, and what is told where it is not."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace

import pytest

from tlapp.cli.main import run as command
from tlapp.cluster.connection import Cluster, connected
from tlapp.errors import UserError


def ray(**more):
    """As the package, as far as connecting goes."""
    own = {"is_initialized": lambda: False, "cluster_resources": lambda: {"CPU": 3.0}, "shutdown": lambda: None}
    return SimpleNamespace(**{**own, **more})


def test_what_ray_does_to_the_process_ends_where_it_is_left(monkeypatch, capsys):
    ended, before = [], signal.getsignal(signal.SIGTERM)

    def init(address, **more):
        assert address == "local"
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        monkeypatch.setitem(sys.modules, "ray", ray(init=init, shutdown=lambda: ended.append(True)))
        cluster = Cluster("ray")
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler and cluster.cores == 3
        print("worker 1 was lost")
        cluster.close()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended and capsys.readouterr().err == "worker 1 was lost\n"


def test_what_was_lost_is_told_at_the_end(monkeypatch):
    notes = []
    monkeypatch.setitem(sys.modules, "ray", ray(init=lambda address, **more: None))
    with connected("ray", False, notes.append) as cluster:
        cluster.lost = 1200
    assert len(notes) == 1 and "this machine computed 1,200 examples instead" in notes[0]
    with connected("", False, notes.append) as none, connected("ray:10.0.0.1:1", True, notes.append) as dry:
        assert none is None and dry is None


def refuse(address, **more):
    raise Exception("The current node timed out during startup.")


@pytest.mark.parametrize(("where", "package", "words"), [
    ("ray", ray(init=refuse), "cannot be started: Exception: The current node timed out"),
    ("ray:auto", ray(init=refuse), "cannot be reached: Exception"),
    ("slurm", ray(), "expected ray, or ray:ADDRESS"), ("ray:127.0.0.1:1", ray(), "cannot be reached"),
    ("ray", None, r"needs the package ray: pip install 'tlapp\[ray\]'"),
])  # fmt: skip
def test_what_is_not_there_is_told(monkeypatch, where, package, words):
    monkeypatch.setitem(sys.modules, "ray", package)
    with pytest.raises(UserError, match=words):
        Cluster(where)


@pytest.mark.parametrize(("words", "sentence"), [
    (["--on", "slurm"], "--on slurm: expected ray, or ray:ADDRESS"),
    (["--on", "slurm", "--dry-run"], "--on slurm: expected ray, or ray:ADDRESS"),
    (["--on", "ray", "--cache", "off"], "--on ray: has the frozen front computed once, and --cache off anew each epoch"),
])  # fmt: skip
def test_train_refuses_it_before_anything_is_read(words, sentence, capfd):
    assert command(["train", *words]) == 2
    assert sentence in capfd.readouterr().err
