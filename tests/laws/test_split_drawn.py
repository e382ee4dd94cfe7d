"""The law of the split, whatever the names, counts, shares and seed."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlapp.engine.data import splits
from tlapp.engine.data.tables import Item

drawn = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


NAMES = st.text(st.characters(exclude_categories=["Cs"]) | st.integers(0xDC80, 0xDCFF).map(chr), min_size=1, max_size=6)
"""Whatever a file may be called, bytes that are not UTF-8 included."""


SHARE = st.floats(0.01, 0.89)


SHARES = st.one_of(
    st.just({}), st.fixed_dictionaries({"val": SHARE}), st.fixed_dictionaries({"test": SHARE}),
    st.fixed_dictionaries({"val": SHARE, "test": SHARE}).filter(lambda shares: sum(shares.values()) < 1),
)  # fmt: skip


SEED = st.integers(0, 2**31 - 1)


COUNTS = st.dictionaries(NAMES, st.integers(1, 40), min_size=1, max_size=4)


def items(counts, first=0):
    return [Item(f"{label}/{i}", f"{i}.png", label) for label, count in counts.items() for i in range(first, first + count)]


def assign(listed, shares, seed, same=None):
    """Path -> split."""
    found = splits.assign(listed, [item.source for item in listed] if same is None else same, shares, seed)
    return {item.source: split for item, split in zip(listed, found, strict=True)}


@given(COUNTS, SHARES, SEED, st.randoms(use_true_random=False))
@drawn
def test_each_class_is_split_by_the_shares_within_one_whatever_the_order(counts, shares, seed, dice):
    found = assign(items(counts), shares, seed)
    for label, total in counts.items():
        held = Counter(found[item.source] for item in items({label: total}))
        assert set(held) <= {"train", *shares} and held["train"] >= 1
        left = total - 1  # for training there is always one
        for split in sorted(shares):  # the test first
            others = sum(other > split for other in shares)
            assert held[split] >= (total >= splits.SMALLEST)
            if total >= splits.SMALLEST:
                assert abs(held[split] - min(max(shares[split] * total, 1), left - others)) <= 1
            left -= held[split]
    shuffled = items(counts)
    dice.shuffle(shuffled)
    assert assign(shuffled, shares, seed) == found


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 6), st.integers(0, 30)), min_size=1, max_size=50),
    SHARES,
    SEED,
)
@drawn
def test_groups_and_copies_are_never_divided(rows, shares, seed):
    listed = [
        Item(str(i), str(i), label, None, None if group is None else str(group)) for i, (label, group, _) in enumerate(rows)
    ]
    found = assign(listed, shares, seed, [copy for *_, copy in rows])
    together = defaultdict(set)
    for item, (_, group, copy) in zip(listed, rows, strict=True):
        together["copy", copy].add(found[item.source])
        if group is not None:
            together["group", group].add(found[item.source])
    assert all(len(held) == 1 for held in together.values())
    assert "train" in found.values() or not found


@given(COUNTS, SHARES, SEED, st.integers(1, 12), NAMES)
@drawn
def test_files_that_are_added_move_few_of_their_class_and_none_of_another(counts, shares, seed, added, new):
    grown = next(iter(counts))
    before = assign(items(counts), shares, seed)
    after = assign([*items(counts), *items({grown: added}, counts[grown])], shares, seed)
    moved = [path for path, split in before.items() if after[path] != split]
    assert len(moved) <= added * len(shares) and all(path.rpartition("/")[0] == grown for path in moved)
    if added == 1:
        assert not any({before[path], after[path]} == {"val", "test"} for path in moved)
    if new not in counts:
        with_class = assign([*items(counts), *items({new: added})], shares, seed)
        assert all(with_class[path] == split for path, split in before.items())
