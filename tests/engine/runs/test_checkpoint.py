"""A checkpoint is read whole, or its damage is named; owners get their packs back as they join."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

from tlapp.engine.runs import checkpoint
from tlapp.engine.runs.checkpoint import Checkpoint, Pack
from tlapp.errors import UserError


class Counter:
    """An owner of a number and an array."""

    def __init__(self, number=0, array=(0.0, 0.0)):
        self.number, self.array = number, np.array(array)

    def pack(self):
        return Pack({"number": self.number}, [self.array.copy()])

    def unpack(self, pack):
        if pack.arrays[0].shape != self.array.shape:
            raise checkpoint.Misfit
        self.number, self.array = pack.facts["number"], pack.arrays[0]


def packs(number=1):
    return {"phase": Pack({"number": number}, [np.arange(6.0).reshape(2, 3)])}


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "state.npz"
    checkpoint.write(path, packs())
    found = checkpoint.read(path)
    assert found["phase"].facts == {"number": 1}
    assert np.array_equal(found["phase"].arrays[0], packs()["phase"].arrays[0]) and list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged"):
        checkpoint.read(path)
    assert checkpoint.read(tmp_path / "none.npz") == {}


def test_a_checkpoint_with_anything_changed_is_read_or_told(tmp_path):
    path, dice = tmp_path / "state.npz", random.Random(0)
    checkpoint.write(path, packs())
    whole = path.read_bytes()
    for _ in range(600):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken)
        with contextlib.suppress(UserError):
            assert checkpoint.read(path)["phase"].facts == {"number": 1}


def test_a_checkpoint_that_is_not_what_was_written_does_not_replace_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    checkpoint.write(path, packs())
    monkeypatch.setattr(checkpoint.np, "savez", lambda file, **arrays: file.write(b"no archive"))
    with pytest.raises(UserError, match="cannot be written"):
        checkpoint.write(path, packs(2))
    monkeypatch.undo()
    assert checkpoint.read(path)["phase"].facts == {"number": 1} and list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_an_older_version_is_told(tmp_path):
    path, about = tmp_path / "state.npz", np.frombuffer(b'{"version": 4}', np.uint8)
    with open(path, "wb") as file:
        np.savez(file, about=about)
    with pytest.raises(UserError, match="is a checkpoint of version 4"):
        checkpoint.read(path)


def test_owners_get_their_packs_as_they_join_and_only_once(tmp_path):
    first = Checkpoint(tmp_path / "checkpoints" / "state.npz")
    assert not first.join("a", Counter(3, (1.0, 2.0))) and not first.join("b", Counter(4))
    first.capture()
    first.leave("b")
    first.write()  # what was captured, whoever left since
    second, counters = Checkpoint(first.path), [Counter() for _ in range(3)]
    second.read()
    assert [second.join(name, counter) for name, counter in zip("aba", counters, strict=True)] == [True, True, False]
    assert [counter.number for counter in counters] == [3, 4, 0] and counters[0].array.tolist() == [1.0, 2.0]


def test_a_pack_of_another_network_is_told(tmp_path):
    first = Checkpoint(tmp_path / "state.npz")
    first.join("a", Counter(3))
    first.capture()
    first.write()
    second = Checkpoint(first.path)
    second.read()
    with pytest.raises(UserError, match="does not fit this network"):
        second.join("a", Counter(array=(0.0,)))


def test_what_is_captured_does_not_change_with_its_owner(tmp_path):
    counter, first = Counter(1, (5.0, 5.0)), Checkpoint(tmp_path / "state.npz")
    first.join("a", counter)
    first.capture()
    counter.number, counter.array[:] = 2, 0.0
    first.write()
    assert checkpoint.read(first.path)["a"].facts == {"number": 1}
    assert checkpoint.read(first.path)["a"].arrays[0].tolist() == [5.0, 5.0]


def test_a_head_in_a_checkpoint_that_holds_code_is_refused(tmp_path, tensorflow):
    import keras

    image = keras.Input((4,))
    keras.Model(image, keras.layers.Lambda(lambda x: x)(image)).save(tmp_path / "a.keras")
    with pytest.raises(UserError, match=r"the checkpoint's head is not to be trusted: it holds a Lambda"):
        checkpoint.unpack_layer((tmp_path / "a.keras").read_bytes())
