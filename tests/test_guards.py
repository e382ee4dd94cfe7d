"""A guarded function is seen as the one that it guards."""

from __future__ import annotations

from tlapp.blame import guarded
from tlapp.engine.network.augmented import takes_copy


def test_a_guarded_augmentation_is_still_told_which_copy_it_makes():
    assert takes_copy(guarded("stranger", "its augment", lambda images, seed, copy: images))
    assert not takes_copy(guarded("stranger", "its augment", lambda images, seed: images))
