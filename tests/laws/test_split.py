"""The law of the split: by class, by file, by group and by seed; files that are added move few others."""

import pytest
from helpers.image_sets import load, names, table, two_classes

from tlapp.engine.data import splits
from tlapp.engine.data.tables import Item


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLAPP_CACHE", str(tmp_path / "cache"))


SHARES = {"val": 0.15, "test": 0.2}


def listed(counts, group=None):
    return [
        Item(f"{label}/{i}.png", f"{i}.png", label, None, group(label, i) if group else None)
        for label, count in counts.items()
        for i in range(count)
    ]


def split(items, seed=0, shares=None, same=None):
    return dict(zip((item.source for item in items), splits.assign(items, same or items, shares or SHARES, seed), strict=True))


@pytest.mark.parametrize("count", [3, 4, 5, 7, 10, 33, 100, 1000])
@pytest.mark.parametrize(
    "shares", [SHARES, {"val": 0.15}, {"test": 0.2}, {"val": 0.05, "test": 0.9}, {"val": 0.89, "test": 0.1}, {}]
)
def test_splits_are_stratified(count, shares):
    found = split(listed({"a": count, "b": 3 * count}), shares=shares)
    for label, total in (("a", count), ("b", 3 * count)):
        held = [part for path, part in found.items() if path.startswith(label)]
        assert held.count("train") >= 1
        for name, share in shares.items():
            room = total - 1 - (len(shares) - 1)
            assert held.count(name) == pytest.approx(min(max(1, share * total), room), abs=1) and held.count(name) >= 1


@pytest.mark.parametrize("count", [1, 2])
def test_classes_too_small_to_split_only_train(count):
    assert set(split(listed({"a": count})).values()) == {"train"}


def test_copies_in_one_class_move_nothing_in_another():
    alone, copies = listed({"a": 60, "b": 40}), listed({"c": 2})
    found = split([*alone, *copies], same=[item.source for item in alone] + ["both"] * 2)
    assert {path: found[path] for path in (item.source for item in alone)} == split(alone)


def test_a_seed_repeats_and_seeds_differ():
    items = listed({"a": 100, "b": 100})
    assert split(items) == split(items) == split(items[::-1])
    assert sum(one != split(items, seed=1)[path] for path, one in split(items).items()) > 40


@pytest.mark.parametrize("added, most_moved", [(1, 2), (10, 6), (100, 45)])
def test_added_pictures_move_few(added, most_moved):
    before, after = split(listed({"a": 1000})), split(listed({"a": 1000 + added}))
    moved = {path: (part, after[path]) for path, part in before.items() if part != after[path]}
    assert len(moved) <= most_moved
    assert not any(set(change) == {"val", "test"} for change in moved.values())
    assert before == {path: part for path, part in split(listed({"a": 1000, "new": 50})).items() if not path.startswith("new")}


@pytest.mark.parametrize(
    "group", [lambda label, i: f"{i % 9}", lambda label, i: f"{label}{i // 7}", lambda label, i: f"{i}" if i % 2 else None]
)
def test_groups_stay_together(group):
    items = listed({"a": 60, "b": 45}, group)
    found = split(items)
    for name in {item.group for item in items} - {None}:
        assert len({found[item.source] for item in items if item.group == name}) == 1
    held = list(found.values())
    assert held.count("test") == pytest.approx(21, abs=8) and held.count("val") == pytest.approx(16, abs=8)


def test_groups_linked_by_a_copy_stay_together():
    items = listed({"a": 40}, lambda label, i: f"{i // 2}")
    same = [f"link {i // 4}" if i < 20 and i % 4 in (1, 2) else f"{i}" for i in range(40)]
    for seed in range(5):
        found = list(split(items, seed, same=same).values())
        assert all(len(set(found[i : i + 4])) == 1 for i in range(0, 20, 4))


def test_a_huge_group_does_not_take_a_whole_split():
    items = listed({"a": 100}, lambda label, i: "huge" if i < 60 else None)
    for seed in range(10):
        found = list(split(items, seed).values())
        assert found.count("train") >= 60 and found.count("test") == 20 and found.count("val") == 15


def test_groups_in_a_csv(tmp_path):
    root = two_classes(tmp_path / "pics", 12)
    lines = [f"pics/{name}/{i}.png,{name},g{i % 4}" for name in ("cats", "dogs") for i in range(1, 13)]
    dataset = load(table(tmp_path / "d.csv", "path,label,group", *lines))
    held = {name: {int(file.split("/")[1][:-4]) % 4 for file in names(stream, root)} for name, stream in dataset.streams.items()}
    assert sorted(group for groups in held.values() for group in groups) == [0, 1, 2, 3]
