"""The built-in set of texts is the same everywhere, and is taken as texts."""

import hashlib
from collections import Counter

import pytest
from helpers.texts import VOCABULARY

from tlapp.contracts import TextInput
from tlapp.engine.data import folders
from tlapp.engine.inputs import reader
from tlapp.engine.inputs.recognition import check_fits, kind_of
from tlapp.engine.inputs.signs import BUILTIN, listed
from tlapp.engine.options import RunOptions
from tlapp.errors import UserError


def test_the_names_are_those_of_every_version_of_python():
    """The digest is that of Python 3.10, 3.11, 3.12 and 3.13."""
    assert hashlib.sha256(repr(listed()).encode()).hexdigest()[:16] == "b2761812751029f5"
    assert len({text for text, _, _ in listed()}) == len(listed()) == 1196
    counts = Counter(kind for _, _, kind in listed())
    assert len(counts) == 10 and set(counts.values()) == {116, 120}


def test_it_is_data_for_backbones_of_texts():
    options = RunOptions(data=BUILTIN, backbone="keras-cv:efficientnet-lite0")
    assert kind_of(BUILTIN) == "text" and kind_of("builtin:digits") == "image"
    items = folders.labelled("data", BUILTIN, reader(TextInput(VOCABULARY, pairs=True), options)).items
    assert ("wheel of dharma", "picture") in {(item.source, item.label) for item in items}
    with pytest.raises(UserError, match="takes pictures, and option data=builtin:signs holds texts"):
        check_fits("image", options)
