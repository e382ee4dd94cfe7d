"""No test reaches the network, and each session has a cache folder of its own."""

from __future__ import annotations

import gc
import os
import socket

import numpy as np
import pytest
from PIL import Image

from tlapp.tensorflow_import import quiet_tensorflow


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    os.environ["TLAPP_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(self, address):
        if self.family == getattr(socket, "AF_UNIX", None) or str(address[0]) in ("127.0.0.1", "::1"):
            return connect(self, address)
        raise AssertionError(f"a test reached for {address}")

    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def tensorflow():
    quiet_tensorflow()
    import keras  # noqa: F401
    import tensorflow

    gc.freeze()  # what these modules hold stays: no collection need look through it
    return tensorflow


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory, tensorflow):
    """The option backbone that loads the tiny network from a file, as another process can too."""
    from tlapp.testing import TinyBackbones

    path = tmp_path_factory.mktemp("network") / "tiny.keras"
    TinyBackbones().load("tiny").graph.save(path)
    return f"file:{path}"


@pytest.fixture(scope="session")
def domains(tmp_path_factory):
    """Images with labels, and darkened ones of the same classes."""
    from tlapp.testing import pictures

    folder = tmp_path_factory.mktemp("domains")
    source = pictures(folder / "source", each=16)
    target = pictures(folder / "target", each=12, seed=9)
    for path in target.rglob("*.png"):
        Image.fromarray((np.asarray(Image.open(path)) * 0.5 + 90).astype(np.uint8)).save(path)
    return source, target


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """A folder of 48 small pictures in three classes."""
    from tlapp.testing import pictures

    return pictures(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def ray_of_two():
    """A Ray of two cores on this machine, to which this process is connected: until the module ends, as others must not be."""
    ray = pytest.importorskip("ray")
    for tries_left in (2, 1, 0):  # it gives itself 30 seconds, which is short where the machine does much else
        try:
            ray.init("local", num_cpus=2, log_to_driver=False, include_dashboard=False)
            break
        except Exception as error:  # Ray has no kind of its own for this
            ray.shutdown()
            if not tries_left or "timed out during startup" not in str(error):
                raise
    yield ray
    ray.shutdown()
