"""Of several copies of an example a step asks only the one that it takes, and large ones stay in their files."""

from __future__ import annotations

import numpy as np
import pytest

from tlapp.engine.network import sources


class Copy:
    """A source of two tensors that remembers how many rows it was asked for."""

    def __init__(self, number):
        self.number, self.asked = number, 0

    def take(self, rows, draw):
        self.asked += len(rows)
        return 100.0 * self.number + rows[:, None], np.full(len(rows), self.number, np.int32)


@pytest.mark.parametrize("together", [False, True])
def test_each_row_is_asked_of_the_copy_whose_turn_it_is(together):
    copies = [Copy(number) for number in range(8)]
    rows = np.random.default_rng(0).integers(0, 50, 64)
    whole, numbers = sources.Views(copies, together).take(rows, 3)
    expected = np.full(64, 3) if together else (7919 * rows + 3) % 8
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_array_equal(whole, (100.0 * expected + rows)[:, None])
    assert sum(each.asked for each in copies) == 64 and numbers.dtype == np.int32
    assert [each.shape for each in sources.Views(copies, together).take(rows[:0], 0)] == [(0, 1), (0,)]


class Table:
    """Rows of four floats each that count how often they are read."""

    shape, dtype, read = (4,), np.dtype("float32"), 0

    def take(self, rows):
        self.read += 1
        return np.repeat(np.asarray(rows, np.float32)[:, None], 4, axis=1)


@pytest.mark.parametrize(("copies", "reads"), [(1, 1), (8, 3)])
def test_what_is_large_with_all_its_copies_is_read_row_by_row(monkeypatch, copies, reads):
    monkeypatch.setattr(sources, "MEMORY", 4 * 16 * 20)
    table = Table()
    stored = sources.Stored([table], np.arange(20) + 5, copies)
    for rows in ([0, 3], [1], [7]):
        np.testing.assert_array_equal(stored.take(np.array(rows), 0)[0][:, 0], np.array(rows) + 5)
    assert table.read == reads
