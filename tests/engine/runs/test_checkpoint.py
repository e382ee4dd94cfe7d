"""A checkpoint is read whole, or its damage is named."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

from tlapp.engine.runs import checkpoint
from tlapp.errors import UserError


def test_a_damaged_checkpoint_is_named(tmp_path):
    arrays = [np.arange(6.0).reshape(2, 3)]
    given = checkpoint.State(1, 2, 3, {"loss": 0.5}, (0.25, 2), [["a", 1, {}, {}, True]], arrays, arrays, b"head")
    path = tmp_path / "state.npz"
    checkpoint.write(path, given)
    found = checkpoint.read(path)
    assert found._replace(variables=[], kept=[]) == given._replace(variables=[], kept=[])
    assert np.array_equal(found.variables[0], arrays[0]) and list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged"):
        checkpoint.read(path)
    assert checkpoint.read(tmp_path / "none.npz") is None


def test_a_checkpoint_with_anything_changed_is_read_or_told(tmp_path):
    arrays, path, dice = [np.arange(6.0).reshape(2, 3)], tmp_path / "state.npz", random.Random(0)
    checkpoint.write(path, checkpoint.State(1, 2, 3, {"loss": 0.5}, (0.25, 2), [], arrays, arrays))
    whole = path.read_bytes()
    for _ in range(600):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken)
        with contextlib.suppress(UserError):
            assert checkpoint.read(path).phase == 1


def test_a_checkpoint_that_is_not_what_was_written_does_not_replace_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    given = checkpoint.State(1, 2, 3, {}, (0.25, 2), [], [], [])
    checkpoint.write(path, given)
    monkeypatch.setattr(checkpoint.np, "savez", lambda file, **arrays: file.write(b"no archive"))
    with pytest.raises(UserError, match="cannot be written"):
        checkpoint.write(path, given._replace(phase=2))
    monkeypatch.undo()
    assert checkpoint.read(path).phase == 1 and list(tmp_path.iterdir()) == [path]


def test_a_head_in_a_checkpoint_that_holds_code_is_refused(tmp_path, tensorflow):
    import keras

    image = keras.Input((4,))
    keras.Model(image, keras.layers.Lambda(lambda x: x)(image)).save(tmp_path / "a.keras")
    with pytest.raises(UserError, match=r"state\.npz: its head is not to be trusted: it holds a Lambda"):
        checkpoint.unpack_layer((tmp_path / "a.keras").read_bytes(), tmp_path / "state.npz")
