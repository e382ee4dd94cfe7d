"""Columns stand for lists: in keys and when they are asked; headers hold them whole, and give them back."""

import json

import numpy as np
import pytest

from tlapp.engine.cache import columns, store
from tlapp.engine.cache.columns import Digests, Shapes, as_json, packed, unpacked

SHAPES = [(6, 4), None, (1920, 1080)] * 3000


@pytest.fixture
def texts():
    rng = np.random.default_rng(0)
    names = [rng.bytes(16).hex() for _ in range(9000)]
    names[3], names[7000] = "", names[5]
    return names


def test_they_hold_what_lists_hold(texts):
    digests, shapes = Digests.of(texts), Shapes.of(SHAPES)
    assert [*digests] == texts and digests[3] == "" and digests[-1] == texts[-1] and [*digests[2:9]] == texts[2:9]
    assert [*shapes] == SHAPES and shapes[1] is None and len(shapes) == len(digests) == 9000
    digests[4], shapes[0] = texts[0], None
    assert (digests[4], shapes[0]) == (texts[0], None) and digests != Digests.of(texts)
    with pytest.raises(IndexError):
        digests[9000]


def test_equal_ones_share_a_number_and_are_found_among_others(texts):
    digests, numbers = Digests.of(texts), {}
    expected = [numbers.setdefault(text, len(numbers)) if text else -1 for text in texts]
    found, firsts = digests.numbered()
    assert found.tolist() == expected and [texts[place] for place in firsts] == [*numbers]
    others = [*texts[6000:], "", *texts[:10]]
    places = {text: place for place, text in reversed([*enumerate(others)]) if text}
    assert digests.places_in(Digests.of(others)).tolist() == [places.get(text, -1) for text in texts]
    assert Digests.none(2).places_in(Digests.none(0)).tolist() == [-1, -1] and len(Digests.none(2).numbered()[1]) == 0


def test_headers_hold_them_and_give_them_back(texts):
    odd = {"data": 'a"names": ["', "n": [1, 2.5, None, True], "bad": {"3": "words"}, "nothing": {}, "column": "Digests"}
    new = {"digests": Digests.of(texts), "names": Digests.none(0), "shapes": Shapes.of(SHAPES)}
    text = json.dumps({"rows": 3, "extra": {**new, **odd}}, default=packed)
    assert len(text) < 33 * len(texts)  # as lists 36 of them alone
    found = json.loads(text, object_hook=unpacked)
    assert {name: type(found["extra"][name]) for name in new} == {"digests": Digests, "names": Digests, "shapes": Shapes}
    assert found == {"rows": 3, "extra": {**new, **odd}}
    found["extra"]["digests"][4] = texts[0]  # they can be changed


def test_keys_of_columns_are_those_of_lists(texts, monkeypatch):
    monkeypatch.setattr(columns, "_BLOCK", 7)
    assert store.key_of("images", {"size": 8}, Digests.of(texts)) == store.key_of("images", {"size": 8}, texts)
    odd = {"data": 'a"names": ["', "n": (1, 2.5, None, True), "bad": {"3": "words"}, "nothing": {}, "empty": ()}
    assert "".join(as_json({**odd, "names": Digests.of(texts[:2])})) == json.dumps({**odd, "names": texts[:2]})
    assert store.key_of("images", {"size": 8}, ["0a" * 16]) == "e9a71849fac097bcea6e2ea2da052997"  # as ever
