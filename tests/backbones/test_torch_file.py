"""Weights in PyTorch's old format are read without running anything in the file."""

import io
import pickle
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from tlapp.backbones import torch_file
from tlapp.errors import UserError


# Files of PyTorch
def write_torch(path, state, storages):
    """A file as torch.save wrote it before 1.6; `state` is pickled, `storages` stand behind."""
    head = (torch_file.MAGIC, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    tail = pickle.dumps(list(storages), 2) + b"".join(struct.pack("<q", len(a)) + a.tobytes() for a in storages.values())
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in head) + state + tail)
    return path


def pickled(tensors, monkeypatch):
    """A pickle of tensors (key, length, offset, size, stride), in the words of PyTorch."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    exec("def _rebuild_tensor_v2(*_): pass", utils.__dict__)
    utils._rebuild_tensor_v2.__module__ = "torch._utils"
    for module in (torch, utils):
        monkeypatch.setitem(sys.modules, module.__name__, module)

    class View:
        def __init__(self, key, length, *view):
            self.pid, self.view = types.SimpleNamespace(pid=("storage", torch.FloatStorage, key, "cpu", length, None)), view

        def __reduce__(self):
            return utils._rebuild_tensor_v2, (self.pid, *self.view, False, OrderedDict())

    class Pickler(pickle._Pickler):
        def persistent_id(self, value):
            return getattr(value, "pid", None) if isinstance(value, types.SimpleNamespace) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(OrderedDict((name, View(*view)) for name, view in tensors.items()))
    return buffer.getvalue()


def test_torch_file_honours_strides(tmp_path, monkeypatch):
    state = pickled({"w": ("a", 6, 0, (2, 3), (1, 2)), "b": ("a", 6, 4, (2,), (1,)), "n": ("a", 6, 5, (), ())}, monkeypatch)
    arrays = torch_file.read(write_torch(tmp_path / "f.pth", state, {"a": np.arange(6, dtype="<f4")}))
    np.testing.assert_array_equal(arrays["w"], [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(arrays["b"], [4, 5])
    assert arrays["n"] == 5 and arrays["n"].shape == ()


def test_torch_file_refuses_what_is_no_tensor(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "done").touch, ()

    with pytest.raises(UserError, match="no tensor"):
        torch_file.read(write_torch(tmp_path / "evil.pth", pickle.dumps({"w": Evil()}, 2), {}))
    assert not (tmp_path / "done").exists()
    state = pickled({"w": ("a", 6, 2, (5,), (1,))}, monkeypatch)
    with pytest.raises(UserError, match="beyond its storage"):
        torch_file.read(write_torch(tmp_path / "long.pth", state, {"a": np.arange(6, dtype="<f4")}))
    (tmp_path / "other").write_bytes(b"PK\x03\x04")
    for path in (tmp_path / "other", tmp_path / "absent"):
        with pytest.raises(UserError, match="cannot be read"):
            torch_file.read(path)
