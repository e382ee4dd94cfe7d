"""A checkpoint is read whole, or its damage is named."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

from tlapp.engine.runs import checkpoint
from tlapp.engine.runs.checkpoint import Pack
from tlapp.errors import UserError


def packs(number=1):
    """The packs of two owners, one of them with an array."""
    return {"phase": Pack({"number": number}), "network": Pack({}, [np.arange(6.0).reshape(2, 3)])}


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "state.npz"
    checkpoint.write(path, packs())
    again = checkpoint.read(path)
    assert {name: pack.facts for name, pack in again.items()} == {"phase": {"number": 1}, "network": {}}
    assert np.array_equal(again["network"].arrays[0], packs()["network"].arrays[0]) and list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged"):
        checkpoint.read(path)
    assert checkpoint.read(tmp_path / "none.npz") == {}


def test_a_checkpoint_with_anything_changed_is_read_or_told(tmp_path):
    path, rng = tmp_path / "state.npz", random.Random(0)
    checkpoint.write(path, packs())
    whole, read = path.read_bytes(), 0
    for _ in range(600):
        broken = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(broken)
        with contextlib.suppress(UserError):
            assert checkpoint.read(path)["phase"].facts == {"number": 1}
            read += 1
    assert 0 < read < 600, "some changes hit what is read, and some do not"


def test_a_checkpoint_that_is_not_what_was_written_does_not_replace_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    checkpoint.write(path, packs())
    monkeypatch.setattr(checkpoint.np, "savez", lambda file, **arrays: file.write(b"no archive"))
    with pytest.raises(UserError, match="cannot be written"):
        checkpoint.write(path, packs(2))
    monkeypatch.undo()
    assert checkpoint.read(path)["phase"].facts == {"number": 1} and list(tmp_path.iterdir()) == [path]


def test_a_head_in_a_checkpoint_that_holds_code_is_refused(tmp_path, tensorflow):
    import keras

    image = keras.Input((4,))
    keras.Model(image, keras.layers.Lambda(lambda x: x)(image)).save(tmp_path / "a.keras")
    with pytest.raises(UserError, match="head is not to be trusted: it holds a Lambda"):
        checkpoint.unpack_layer((tmp_path / "a.keras").read_bytes())
