"""A guarded function is seen as the one that it guards, and errors name whose it is."""

from __future__ import annotations

import pytest

from tlapp.blame import guarded
from tlapp.engine.network.augmented import takes_copy
from tlapp.errors import UserError


def test_a_guarded_augmentation_is_still_told_which_copy_it_makes():
    assert takes_copy(guarded("stranger", "its augment", lambda images, seed, copy: images))
    assert not takes_copy(guarded("stranger", "its augment", lambda images, seed: images))


def test_what_a_head_says_to_the_user_inside_a_strategy_s_loss_is_the_head_s():
    def refuse():
        raise UserError("wants whole numbers", received=3)

    inner = guarded("head mine of stranger 0.3", "its loss", refuse)
    with pytest.raises(UserError) as told:
        guarded("strategy other of stranger 0.3", "phase tune: its loss", inner)()
    assert str(told.value) == "head mine of stranger 0.3: wants whole numbers" and told.value.received == 3
